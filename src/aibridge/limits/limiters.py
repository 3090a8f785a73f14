"""The limiters that decide a call: looked up once, asked together, and told at its end what it used."""

from aibridge.limits.counts import Ask, Refusal
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.outcome import Outcome
from aibridge.overload.rate import ExactWindow, Gcra

Limiter = ExactWindow | Gcra | ConcurrencyLimiter
"""What counts one subject for one rule."""


class Limiters:
    """One for each ask of a call, in `each`; the others are the same ones by their kinds, with their places in it.

    A call takes its cost of what is `weighed`, and one of all others, which are `counted`: of these, what is `held` has
    to come back, and what `windows` counted may turn out not to count.
    """

    __slots__ = ("counted", "each", "held", "weighed", "windows")

    def __init__(self, each: list[Limiter]) -> None:
        self.each = each
        self.counted: list[ExactWindow | ConcurrencyLimiter] = []
        self.held: list[ConcurrencyLimiter] = []
        self.windows: list[tuple[int, ExactWindow]] = []
        self.weighed: list[tuple[int, Gcra]] = []
        for place, limiter in enumerate(each):
            if isinstance(limiter, Gcra):
                self.weighed.append((place, limiter))
            elif isinstance(limiter, ExactWindow):
                self.windows.append((place, limiter))
                self.counted.append(limiter)
            else:
                self.held.append(limiter)
                self.counted.append(limiter)

    def exceeded(self, asks: tuple[Ask, ...]) -> bool:
        """Whether an ask costs more than can ever be taken at once."""
        for place, limiter in self.weighed:  # noqa: SIM110 (a generator would take twice the time)
            if asks[place].cost > limiter.burst:
                return True
        return False

    def take(self, asks: tuple[Ask, ...], now: float) -> bool:
        """Take what is asked for of all of them, or nothing; whether it was there. No ask costs more than can ever be.

        Nothing can change between the two rounds.
        """
        for limiter in self.counted:
            if not limiter.admits(now):
                return False
        for place, gcra in self.weighed:
            if not gcra.admits(now, asks[place].cost):
                return False
        for limiter in self.counted:
            limiter.take(now)
        for place, gcra in self.weighed:
            gcra.take(now, asks[place].cost)
        return True

    def lacking(self, asks: tuple[Ask, ...], now: float) -> "Lacking":
        """The asks for which there is not enough left."""
        each = self.each
        return Lacking([(ask, each[place]) for place, ask in enumerate(asks) if not each[place].admits(now, ask.cost)])

    def give_back(self, taken_at: float, outcome: Outcome, now: float) -> None:
        """Give back what is held by a call that took it at `taken_at`."""
        for limiter in self.held:
            limiter.give_back(taken_at, outcome, now)

    def correct(self, asks: tuple[Ask, ...], costs: tuple[float, ...], taken_at: float, now: float) -> None:
        """Correct what was taken at `taken_at` for these asks to the true costs.

        A call that counts as one can become none, but not more.
        """
        for place, gcra in self.weighed:
            difference = costs[place] - asks[place].cost
            if difference:
                gcra.settle(now, difference)
        for place, window in self.windows:
            if costs[place] < 1.0:
                window.give_back(taken_at, now)


class Lacking:
    """The asks of a call for which there was not enough left, and who said so: none where it would be admitted."""

    __slots__ = ("short",)

    def __init__(self, short: list[tuple[Ask, Limiter]]) -> None:
        self.short = short

    def refusal(self, now: float, waited: float, *, queue: bool) -> Refusal:
        """What the call is told; `queue` says whether others may wait for what it lacks."""
        first, limiter = self.short[0]
        used, wait = limiter.used(now), limiter.wait(now, first.cost)
        step: float | None = None
        if len(self.short) > 1:
            wait = max(wait, *[other.wait(now, ask.cost) for ask, other in self.short[1:]])
        elif isinstance(limiter, ConcurrencyLimiter) and not queue:
            step = limiter.step(now)
        return Refusal(first.rule, first.key, used, wait, waited, step)
