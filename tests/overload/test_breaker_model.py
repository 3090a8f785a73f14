"""`Breaker` against a plain reading of its promises: ten thousand steps of anything that may happen, in any order."""

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)
from stepping import SteppingMachine, take_steps

from aibridge.overload.breaker import Breaker, BreakerRule, Probe, State, Ticket
from aibridge.overload.outcome import Outcome, Rejection
from aibridge.overload.tally import Tally

RULES = [
    BreakerRule(failure_ratio=0.0, failure_threshold=3),
    BreakerRule(failure_threshold=0, minimum_calls=4, max_requests=1, timeout=5.0, lease=2.0),
    BreakerRule(
        failure_threshold=4, minimum_calls=3, failure_ratio=0.75, slow_first_byte=2.0, slow_ratio=0.5, timeout=8
    ),
    BreakerRule(failure_threshold=2, max_requests=2, timeout=1.0, lease=16.0, slow_first_byte=2.0, slow_ratio=0.0),
]
"""Every instant is a quarter of a second, and every length too, so that no rounding blurs what is compared."""

outcomes = st.sampled_from(Outcome)
first_bytes = st.sampled_from([None, 0.5, 2.0, 2.25])


@dataclass
class Reference:
    """Remembers every call for ever, and looks up all of it for every question."""

    rule: BreakerRule
    ends: float | None = None  # of the break, while it is not closed
    probing: bool = False
    era: int = 0
    ended: list[tuple[float, str]] = field(default_factory=list)  # in this era: when its tenth began, and how it ended
    leases: dict[int, float] = field(default_factory=dict)
    good_probes: int = 0
    full: tuple[float, float] | None = None  # when there was no place elsewhere, and the wait that was told

    def look(self, now: float) -> State:
        self.probing = self.ends is not None and (self.probing or now >= self.ends)
        return State.CLOSED if self.ends is None else State.HALF_OPEN if self.probing else State.OPEN

    def lately(self, now: float) -> list[str]:
        return [how for began, how in self.ended if now - began < self.rule.interval]

    def goes(self, number: int, now: float) -> bool:
        if self.look(now) is State.HALF_OPEN:
            if self.full is not None and self.full[0] == now:  # a moment is less than a quarter of a second
                return False
            holders = sorted(self.leases, key=lambda holder: self.leases[holder])
            if len(holders) >= self.rule.max_requests and self.leases[holders[0]] <= now:
                del self.leases[holders[0]]
            if len(self.leases) >= self.rule.max_requests:
                return False
            self.leases[number] = now + self.rule.lease
        return self.look(now) is not State.OPEN

    def learns(self, number: int, how: str, now: float) -> bool:
        self.leases.pop(number, None)
        self.full = None
        if how == "ignored":
            return False
        if self.ends is not None:
            self.good_probes += how == "good"
            if self.good_probes == self.rule.max_requests:
                self.changes(None)
            return how != "good"
        began = self.ended[-1][0] if self.ended else now
        self.ended.append((began if now - began < self.rule.interval / 10 else now, how))
        lately, rule = self.lately(now), self.rule
        bad_row = rule.failure_threshold > 0 and lately[-rule.failure_threshold :] == ["bad"] * rule.failure_threshold
        enough = len(lately) >= rule.minimum_calls
        bad_share = enough and rule.failure_ratio > 0 and lately.count("bad") >= rule.failure_ratio * len(lately)
        slow_share = enough and rule.slow_ratio > 0 and lately.count("slow") >= rule.slow_ratio * len(lately)
        return how != "good" and (bad_row or bad_share or slow_share)

    def changes(self, ends: float | None) -> None:
        self.ends, self.probing, self.good_probes = ends, False, 0
        self.era += 1
        self.leases.clear()
        if ends is None:
            self.ended.clear()


