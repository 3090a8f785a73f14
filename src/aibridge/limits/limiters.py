"""The limiters that decide a call: looked up once, asked together, and told at its end what it used."""

from collections.abc import Sequence

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

    def exceeded(self, asks: Sequence[Ask]) -> bool:
        """Whether an ask costs more than can ever be taken at once."""
        for place, limiter in self.weighed:  # noqa: SIM110 (a generator would take twice the time)
            if asks[place].cost > limiter.burst:
                return True
        return False

    def take(self, asks: Sequence[Ask], now: float) -> bool:
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

    def refused(self, asks: Sequence[Ask], now: float) -> list[Ask]:
        """The asks for which there is not enough left."""
        return [ask for ask, limiter in zip(asks, self.each, strict=True) if not limiter.admits(now, ask.cost)]

    def refusal(self, asks: Sequence[Ask], now: float, waited: float = 0.0) -> Refusal | None:
        """What those are told for whom there is not enough left; `waited` is for how long they stood in a queue."""
        first: Ask | None = None
        used = wait = 0.0
        for ask, limiter in zip(asks, self.each, strict=True):
            if not limiter.admits(now, ask.cost):
                if first is None:
                    first = ask
                    used = limiter.used(now)
                wait = max(wait, limiter.wait(now, ask.cost))
        return None if first is None else Refusal(first.rule, first.key, used, wait, waited)

    def give_back(self, taken_at: float, outcome: Outcome, now: float) -> None:
        """Give back what is held by a call that took it at `taken_at`."""
        for limiter in self.held:
            limiter.give_back(taken_at, outcome, now)

    def correct(self, asks: Sequence[Ask], costs: Sequence[float], taken_at: float, now: float) -> None:
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
