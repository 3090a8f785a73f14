"""`Backlog` against a model that keeps a list and recomputes everything from the whole history."""

from dataclasses import dataclass
from math import exp2, inf

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from stepping import SteppingMachine, take_steps

from aibridge.overload.backlog import Backlog

HALF_LIFE = 4.0
flows = st.sampled_from(["a", "b", "c"])
groups = st.sampled_from(["", "g", "h"])
weights = st.sampled_from([1.0, 1.0, 0.5, 7.0])
newcomers = st.tuples(flows, groups, weights, st.sampled_from([0.5, 2.0, 30.0]), st.booleans())
"""Flow, group, weight, patience in seconds, and whether it is batch work."""


@dataclass
class Modelled:
    """A waiter as the model knows it."""

    name: int
    flow: str
    group: str
    weight: float
    deadline: float
    batch: bool


class BacklogMachine(SteppingMachine):
    """Waiters come, go, leave and expire in any order, and the clock may stand still or step."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.joined = 0
        self.line: list[Modelled] = []
        self.charges: list[tuple[str, str, float, float]] = []
        self.left: set[int] = set()
        self.size = 0
        self.backlog: Backlog[int]

    @initialize(size=st.integers(1, 6))
    def begin(self, size: int) -> None:
        self.size = size
        self.backlog = Backlog(size, half_life=HALF_LIFE)

    @rule(gap=st.sampled_from([0.0, 0.25, 1.0, 3.0, 20.0]))
    def time_passes(self, gap: float) -> None:
        self.now += gap

    @rule()
    def a_deadline_is_just_reached(self) -> None:
        self.now = max(self.now, min((waiter.deadline for waiter in self.line), default=self.now))

    @rule(flow=flows, group=groups, amount=weights)
    def a_call_goes_without_waiting(self, flow: str, group: str, amount: float) -> None:
        self.step()
        self.backlog.charge(flow, group, amount, self.now)
        self.charges.append((flow, group, amount, self.now))

    @rule(newcomers=st.lists(newcomers, min_size=1, max_size=4))
    def some_join(self, newcomers: list[tuple[str, str, float, float, bool]]) -> None:
        for flow, group, weight, patience, batch in newcomers:
            self.somebody_joins(flow, group, weight, patience, batch=batch)
            self.nobody_is_lost_and_nobody_too_many()

    def somebody_joins(self, flow: str, group: str, weight: float, patience: float, *, batch: bool) -> None:
        self.step()
        self.joined += 1
        newcomer = Modelled(self.joined, flow, group, weight, self.now + patience, batch)
        lost = self.backlog.join(
            newcomer.name,
            self.now,
            flow=flow,
            group=group,
            deadline=newcomer.deadline,
            weight=weight,
            batch=batch,
        )
        self.line.append(newcomer)
        if len(self.line) <= self.size:
            assert lost is None
            return
        overdue = [waiter for waiter in self.line if waiter.deadline <= self.now]
        if overdue:
            assert lost in {waiter.name for waiter in overdue}
        else:
            candidates = [waiter for waiter in self.line if waiter.batch] or self.line
            longest = max(self.length(waiter, candidates) for waiter in candidates)
            assert lost == max(w.name for w in candidates if self.length(w, candidates) == longest)
        assert lost is not None
        self.remove(lost)

    @rule(times=st.integers(1, 4))
    def some_go(self, times: int) -> None:
        for _ in range(times):
            self.somebody_goes()
            self.nobody_is_lost_and_nobody_too_many()

    def somebody_goes(self) -> None:
        self.step()
        gone = self.backlog.next(self.now)
        ready = [waiter for waiter in self.line if waiter.deadline > self.now]
        ready = [waiter for waiter in ready if not waiter.batch] or ready
        if not ready:
            assert gone is None
            return
        chosen = next(waiter for waiter in ready if waiter.name == gone)
        assert self.is_least(self.used(chosen.group), [self.used(waiter.group) for waiter in ready])
        group = [waiter for waiter in ready if waiter.group == chosen.group]
        assert self.is_least(self.used(chosen.group, chosen.flow), [self.used(w.group, w.flow) for w in group])
        assert chosen.name == min(waiter.name for waiter in group if waiter.flow == chosen.flow)
        if self.used(chosen.group, chosen.flow) == 0.0:  # where ties are exact, who waits longest goes
            assert chosen.name == min(w.name for w in group if self.used(w.group, w.flow) == 0.0)
        if self.used(chosen.group) == 0.0:
            tied = [waiter for waiter in ready if self.used(waiter.group) == 0.0]
            assert chosen.group == min(tied, key=lambda waiter: waiter.name).group
        self.charges.append((chosen.flow, chosen.group, chosen.weight, self.now))
        self.remove(chosen.name)

    @rule(data=st.data())
    def somebody_leaves(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([waiter.name for waiter in self.line] or [0]))
        self.step()
        self.backlog.leave(name)
        if self.line:
            self.remove(name)

    @rule()
    def some_expire(self) -> None:
        self.step()
        expired = self.backlog.expire(self.now)
        overdue = [waiter for waiter in self.line if waiter.deadline <= self.now]
        assert sorted(expired) == sorted(waiter.name for waiter in overdue)
        for waiter in overdue:
            self.remove(waiter.name)

    @invariant()
    def nobody_is_lost_and_nobody_too_many(self) -> None:
        if self.size:
            assert len(self.backlog) == len(self.line) <= self.size
            assert self.backlog.first_deadline == min((waiter.deadline for waiter in self.line), default=inf)

    def teardown(self) -> None:
        if self.size:
            rest = {waiter.name for waiter in self.line}
            assert set(self.backlog.expire(inf)) == rest
            assert rest.isdisjoint(self.left)

    def remove(self, name: int) -> None:
        assert name not in self.left  # nobody goes, leaves or expires twice
        self.left.add(name)
        self.line = [waiter for waiter in self.line if waiter.name != name]

    def used(self, group: str, flow: str | None = None) -> float:
        return sum(
            amount * exp2((at - self.now) / HALF_LIFE)
            for charged, of, amount, at in self.charges
            if of == group and flow in (None, charged)
        )

    @staticmethod
    def length(waiter: Modelled, among: list[Modelled]) -> int:
        return sum(other.flow == waiter.flow and other.group == waiter.group for other in among)

    @staticmethod
    def is_least(used: float, others: list[float]) -> bool:
        return used <= min(others) * (1 + 1e-9) + 1e-5  # what is below a millionth may be forgotten


@pytest.mark.thorough
def test_in_ten_thousand_steps_it_never_differs_from_the_model() -> None:
    take_steps(BacklogMachine)
