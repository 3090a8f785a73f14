"""What a wait becomes on the wire, for every answer that says "later".

The whole seconds of Retry-After (RFC 9110, 10.2.3) are between 1 and 60: Codex fails at once on a 429 without the
field and sends 30 requests after such a 503; SDKs ignore, or obey to the letter, what is longer. Exact milliseconds
go beside them where the wait is known, because the SDKs of OpenAI and Anthropic read `retry-after-ms` first. Clients
add no jitter of their own, so it is added here; it is never subtracted, since a client that comes back too early is
refused twice.
"""

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


@dataclass(slots=True)
class RetryHint:
    """When to come back, in whole seconds and, the same wait more exactly, in milliseconds."""

    seconds: int
    milliseconds: int


def hint(wait: float, luck: float) -> RetryHint:
    """Spread and round up a true wait in seconds; `luck` is uniform in [0, 1).

    Coming back after either number is never too early, unless the true wait is longer than `LONGEST`: then both say
    `LONGEST`, and the client asks again.
    """
    wait = min(wait, LONGEST)
    spread = min(wait + luck * max(wait * SPREAD, LEAST_SPREAD), LONGEST)
    milliseconds = max(1, ceil(spread * 1000))
    if milliseconds / 1000 < wait:  # the product was rounded down
        milliseconds += 1
    return RetryHint(seconds=-(-milliseconds // 1000), milliseconds=milliseconds)


def retry_headers(hint: RetryHint) -> list[tuple[str, str]]:
    """The response headers of every 429 and 503.

    No milliseconds where the wait is an estimate: SDKs read those first, and would spend their retries within half a
    second on a slot that is held for a whole stream.
    """
    return [("retry-after", str(hint.seconds))]


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


def rate_headers(rejection: Rejection, hint: RetryHint, policies: Sequence[Policy] = ()) -> list[tuple[str, str]]:
    """The response headers of a rate limit's 429: those of a retry, and which rule said no."""
    return [
        *retry_headers(hint),
        ("retry-after-ms", str(hint.milliseconds)),
        *limit_headers(rejection, policies),
    ]


def limit_headers(rejection: Rejection, policies: Sequence[Policy] = ()) -> list[tuple[str, str]]:
    """Which limit said no, and all that the call fell under, the one that said no first.

    `RateLimit` and `RateLimit-Policy` follow draft-ietf-httpapi-ratelimit-headers-10: `q` is the quota per `w` seconds
    in units of `qu`, requests unless said, `r` what remains for such a call, `t` the seconds until there is more. `t`
    is the true wait, also where Retry-After is capped.
    """
    wait = min(max(1, ceil(rejection.retry_after)), _LARGEST_INTEGER)
    listed = policies or (Policy(rejection.limit, int(rejection.allowed), rejection.window),)
    return [
        ("ratelimit", f'"{rejection.limit}";r=0;t={wait}'),
        ("ratelimit-policy", ", ".join([policy.item for policy in listed])),
    ]
