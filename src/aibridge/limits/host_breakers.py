"""The breakers of a host: of each name one, which knows what became of the probes of all workers."""

from collections.abc import Callable, Iterator
from time import monotonic

from aibridge.limits.counts import SharedBreakers
from aibridge.limits.probes import MOMENT, ended, shared_place
from aibridge.overload.breaker import Breaker, BreakerRule, Probe, State, Ticket
from aibridge.overload.outcome import Outcome, Rejection


class HostBreakers:
    """Opened by what is told, half-open by the clock, closed by the successes of all workers together.

    `beyond` is where hosts share. `tell` hears of each breaker that opened, with the seconds left, or closed (0.0).
    """

    def __init__(
        self, beyond: SharedBreakers, tell: Callable[[str, float], None], clock: Callable[[], float] = monotonic
    ) -> None:
        self._beyond = beyond
        self._tell = tell
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        beyond.listen(self._changed)

    def tripped(self, name: str, seconds: float) -> None:
        """A worker says that a breaker opened, or, with 0.0, that somebody closed it; other hosts shall know, too."""
        self._beyond.tripped(name, seconds)
        self._changed(name, seconds)

    def standing(self) -> Iterator[tuple[str, float]]:
        """Those that are not closed, and for how many seconds they are open: half-open ones for a `MOMENT`."""
        now = self._clock()
        for name, breaker in self._breakers.items():
            if breaker.state(now) is not State.CLOSED:
                yield name, breaker.time_left(now) or MOMENT

    async def enter(self, name: str, most: int, lease: float) -> Ticket | Rejection:
        """Let a worker's probe go if there is a place for it, here and beyond. Cancelled, it has left."""
        breaker = self._breaker(name)
        breaker.rule = BreakerRule(max_requests=most, lease=lease)
        entered = breaker.enter(self._clock())
        if isinstance(entered, Probe):
            entered = await shared_place(breaker, entered, self._beyond, self._clock)
        return entered  # if it is closed here, then the worker, too, has heard so when it gets the answer

    def leave(self, ticket: Ticket, *, succeeded: bool) -> None:
        """A worker's probe has ended. A failure that opens the breaker is told by `tripped`."""
        breaker, now = ticket.breaker, self._clock()
        assert breaker is not None, "it leaves once"  # noqa: S101
        breaker.leave(ticket, Outcome.SUCCESS if succeeded else Outcome.IGNORED, now)
        ended(ticket, breaker.name, self._beyond, succeeded=succeeded)
        if isinstance(ticket, Probe) and ticket.closed:
            self._tell(breaker.name, 0.0)

    def _changed(self, name: str, seconds: float) -> None:
        breaker, now = self._breaker(name), self._clock()
        if seconds > 0.0:
            breaker.trip(now, seconds)
        else:
            breaker.reset(now)
        self._tell(name, seconds)

    def _breaker(self, name: str) -> Breaker:
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._breakers[name] = Breaker(name, BreakerRule())
        return breaker
