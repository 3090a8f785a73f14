"""The places of half-open breakers that processes share, as each of those sees them who takes one.

A breaker decides by itself first, by the same rule, so that no process asks about more calls than there are places.
What it lets go as a probe is then asked for where the others ask, too.
"""

from collections.abc import Callable
from typing import Final

from aibridge.limits.counts import SharedBreakers
from aibridge.overload.breaker import Breaker, Probe, Ticket
from aibridge.overload.outcome import Outcome, Rejection

MOMENT: Final = 0.001
"""Seconds for which a breaker opens that is half-open elsewhere already, and of which nobody here has heard."""


class Trips:
    """Tells somebody of breakers that opened elsewhere. What is told before anybody listens is kept until then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hear: Callable[[str, float], None] | None = None
        self._ends: dict[str, float] = {}

    def tell(self, breaker: str, seconds: float) -> None:
        """A breaker opened for so long; 0.0 where it closed."""
        if self._hear is not None:
            self._hear(breaker, seconds)
        elif seconds > 0.0:
            self._ends[breaker] = self._clock() + seconds
        else:
            self._ends.pop(breaker, None)

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """Tell `hear` from now on, and at once of those that have not closed since they opened."""
        self._hear = hear
        now = self._clock()
        for breaker, end in self._ends.items():
            hear(breaker, max(MOMENT, end - now))
        self._ends.clear()


async def shared_place(
    breaker: Breaker, probe: Probe, shared: SharedBreakers, clock: Callable[[], float]
) -> Ticket | Rejection:
    """What becomes of a probe that `breaker` has let go, once it was asked for where places are shared.

    If the breaker has changed its state meanwhile, the call enters it anew. Cancelled, it has left.
    """
    entered: Ticket | Rejection = probe
    while isinstance(entered, Probe):
        rule = breaker.rule
        try:
            answer = await shared.probe(breaker.name, rule.max_requests, rule.lease)
        except BaseException:
            breaker.leave(entered, Outcome.IGNORED, clock())
            raise
        now = clock()
        if not isinstance(answer, Rejection):
            entered.number = answer
        if breaker.has_a_say(entered):
            return breaker.turn_away(entered, answer.retry_after, now) if isinstance(answer, Rejection) else entered
        breaker.leave(entered, Outcome.IGNORED, now)
        give_back(entered, shared, succeeded=False)
        entered = breaker.enter(now)
    return entered


def ended(ticket: Ticket, breaker: str, shared: SharedBreakers, *, succeeded: bool) -> None:
    """A call has left its breaker: its shared place is free.

    The success of one that had none is counted nowhere else. So if it closed the breaker, that is told; else a break
    that was not heard of yet would be all that the others ever hear.
    """
    give_back(ticket, shared, succeeded=succeeded)
    if succeeded and isinstance(ticket, Probe) and ticket.closed and ticket.number is None:
        shared.tripped(breaker, 0.0)


def give_back(ticket: Ticket, shared: SharedBreakers, *, succeeded: bool) -> None:
    """Give back the shared place of a call, if it has one."""
    if isinstance(ticket, Probe) and ticket.number is not None:
        shared.probed(ticket.number, succeeded=succeeded)
