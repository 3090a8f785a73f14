"""The limiters against plain readings of their promises: ten thousand steps in all of anything that may happen.

Every instant is a sixteenth of a second, every window a whole number of seconds and every rate a power of two, so
that no rounding blurs what is compared. What rounding does is for the tests of each limiter.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from leaky_bucket import LeakyBucket
from stepping import STEPS, SteppingMachine, take_steps

from aibridge.overload.concurrency import HORIZON, ConcurrencyLimiter, Permit
from aibridge.overload.outcome import Outcome, Rejection
from aibridge.overload.rate import ExactWindow, Gcra, RateLimiter

T = TypeVar("T")

TICK = 1 / 16
START = 1000.0

ticks = st.one_of(st.integers(0, 8), st.integers(9, 80))
limits = st.sampled_from([1, 2, 3, 5])
windows = st.sampled_from([1.0, 3.0])
rates = st.sampled_from([0.5, 1.0, 4.0, 16.0])
bursts = st.sampled_from([1.0, 3.0, 8.0])
maxima = st.integers(1, 4)
outcomes = st.sampled_from(Outcome)
costs = st.integers(0, 32).map(lambda quarters: quarters / 4)
choices = st.integers(0, 11)  # of one among some
gaps = st.lists(st.sampled_from([0, 0, 0, 1, 2, 5]), min_size=1, max_size=10)
"""Ticks from each of some calls to the next, which comes at once more often than not."""


def chosen(among: list[T], choice: int) -> T:
    return among[choice % len(among)]


def assert_wait(limiter: RateLimiter, now: float, wait: float, cost: float = 1.0) -> None:
    """It tells this wait, which is enough; a tick less is not."""
    assert limiter.wait(now, cost) == wait
    assert limiter.admits(now, cost) is (wait == 0.0)
    assert limiter.admits(now + wait, cost)
    assert wait == 0.0 or not limiter.admits(now + wait - TICK, cost)


@dataclass
class WindowReference:
    """The instants at which calls leave the window, oldest first, and one look through all of them for each question.

    `counting` has when each of the calls came that count and came under the present rule, to be sure of the bound
    itself, which is not said by the list: a call that is given back takes the oldest one from it, not its own.
    """

    limit: int
    window: float
    leave: list[float] = field(default_factory=list)
    last: float = 0.0  # when all that ever came will have left
    counting: list[float] = field(default_factory=list)
    late: set[float] = field(default_factory=set)  # when those came that leave with one of a longer window of before

    def left(self, now: float) -> list[float]:
        return [end for end in self.leave if end > now]

    def wait(self, now: float) -> float:
        left = self.left(now)
        return left[-self.limit] - now if len(left) >= self.limit else 0.0

    def take(self, now: float) -> None:
        if self.last > now + self.window:  # none leaves before an older one, where windows became shorter
            self.late.add(now)
        self.last = max(self.last, now + self.window)
        self.leave.append(self.last)
        self.counting.append(now)
        assert sum(now - at < self.window for at in self.counting) <= self.limit

    def give_back(self, taken_at: float, now: float) -> None:
        self.counting.remove(taken_at)
        if now - taken_at < self.window:
            self.leave.remove(min(self.left(now)))

    def resize(self, now: float, limit: int, window: float) -> None:
        self.leave = self.left(now)[-limit:]
        self.limit, self.window = limit, window
        self.counting.clear()
        self.late.clear()


class WindowMachine(SteppingMachine):
    """Calls that come, wait as they are told or do not, turn out not to count, and a rule that changes under them."""

    @initialize(limit=limits, window=windows)
    def begin(self, limit: int, window: float) -> None:
        self.now = START
        self.limiter = ExactWindow(limit, window, "calls")
        self.reference = WindowReference(limit, window)
        self.before: list[float] = []

    @rule(ticks=ticks)
    def time_passes(self, ticks: int) -> None:
        self.now += ticks * TICK

    @precondition(lambda self: self.reference.left(self.now))
    @rule(choice=choices)
    def a_call_is_just_leaving(self, choice: int) -> None:
        self.now = chosen(self.reference.left(self.now), choice)

    @rule(gaps=gaps)
    def take(self, gaps: list[int]) -> None:
        """Calls that take no for an answer."""
        for gap in gaps:
            self.step()
            self.now += gap * TICK
            wait, allowed = self.reference.wait(self.now), (self.reference.limit, self.reference.window)
            answer = self.limiter.take(self.now)
            if wait:
                assert answer == Rejection("calls", *allowed, retry_after=wait)
            else:
                assert answer is None
                self.reference.take(self.now)

    @rule()
    def wait_and_take(self) -> None:
        self.step()
        self.now += self.limiter.wait(self.now)
        assert self.limiter.take(self.now) is None
        self.reference.take(self.now)

    @rule(gaps=gaps, choice=choices)
    def give_back(self, gaps: list[int], choice: int) -> None:
        """Some calls that came under the present rule did not count, whether they have left the window or not.

        One for which a longer window of before still counts is left alone: nothing is promised about its place.
        """
        for gap in gaps[: len(self.reference.counting)]:
            self.now += gap * TICK
            taken_at = chosen(self.reference.counting, choice)
            leaves_at = taken_at + self.reference.window
            leaves_in_time = leaves_at in self.reference.leave and taken_at not in self.reference.late
            if leaves_in_time or leaves_at <= self.now:
                self.step()
                self.reference.give_back(taken_at, self.now)
                self.limiter.give_back(taken_at, self.now)
                self.both_say_the_same()

    @precondition(lambda self: self.before)
    @rule(choice=choices)
    def give_back_from_before(self, choice: int) -> None:
        """A call that came under another rule did not count: nobody is let in for that."""
        self.step()
        self.limiter.give_back(chosen(self.before, choice), self.now)

    @rule(limit=limits, window=windows)
    def resize(self, limit: int, window: float) -> None:
        self.step()
        self.before += [at for at in self.reference.counting if at < self.now]
        self.reference.resize(self.now, limit, window)
        self.limiter.resize(self.now, limit, window)

    @invariant()
    def both_say_the_same(self) -> None:
        assert_wait(self.limiter, self.now, self.reference.wait(self.now))
        assert self.limiter.used(self.now) == len(self.reference.left(self.now))
        assert self.limiter.idle(self.now) is (self.now >= self.reference.last)


class GcraMachine(SteppingMachine):
    """Calls that cost this or that, perhaps known only afterwards, and a rate that changes while some is spent."""

    @initialize(rate=rates, burst=bursts)
    def begin(self, rate: float, burst: float) -> None:
        self.now = START
        self.limiter = Gcra(rate, burst, "tokens")
        self.reference = LeakyBucket(Fraction(rate), Fraction(burst))

    @rule(ticks=ticks)
    def time_passes(self, ticks: int) -> None:
        self.now += ticks * TICK

    @rule()
    def all_is_just_refilled(self) -> None:
        self.reference.drain(self.now)
        self.now += float(self.reference.level / self.reference.rate)

    @rule(cost=costs, gaps=gaps)
    def take(self, cost: float, gaps: list[int]) -> None:
        """Calls of one cost, no higher than can ever pass, that take no for an answer."""
        cost = min(cost, self.limiter.burst)
        for gap in gaps:
            self.step()
            self.now += gap * TICK
            wait, burst, rate = self.reference.take(self.now, cost), self.limiter.burst, self.limiter.rate
            answer = self.limiter.take(self.now, cost)
            assert answer == (Rejection("tokens", burst, burst / rate, float(wait)) if wait else None)

    @rule(cost=costs)
    def wait_and_take(self, cost: float) -> None:
        self.step()
        cost = min(cost, self.limiter.burst)
        self.now += self.limiter.wait(self.now, cost)
        assert self.limiter.take(self.now, cost) is None
        assert self.reference.take(self.now, cost) == 0

    @rule(difference=st.integers(-40, 40))
    def settle(self, difference: int) -> None:
        self.step()
        self.limiter.settle(self.now, difference / 4)
        self.reference.settle(self.now, difference / 4)

    @rule(rate=rates, burst=bursts)
    def retune(self, rate: float, burst: float) -> None:
        self.step()
        self.limiter.retune(self.now, rate, burst)
        self.reference.retune(self.now, Fraction(rate), Fraction(burst))

    @invariant()
    def both_say_the_same(self) -> None:
        burst = float(self.reference.burst)
        for cost in (0.0, 0.25, burst):
            wait = float(self.reference.wait(self.now, cost))
            assert_wait(self.limiter, self.now, wait, cost)
        assert self.limiter.used(self.now) == self.reference.level
        assert self.limiter.idle(self.now) is (self.reference.level == 0)


@dataclass
class PermitReference:
    """Who is in and since when, how long each was that taught something, and the instant that was promised last."""

    maximum: int
    since: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)
    promised: float = 0.0

    @property
    def full(self) -> bool:
        return len(self.since) >= self.maximum

    def average_hold(self) -> float:
        average = 0.0
        for hold in self.holds:
            average = (15 * average + hold) / 16 if average else hold
        return average

    def wait(self, now: float) -> float:
        if not self.full:
            return 0.0
        mean_age = sum(now - since for since in self.since) / len(self.since)
        pace = max(self.average_hold(), mean_age) / self.maximum
        self.promised = min(max(self.promised, now) + pace, now + HORIZON)
        return self.promised - now

    def leave(self, since: float, outcome: Outcome, now: float) -> None:
        self.since.remove(since)
        if outcome is not Outcome.IGNORED:
            self.holds.append(now - since)
        if not self.since:
            self.promised = 0.0


class PermitMachine(SteppingMachine):
    """Calls with a permit and without, that end or never do, and a maximum that changes under them."""

    @initialize(maximum=maxima)
    def begin(self, maximum: int) -> None:
        self.now = START
        self.limiter = ConcurrencyLimiter(maximum, "house")
        self.reference = PermitReference(maximum)
        self.permits: list[Permit] = []
        self.without: list[float] = []
        self.back: list[Permit] = []
        self.promised = 0.0

    @rule(ticks=ticks)
    def time_passes(self, ticks: int) -> None:
        self.now += ticks * TICK

    @rule(gaps=gaps)
    def enter(self, gaps: list[int]) -> None:
        for gap in gaps:
            self.now += gap * TICK
            answer = self.limiter.enter(self.now)
            if isinstance(answer, Permit):
                self.permits.append(answer)
            self.see(None if isinstance(answer, Permit) else answer)

    @rule()
    def take(self) -> None:
        answer = self.limiter.take(self.now)
        if answer is None:
            self.without.append(self.now)
        self.see(answer)

    def see(self, answer: Rejection | None) -> None:
        """The next call was let in, or refused as the reference says."""
        self.step()
        assert (answer is not None) is self.reference.full
        if answer is None:
            self.reference.since.append(self.now)
        else:
            assert (answer.limit, answer.allowed, answer.window) == ("house", self.reference.maximum, 0.0)
            self.see_promise(answer.retry_after)

    def see_promise(self, wait: float) -> None:
        """Whoever asks is promised no earlier instant than who asked before."""
        assert wait == pytest.approx(self.reference.wait(self.now), abs=1e-9)
        assert 0.0 <= wait <= HORIZON
        assert self.now + wait >= self.promised
        self.promised = self.now + wait

    @rule()
    def ask(self) -> None:
        self.step()
        if self.reference.full:
            self.see_promise(self.limiter.wait(self.now))
        else:
            assert self.limiter.wait(self.now) == 0.0

    @precondition(lambda self: self.permits)
    @rule(choice=choices, outcome=outcomes)
    def leave(self, choice: int, outcome: Outcome) -> None:
        self.step()
        permit = self.permits.pop(choice % len(self.permits))
        self.limiter.leave(permit, outcome, self.now)
        self.reference.leave(permit.entered_at, outcome, self.now)
        self.back.append(permit)

    @precondition(lambda self: self.without)
    @rule(choice=choices, outcome=outcomes)
    def give_back(self, choice: int, outcome: Outcome) -> None:
        self.step()
        taken_at = self.without.pop(choice % len(self.without))
        self.limiter.give_back(taken_at, outcome, self.now)
        self.reference.leave(taken_at, outcome, self.now)

    @precondition(lambda self: self.back)
    @rule(choice=choices)
    def leave_twice(self, choice: int) -> None:
        self.step()
        with pytest.raises(RuntimeError, match="not held"):
            self.limiter.leave(chosen(self.back, choice), Outcome.SUCCESS, self.now)

    @rule(maximum=maxima)
    def change_the_maximum(self, maximum: int) -> None:
        self.step()
        self.limiter.maximum = self.reference.maximum = maximum

    @invariant()
    def both_say_the_same(self) -> None:
        count = len(self.reference.since)
        assert count == len(self.permits) + len(self.without)
        assert (self.limiter.in_flight, self.limiter.used(self.now)) == (count, count)
        assert self.limiter.full is self.reference.full
        assert self.limiter.admits(self.now) is not self.reference.full
        assert self.limiter.idle(self.now) is (count == 0)
        if not count:
            self.promised = 0.0  # an empty house owes nobody


@pytest.mark.thorough
def test_in_ten_thousand_steps_no_limiter_differs_from_its_reference() -> None:
    machines = [WindowMachine, GcraMachine, PermitMachine]
    for machine in machines:
        take_steps(machine, STEPS // len(machines) + 1)
    assert sum(machine.steps for machine in machines) >= STEPS
