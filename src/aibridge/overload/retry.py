"""What a wait becomes on the wire, for every answer that says "later".

The whole seconds of Retry-After (RFC 9110, 10.2.3) are between 1 and 60: Codex fails at once on a 429 without the
field and sends 30 requests after such a 503; SDKs ignore, or obey to the letter, what is longer. Exact milliseconds
go beside them where the wait is known, because the SDKs of OpenAI and Anthropic read `retry-after-ms` first. Clients
add no jitter of their own, so it is added here; it is never subtracted, since a client that comes back too early is
refused twice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from aibridge.overload.outcome import Rejection

LONGEST = 60
"""Seconds: the longest wait ever asked for."""

LAST_INSTANT = 253_402_300_799
"""The end of the year 9999, in UTC seconds. What is later cannot be written, and a large debt to a small limit is."""
_LARGEST_INTEGER = 10**15 - 1
"""Of a header field (RFC 9651, 3.3.1)."""

SPREAD = 0.2
LEAST_SPREAD = 0.1
"""Those refused together come back over a fifth of the wait, and over at least this many seconds."""
_SMALL = LEAST_SPREAD / SPREAD


@dataclass(init=False, slots=True)  # a generated `__init__` is interpreted, wherever this is compiled
class RetryHint:
    """When to come back, in whole seconds and, the same wait more exactly, in milliseconds."""

    seconds: int
    milliseconds: int

    def __init__(self, seconds: int, milliseconds: int) -> None:
        self.seconds = seconds
        self.milliseconds = milliseconds


@dataclass(slots=True, frozen=True)
class Blank:
    """The places for what is new each time in an answer that is told again and again; see `Form`.

    The first two stand for a `RetryHint`; `wait` is for `whole_seconds`, `reset` for what a vendor's headers say, `id`
    for the request's.
    """

    seconds: str = "\x00"
    milliseconds: str = "\x01"
    wait: str = "\x02"
    reset: str = "\x03"
    id: str = "\x04"


_PLACE = re.compile(rb"([\x00-\x04])")


class Form:
    """An answer that is written once, with the places of `Blank`: control characters, which neither HTTP nor JSON has.

    It is kept in parts, and joined: whatever is formatted is read from its first to its last byte each time.
    """

    __slots__ = ("_parts", "_places")

    def __init__(self, text: bytes) -> None:
        self._parts: list[bytes] = _PLACE.split(text)
        self._places = [(at, self._parts[at][0]) for at in range(1, len(self._parts), 2)]

    def filled(self, news: Sequence[bytes]) -> bytes:
        """The answer with what is new: for each field of `Blank`, in their order, the text that goes there."""
        parts = self._parts
        for at, place in self._places:
            parts[at] = news[place]
        return b"".join(parts)


def hint(wait: float, luck: float) -> RetryHint:
    """When to come back after a true wait in seconds, spread and rounded up; see `spread`."""
    milliseconds = spread(wait, luck)
    return RetryHint(in_seconds(milliseconds), milliseconds)


def spread(wait: float, luck: float) -> int:
    """A true wait in seconds as milliseconds to wait, spread and rounded up; `luck` is uniform in [0, 1).

    Coming back after them, or after their `in_seconds`, is never too early, unless the true wait is longer
    than `LONGEST`: then both say `LONGEST`, and the client asks again.
    """
    if wait >= LONGEST:
        return LONGEST * 1000
    later = wait + luck * (wait * SPREAD if wait > _SMALL else LEAST_SPREAD)
    milliseconds = ceil(later * 1000) if later < LONGEST else LONGEST * 1000
    if milliseconds < 1:
        return 1
    if milliseconds / 1000 < wait:  # the product was rounded down
        return milliseconds + 1
    return milliseconds


def in_seconds(milliseconds: int) -> int:
    """The seconds of a wait, rounded up."""
    return -(-milliseconds // 1000)


def retry_headers(hint: RetryHint | Blank) -> list[tuple[str, str]]:
    """The response headers of every 429 and 503.

    No milliseconds where the wait is an estimate: SDKs read those first, and would spend their retries within half a
    second on a slot that is held for a whole stream.
    """
    return [("retry-after", f"{hint.seconds}")]


@dataclass(slots=True, frozen=True)
class Policy:
    """A limit as clients are told of it: `quota` of `unit` in `window` seconds, or, with a window of 0, at one time.

    `unit` is a word of the draft's (`requests`, `concurrent-requests`) or one in its style (`total-tokens`).
    """

    name: str
    quota: int
    window: float
    unit: str = "requests"
    item: str = field(init=False)
    """As an item of `RateLimit-Policy`."""

    def __post_init__(self) -> None:
        unit = "" if self.unit == "requests" else f';qu="{self.unit}"'
        window = f";w={max(1, ceil(self.window))}" if self.window else ""
        object.__setattr__(self, "item", f'"{self.name}";q={self.quota}{unit}{window}')


def rate_headers(
    rejection: Rejection, hint: RetryHint | Blank, policies: Sequence[Policy] = ()
) -> list[tuple[str, str]]:
    """The response headers of a rate limit's 429: those of a retry, and which rule said no."""
    return [
        *retry_headers(hint),
        ("retry-after-ms", f"{hint.milliseconds}"),
        *limit_headers(rejection, policies, hint if isinstance(hint, Blank) else None),
    ]


def limit_headers(
    rejection: Rejection, policies: Sequence[Policy] = (), blank: Blank | None = None
) -> list[tuple[str, str]]:
    """Which limit said no, and all that the call fell under, the one that said no first.

    `RateLimit` and `RateLimit-Policy` follow draft-ietf-httpapi-ratelimit-headers-10: `q` is the quota per `w` seconds
    in units of `qu`, requests unless said, `r` what remains for such a call, `t` the seconds until there is more. `t`
    is the true wait, also where Retry-After is capped, or, with a `blank`, the place for it.
    """
    wait = whole_seconds(rejection.retry_after) if blank is None else blank.wait
    listed = policies or (Policy(rejection.limit, int(rejection.allowed), rejection.window),)
    return [
        ("ratelimit", f'"{rejection.limit}";r=0;t={wait}'),
        ("ratelimit-policy", ", ".join([policy.item for policy in listed])),
    ]


def whole_seconds(wait: float) -> int:
    """A true wait in seconds as `limit_headers` tell it: rounded up, at least 1."""
    return min(max(1, ceil(wait)), _LARGEST_INTEGER)
