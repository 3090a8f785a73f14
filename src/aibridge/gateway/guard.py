"""Is the provider in a state to be asked?

Each call is let through by a breaker, and, where asked for, by a limit that finds out how many calls the provider takes
at once. Both learn from how it ends.
"""

from collections.abc import Callable
from http import HTTPStatus

from aibridge.domain.errors import AtCapacity, CircuitOpen, UpstreamFailed, UpstreamUnreachable
from aibridge.gateway.call import Call, Clock, Handler, Layer
from aibridge.gateway.guards import Guarded, Guards
from aibridge.gateway.reply import Reply
from aibridge.gateway.withheld import Withheld
from aibridge.overload.adaptive import AdaptiveLimiter
from aibridge.overload.breaker import Probe, Ticket
from aibridge.overload.concurrency import Permit
from aibridge.overload.outcome import Outcome, Rejection

OVERLOADED = frozenset((429, 503, 529))
"""What a provider answers that has more to do than it can."""

CLIENTS_AFFAIR = frozenset(
    (
        "authentication_error",
        "billing_error",
        "content_filter",
        "insufficient_quota",
        "invalid_request_error",
        "not_found_error",
        "permission_error",
        "rate_limit_error",
        "rate_limit_exceeded",
        "request_too_large",
    )
)
"""Errors in a stream that are no failure of the provider's, by the vendors' names for them."""


def guard(guards: Guards, clock: Clock) -> Layer:
    """Refuse what keeps failing, and what would be too much; learn from how each call ends."""

    def layer(handle: Handler) -> Handler:
        async def guarded(call: Call, reply: Reply) -> None:
            place = guards.of(call)
            began = clock()
            ticket = _ticket(place, began)
            if isinstance(ticket, Probe):
                ticket = await _agreed(guards, place, ticket)
                began = clock()
            permit: Permit | None = None
            outcome, overloaded = Outcome.IGNORED, False
            try:
                permit = _permit(place, began)
                if permit is not None and place.limiter is not None:  # at the end of a stream it would be old news
                    reply.begun = _learning(place.limiter, permit, began)
                await handle(call, reply)
                outcome, overloaded = verdict(reply), reply.status in OVERLOADED
            except UpstreamFailed as failure:
                outcome, overloaded = Outcome.FAILURE, _no_room(failure)
                raise
            finally:
                now = clock()
                first_byte = None if reply.first_byte_at is None else reply.first_byte_at - began
                if permit is not None and place.limiter is not None:
                    reply.begun = None
                    place.limiter.leave(permit, outcome, now, overloaded=overloaded)
                if ticket is not None and place.breaker is not None:
                    opened = place.breaker.leave(ticket, outcome, now, first_byte)
                    if opened:
                        guards.opened(place, now)
                    if isinstance(ticket, Probe):
                        guards.probed(place, ticket, succeeded=outcome is Outcome.SUCCESS and not opened)

        return guarded

    return layer


def verdict(reply: Reply) -> Outcome:
    """What an answer says of its provider.

    Answered is not served: an error in a stream that began with 200 counts as one in a status does. A refusal of the
    request (4xx) is the client's affair and says nothing; nor does 429, which is about how much was asked, by whom.
    """
    status = reply.status or 0
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.FAILURE
    if status >= HTTPStatus.BAD_REQUEST:
        return Outcome.IGNORED
    error = reply.reading.error if reply.reading is not None else None
    if error is not None:
        return Outcome.IGNORED if error in CLIENTS_AFFAIR else Outcome.FAILURE
    return Outcome.SUCCESS


def _no_room(failure: UpstreamFailed) -> bool:
    """Whether a failure says that the provider has more to do than it can."""
    if isinstance(failure, Withheld):
        return failure.answered in OVERLOADED
    return isinstance(failure, UpstreamUnreachable)


def _learning(limiter: AdaptiveLimiter, permit: Permit, began: float) -> Callable[[float], None]:
    """Tells a limiter how long the first byte of a call took, when it comes."""
    return lambda at: limiter.answered(permit, at - began, at)


def _ticket(place: Guarded, now: float) -> Ticket | None:
    if place.breaker is None:
        return None
    return _let_go(place, place.breaker.enter(now))


async def _agreed(guards: Guards, place: Guarded, probe: Probe) -> Ticket:
    """The ticket of a call that those who share the places of a half-open breaker let go, too."""
    return probe if place.breaker is None else _let_go(place, await guards.probe(place.breaker, probe))


def _let_go(place: Guarded, entered: Ticket | Rejection) -> Ticket:
    if isinstance(entered, Rejection):
        raise CircuitOpen.caller(place.name, entered.retry_after)
    return entered


def _permit(place: Guarded, now: float) -> Permit | None:
    if place.limiter is None:
        return None
    entered = place.limiter.enter(now)
    if isinstance(entered, Rejection):
        raise AtCapacity.caller(
            f"{entered.allowed:g} requests to {place.provider} are in progress, as many as it seems to take at once.",
            rejection=entered,
        )
    return entered