class BreakerMachine(SteppingMachine):
    """Calls that end at once, late or never, breaks heard of from elsewhere, an operator, and time."""

    tickets = Bundle[tuple[Ticket, int, int]]("tickets")  # with its number and era in the reference

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.numbers = 0

    @initialize(kind=st.sampled_from(RULES))
    def begin(self, kind: BreakerRule) -> None:
        self.kind = kind
        self.breaker = Breaker("model", kind)
        self.reference = Reference(kind)
        self.rejections = self.trips = 0

    @rule(quarters=st.one_of(st.integers(1, 8), st.integers(9, 200)))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4

    @rule(target=tickets)
    def enter(self) -> tuple[Ticket, int, int]:
        """A call; one that is refused waits as it is told, where that is exact, and until it goes, where it is not."""
        self.numbers += 1
        while True:
            goes = self.reference.goes(self.numbers, self.now)
            answer = self.breaker.enter(self.now)
            self.step()
            assert isinstance(answer, Ticket) is goes
            if isinstance(answer, Ticket):
                return answer, self.numbers, self.reference.era
            self.rejections += 1
            ends = self.reference.ends
            assert ends is not None
            if self.reference.look(self.now) is State.OPEN:
                assert (answer.allowed, answer.retry_after) == (0, ends - self.now)
            else:
                assert answer.allowed == self.kind.max_requests
                full = self.reference.full
                if full is not None and full[0] == self.now:
                    assert answer.retry_after == full[1]
                else:
                    assert 0.0 < answer.retry_after <= min(self.reference.leases.values()) - self.now
            self.now += answer.retry_after

    @rule(times=st.integers(1, 5))
    def call_in_vain(self, times: int) -> None:
        """Calls that take no for an answer, and lose their ticket if they get one."""
        for _ in range(times):
            self.numbers += 1
            goes = self.reference.goes(self.numbers, self.now)
            assert isinstance(self.breaker.enter(self.now), Ticket) is goes
            self.rejections += not goes
            self.step()

    @rule(quarters=st.integers(1, 20))
    def find_no_place_elsewhere(self, quarters: int) -> None:
        """A call that is let go here, and is turned away if it is a probe."""
        self.numbers += 1
        goes = self.reference.goes(self.numbers, self.now)
        answer = self.breaker.enter(self.now)
        self.step()
        assert isinstance(answer, Probe) is (goes and self.reference.look(self.now) is State.HALF_OPEN)
        self.rejections += not goes
        if isinstance(answer, Probe):
            self.reference.leases.pop(self.numbers)
            self.reference.full = self.now, quarters / 4
            no = self.breaker.turn_away(answer, quarters / 4, self.now)
            assert no == Rejection("model", self.kind.max_requests, 0.0, quarters / 4)
            self.rejections += 1

    @rule(ticket=consumes(tickets), outcome=outcomes, first_byte=first_bytes)
    def leave(self, ticket: tuple[Ticket, int, int], outcome: Outcome, first_byte: float | None) -> None:
        given, number, era = ticket
        watched = self.kind.slow_first_byte > 0 and self.kind.slow_ratio > 0
        slow = watched and first_byte is not None and first_byte > self.kind.slow_first_byte
        how = {Outcome.IGNORED: "ignored", Outcome.FAILURE: "bad"}.get(outcome, "slow" if slow else "good")
        opens = era == self.reference.era and self.reference.learns(number, how, self.now)
        if opens:
            self.reference.changes(self.now + self.kind.timeout)
            self.trips += 1
        assert self.breaker.leave(given, outcome, self.now, first_byte) is opens
        self.step()

    @rule(ends=st.lists(st.tuples(outcomes, first_bytes, st.integers(0, 6)), min_size=1, max_size=8))
    def calls_in_turn(self, ends: list[tuple[Outcome, float | None, int]]) -> None:
        """Calls that are not interrupted by anything but time."""
        for outcome, first_byte, quarters in ends:
            self.leave(self.enter(), outcome, first_byte)
            self.now += quarters / 4

    @rule(ticket=consumes(tickets))
    def lose(self, ticket: tuple[Ticket, int, int]) -> None:
        """A call that hangs for ever, or whose worker died."""

    @rule(quarters=st.integers(1, 100))
    def hear_of_a_break(self, quarters: int) -> None:
        ends = self.now + quarters / 4
        if self.reference.look(self.now) is not State.OPEN or (self.reference.ends or 0.0) < ends:
            self.reference.changes(ends)
        self.breaker.trip(self.now, quarters / 4)

    @precondition(lambda self: self.reference.ends is not None)
    @rule()
    def reset(self) -> None:
        self.reference.changes(None)
        self.breaker.reset(self.now)

    @invariant()
    def both_say_the_same(self) -> None:
        state, lately = self.reference.look(self.now), self.reference.lately(self.now)
        assert self.breaker.state(self.now) is state
        left = (self.reference.ends or 0.0) - self.now if state is State.OPEN else 0.0
        assert self.breaker.time_left(self.now) == left
        assert self.breaker.window(self.now) == Tally(len(lately), lately.count("bad"), lately.count("slow"))
        assert self.breaker.idle(self.now) is (state is State.CLOSED and not lately)
        assert (self.breaker.rejections, self.breaker.trips) == (self.rejections, self.trips)


@pytest.mark.thorough
def test_in_ten_thousand_steps_it_never_differs_from_the_reference() -> None:
    take_steps(BreakerMachine)
