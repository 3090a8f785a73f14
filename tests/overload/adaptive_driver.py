"""Drives an `AdaptiveLimiter` by hand."""

from aibridge.overload.adaptive import ROUND, AdaptiveLimiter, AdaptiveRule
from aibridge.overload.concurrency import Permit
from aibridge.overload.outcome import Outcome


def limiter(**rule: float) -> AdaptiveLimiter:
    return AdaptiveLimiter(AdaptiveRule(**rule), "upstream")  # type: ignore[arg-type]


def entered(limiter: AdaptiveLimiter, now: float) -> Permit:
    permit = limiter.enter(now)
    assert isinstance(permit, Permit)
    return permit


def filled(limiter: AdaptiveLimiter, now: float) -> list[Permit]:
    """As many permits as there are."""
    return [entered(limiter, now) for _ in range(limiter.limit - limiter.in_flight)]


def succeed(limiter: AdaptiveLimiter, permit: Permit, now: float) -> int:
    limiter.leave(permit, Outcome.SUCCESS, now)
    return limiter.limit


def refuse(limiter: AdaptiveLimiter, permit: Permit, now: float) -> int:
    limiter.leave(permit, Outcome.FAILURE, now, overloaded=True)
    return limiter.limit


def hear(limiter: AdaptiveLimiter, first_byte: float, now: float) -> int:
    """A round of first bytes of calls sent at full use. The first of them lets the limit grow, if it may."""
    permits = filled(limiter, now)
    for _ in range(ROUND):
        limiter.answered(permits[0], first_byte, now)
    for permit in permits:
        limiter.leave(permit, Outcome.IGNORED, now)
    return limiter.limit
