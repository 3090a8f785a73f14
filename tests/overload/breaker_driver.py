"""What tests do with a `Breaker`: calls that end at once, and breakers that are open already."""

from aibridge.overload.breaker import Breaker, BreakerRule, Ticket
from aibridge.overload.outcome import Outcome, Rejection

SUCCESS, FAILURE, IGNORED = Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORED
IN_A_ROW = BreakerRule(failure_ratio=0.0)
RATIO = BreakerRule(failure_threshold=0, minimum_calls=4)
SLOW = BreakerRule(failure_threshold=0, failure_ratio=0.0, slow_first_byte=2.0, slow_ratio=0.75, minimum_calls=4)


def entered(breaker: Breaker, now: float) -> Ticket:
    ticket = breaker.enter(now)
    assert isinstance(ticket, Ticket)
    return ticket


def refused(breaker: Breaker, now: float) -> Rejection:
    rejection = breaker.enter(now)
    assert isinstance(rejection, Rejection)
    return rejection


def called(breaker: Breaker, now: float, outcome: Outcome = FAILURE, first_byte: float | None = None) -> bool:
    """One call that ends at once; whether it opened the breaker."""
    return breaker.leave(entered(breaker, now), outcome, now, first_byte)


def opened(rule: BreakerRule, now: float) -> Breaker:
    """A breaker that was opened at `now` by another process, for as long as it would have been by its own calls."""
    breaker = Breaker("openai", rule)
    breaker.trip(now, rule.timeout)
    return breaker
