"""Whose call is it? Looked up at the door, in memory."""

from collections.abc import Callable, MutableMapping
from typing import Final
from weakref import ref

from aibridge.domain.errors import CallError, Forbidden, RateLimited, Unauthenticated
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import PREFIX
from aibridge.gateway.call import Call, Check
from aibridge.gateway.head import Head, Recognised
from aibridge.gateway.headers import Fields, Headers
from aibridge.overload.caller import address_group
from aibridge.overload.keyed import Keyed
from aibridge.overload.rate import RateLimiter

GOVERNANCE_TOKEN: Final = b"x-coder-ai-governance-token"
"""Carries our token beside a provider credential of the client's own (BYOK)."""

_BEARER: Final = b"authorization"
_OUR_PREFIX: Final = PREFIX.encode()
CARRIERS: Final = (GOVERNANCE_TOKEN, _BEARER, b"x-api-key", b"x-goog-api-key", b"coder-session-token")
"""Where a token may stand. SDK majors differ, and helpers fill several at once; the one that is ours wins."""

OWN_CREDENTIAL_CARRIERS: Final = frozenset((_BEARER, b"x-api-key"))
"""Where a client puts a credential of its own for the provider."""

WHERE = (
    "Send a token of AI Bridge (it begins with aib_) as `Authorization: Bearer TOKEN` or `X-Api-Key: TOKEN`. "
    "With a provider key of your own, send the token as `X-Coder-AI-Governance-Token` beside it. "
    "`aibridge tokens create` makes one."
)
WHO_MAY_CALL = (
    "Its scope has to include aibridge_interception:create, without a list of objects that it is for, and its user has "
    "to be a member of the token's organization."
)


def identify(
    snapshot: Callable[[], Snapshot],
    strangers: Keyed[str, RateLimiter],
    used: MutableMapping[str, int],
    *,
    allow_byok: bool,
) -> Check:
    """Find the actor by the token, in whichever header it comes.

    `strangers` limits failed attempts by address, so that inventing tokens buys nothing. A known token always passes,
    also from an address with many failures: an office behind one address does not suffer from one stale client. There
    is no look-up outside memory, whatever is presented. `used` learns when tokens are used, in UTC microseconds.
    """
    to_strangers = _ToStrangers(strangers)

    def check(call: Call) -> CallError | None:
        head, known, now = call.head, snapshot(), call.started_at / 1e6
        recognised = head.recognised
        if recognised is None or not recognised.stands(known, now):
            recognised = _recognised(head, known, now)
            if recognised is None:
                return to_strangers.refuse(head, call.started)
        actor = call.actor = recognised.token.actor
        used[actor.token_id] = call.started_at
        if not actor.may_call:
            return Forbidden("This token may not make AI calls.", WHO_MAY_CALL, field="authorization")
        if recognised.own_credential is not None:
            if not allow_byok:
                return Forbidden(
                    "Bring Your Own Key (BYOK) mode is not enabled.",
                    "Send the token as `Authorization: Bearer` instead, or set --aibridge-allow-byok.",
                    field=GOVERNANCE_TOKEN.decode(),
                )
            call.own_credential = recognised.own_credential
        return None

    return check


def _recognised(head: Head, known: Snapshot, now: float) -> Recognised | None:
    """Look a head's tokens up, and keep in it what was found, or that nothing was."""
    unknown_to = head.unknown_to
    if unknown_to is not None and unknown_to() is known:  # time changes that only if it goes back
        return None
    presented = _presented(head.fields)
    for place, text in enumerate(presented.values()):
        token = known.token_of(text, now)
        if token is not None:
            found = Recognised(token, known, _own(head.headers) if GOVERNANCE_TOKEN in presented else None)
            if place == 0:  # else one that comes before it may be known by the next call
                head.recognised = found
            return found
    head.unknown_to = ref(known)
    return None


def _presented(fields: Fields) -> dict[bytes, str]:
    """What the carriers hold, by carrier."""
    presented: dict[bytes, str] = {}
    for name in CARRIERS:
        value = fields.get(name)
        if value is not None:
            text = _credential_in(name, value)
            if text:
                presented[name] = text
    return presented


def _credential_in(name: bytes, value: bytes) -> str:
    text = value.decode("latin-1").strip()
    if name == _BEARER:
        scheme, _, text = text.partition(" ")
        return text.strip() if scheme.lower() == "bearer" else ""
    return text


def _own(headers: Headers) -> Headers:
    """The client's credential for the provider: as it came, and nothing that may hold a token of ours."""
    return [(name, value) for name, value in headers if name in OWN_CREDENTIAL_CARRIERS and _OUR_PREFIX not in value]


class _ToStrangers:
    """What somebody without a valid token is told: always the same, so that it need not be written each time.

    Attempts are counted by `limiters`, which allow the same for every address, and too many are told to wait.
    """

    def __init__(self, limiters: Keyed[str, RateLimiter]) -> None:
        self._limiters = limiters
        not_valid = "The token is not valid: unknown, expired or revoked."
        self._not_valid = Unauthenticated(not_valid, WHERE, field="authorization").lasting()
        self._none_sent = Unauthenticated("No token was sent.", WHERE, field="authorization").lasting()
        self._too_many: RateLimited | None = None

    def refuse(self, head: Head, now: float) -> Unauthenticated | RateLimited:
        """Count an attempt, and say what it is told. To be answered before anybody is told the next time."""
        rejection = self._limiters.get(address_group(head.address), now).take(now)
        if rejection is None:
            return self._not_valid if _presented(head.fields) else self._none_sent
        if self._too_many is None:
            self._too_many = RateLimited.stranger(rejection).lasting()
        return self._too_many.again(rejection.retry_after)
