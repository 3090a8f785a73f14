"""Rules that are replaced while calls are in progress or wait: held is what is in progress, and no call fails."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run, turns

from aibridge.domain.actor import Actor
from aibridge.domain.errors import Refused
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.domain.usage import Usage
from aibridge.limits.counters import Permits
from aibridge.limits.counts import Ask, Held, Memo, Place, Refusal
from aibridge.limits.engine import Admission, Caller, Limits, Size
from aibridge.limits.memory import Memory
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.outcome import Outcome

OWN = Rule(name="own", unit=Unit.CONCURRENT, amount=4, queue_timeout=5.0, queue_size=3)
SIZE = Size(model="m", body_bytes=40, max_output_tokens=90)

amounts = st.integers(1, 4)
modes = st.sampled_from(Mode)
held_rules = st.builds(
    Rule,
    name=st.sampled_from("ab"),
    unit=st.just(Unit.CONCURRENT),
    amount=amounts,
    subject=st.sampled_from([Subject.EVERYONE, Subject.USER]),
    mode=modes,
    queue_timeout=st.sampled_from([0.0, 2.0, 9.0]),
    queue_size=st.integers(1, 3),
    organization=st.sampled_from([None, "research"]),
)
spent_rules = st.builds(
    Rule,
    name=st.sampled_from("cd"),
    unit=st.sampled_from([Unit.REQUESTS, Unit.TOTAL_TOKENS]),
    amount=st.integers(1, 300),
    window=st.sampled_from([1.0, 10.0]),
    burst=st.sampled_from([None, 5]),
    mode=modes,
)
rule_sets = st.lists(held_rules | spent_rules, max_size=4, unique_by=lambda rule: rule.name)
steps = st.lists(
    st.tuples(st.sampled_from(["admit", "admit", "close", "cancel", "turn", "wait"]), st.integers(0, 99))
    | st.tuples(st.just("replace"), rule_sets),
    max_size=50,
)


@dataclass
class Walk:
    """One order of events, and what is in progress by it."""

    rules: Sequence[Rule]
    open: list[Admission] = field(default_factory=list)
    calls: list[asyncio.Task[None]] = field(default_factory=list)
    limiters: set[ConcurrencyLimiter] = field(default_factory=set)
    """All that ever gave a permit."""

    def __post_init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.counts = Memory(self.rules, clock)
        self.limits = Limits(self.rules, self.counts, clock=clock)

    async def admit(self, which: int) -> None:
        actor = Actor(id=f"u{which % 3}", username="u", token_id="t", organization_id=("research", "x")[which % 2])

        async def call() -> None:
            with suppress(Refused):
                caller = Caller(actor=actor, address="", provider="openai")
                self.open.append(await self.limits.admit(caller, SIZE if which % 5 else None))

        self.calls.append(asyncio.create_task(call()))
        await turns(1)

    async def close(self, which: int) -> None:
        if self.open:
            usage = Usage(input_tokens=which, output_tokens=9) if which % 3 else None
            self.limits.close(self.open.pop(which % len(self.open)), usage, Outcome.SUCCESS)

    async def cancel(self, which: int) -> None:
        if self.calls:
            self.calls.pop(which % len(self.calls)).cancel()

    async def turn(self, which: int) -> None:
        await turns(which % 3)

    async def wait(self, which: int) -> None:
        await asyncio.sleep(which / 20)

    async def replace(self, rules: Sequence[Rule]) -> None:
        self.limits.replace((OWN, *rules))

    def check(self) -> None:
        """Held is what is in progress, of each rule and subject; who waits, waits for something."""
        for number, rule in self.limits.numbers.items():
            counter = self.counts._counters[number]
            assert counter.rule == rule
            line = self.limits._lines[number]
            calls = [one for one in self.open if one.held is not None and line in one.lines]
            keys = [ask.key for one in calls if one.held is not None for ask in one.held.asks if ask.rule == number]
            assert line.in_progress == len(keys)
            if isinstance(counter, Permits):
                self.limiters.update(counter.limiters.values())
                for key in {*keys, *counter.limiters.keys()}:
                    limiter = counter.limiters.known(key)
                    assert limiter is not None
                    assert limiter.maximum == rule.amount
                    assert limiter.in_flight == keys.count(key)
        for limiter, queue in self.counts._queues._queues.items():
            if len(queue):
                assert limiter.full
                assert self.limits.numbers[queue.number].queues

    async def end(self) -> None:
        for task in self.calls:
            task.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        while self.open:
            await self.close(0)


@settings(deadline=None, max_examples=300)
@given(first=rule_sets, steps=steps)
def test_whatever_is_replaced_when_held_is_what_is_in_progress(
    first: list[Rule], steps: list[tuple[str, int | list[Rule]]]
) -> None:
    async def walk() -> None:
        way = Walk((OWN, *first))
        for what, argument in steps:
            await getattr(way, what)(argument)
            await turns(2)
            way.check()
        await way.end()
        way.check()
        assert way.counts.waiting == 0
        assert {limiter.in_flight for limiter in way.limiters} <= {0}
        for task in way.calls:
            assert task.cancelled() or task.exception() is None

    run(walk())


def rule(name: str, unit: Unit = Unit.CONCURRENT, amount: int = 1, **fields: object) -> Rule:
    window = 0.0 if unit is Unit.CONCURRENT else 60.0
    return Rule(name=name, unit=unit, amount=amount, window=window, **fields)  # type: ignore[arg-type]


QUEUED = rule("a", queue_timeout=5.0, queue_size=9)


def caller(name: str = "ada", organization: str = "research") -> Caller:
    actor = Actor(id=name, username=name, token_id=name, organization_id=organization)
    return Caller(actor=actor, address="", provider="openai")


@dataclass
class Waiting:
    """One call in progress under a rule, others that wait for it, and what becomes of them."""

    limits: Limits
    first: Admission
    others: list[asyncio.Task[Admission]]

    @classmethod
    async def under(cls, *rules: Rule, others: int = 3) -> "Waiting":
        clock = asyncio.get_running_loop().time
        limits = Limits(rules, Memory(rules, clock), clock=clock)
        first = await limits.admit(caller())
        tasks = [asyncio.create_task(limits.admit(caller(f"u{number}"))) for number in range(others)]
        await turns()
        assert not any(task.done() for task in tasks)
        return cls(limits, first, tasks)

    async def done(self) -> list[bool]:
        """Of those who wait, who has an answer by now, which is then: admitted."""
        await turns()
        return [task.done() and task.exception() is None for task in self.others]


def test_a_rule_that_is_removed_lets_pass_who_waits_for_it() -> None:
    async def scenario() -> None:
        waiting = await Waiting.under(QUEUED)
        waiting.limits.replace([])
        assert await waiting.done() == [True, True, True]
        for task in waiting.others:
            waiting.limits.close(task.result(), None, Outcome.SUCCESS)
        waiting.limits.close(waiting.first, None, Outcome.SUCCESS)

    run(scenario())


def test_a_rule_that_goes_into_shadow_lets_pass_who_waits_for_it() -> None:
    async def scenario() -> None:
        waiting = await Waiting.under(QUEUED)
        waiting.limits.replace([rule("a", queue_timeout=5.0, queue_size=9, mode=Mode.SHADOW)])
        assert await waiting.done() == [True, True, True]
        assert waiting.limits.decisions["a", "everyone", "shadow_refused"] == 3

    run(scenario())


def test_a_larger_amount_lets_go_who_waits_in_turn() -> None:
    async def scenario() -> None:
        waiting = await Waiting.under(QUEUED)
        waiting.limits.replace([rule("a", amount=3, queue_timeout=5.0, queue_size=9)])
        assert await waiting.done() == [True, True, False]
        waiting.limits.close(waiting.first, None, Outcome.SUCCESS)
        assert await waiting.done() == [True, True, True]
        assert waiting.limits.in_progress == {"a": 3}

    run(scenario())


def test_a_smaller_amount_counts_those_in_progress_above_it() -> None:
    async def scenario() -> None:
        limits = Limits([two := rule("a", amount=2)], Memory([two]))
        open_calls = [await limits.admit(caller()) for _ in range(2)]
        limits.replace([rule("a", amount=1)])
        for admission in open_calls:
            with pytest.raises(Refused):
                await limits.admit(caller())
            limits.close(admission, None, Outcome.SUCCESS)
        await limits.admit(caller())

    run(scenario())


def test_a_rule_that_has_no_queue_any_more_refuses_who_waits() -> None:
    async def scenario() -> None:
        waiting = await Waiting.under(QUEUED)
        waiting.limits.replace([rule("a", amount=2)])
        await turns()
        assert [task.exception() is None for task in waiting.others] == [True, False, False]

    run(scenario())


@pytest.mark.parametrize(("timeout", "seconds"), [(2.0, 2.0), (60.0, 60.0)])
def test_another_patience_holds_for_those_who_wait_since_when_they_came(timeout: float, seconds: float) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        waiting = await Waiting.under(QUEUED, others=1)
        await asyncio.sleep(1.0)
        waiting.limits.replace([rule("a", queue_timeout=timeout, queue_size=9)])
        with pytest.raises(Refused):
            await waiting.others[0]
        assert loop.time() - began == pytest.approx(seconds)

    run(scenario())


def test_other_rules_change_nothing_for_those_who_wait() -> None:
    async def scenario() -> None:
        waiting = await Waiting.under(QUEUED)
        waiting.limits.replace([QUEUED, rule("b", Unit.REQUESTS)])
        waiting.limits.replace([rule("c", amount=1), QUEUED])
        assert await waiting.done() == [False, False, False]
        waiting.limits.close(waiting.first, None, Outcome.SUCCESS)
        assert await waiting.done() == [True, False, False]

    run(scenario())


def test_one_that_waits_for_a_rule_that_stays_is_not_bound_by_one_that_is_gone() -> None:
    async def scenario() -> None:
        gone = rule("c", Unit.REQUESTS, 2)
        waiting = await Waiting.under(QUEUED, gone, others=1)
        waiting.limits.replace([QUEUED])
        waiting.limits.close(waiting.first, None, Outcome.SUCCESS)
        assert await waiting.done() == [True]

    run(scenario())


def test_one_that_waited_while_a_rule_went_and_came_is_in_progress_by_the_one_that_came() -> None:
    async def scenario() -> None:
        counts = Memory([QUEUED])
        limits = Limits([QUEUED], counts)
        limits.replace([QUEUED, rule("b", amount=5)])
        first = await limits.admit(caller())
        waiting = asyncio.create_task(limits.admit(caller("bob")))
        await turns()
        limits.replace([QUEUED])
        limits.replace([QUEUED, rule("b", amount=5)])
        limits.close(first, None, Outcome.SUCCESS)
        admission = await waiting
        assert limits.in_progress == {"a": 1, "b": 1}
        limits.close(admission, None, Outcome.SUCCESS)
        assert limits.in_progress == {"a": 0, "b": 0}
        assert await counts.present(9) == []

    run(scenario())


def test_a_rule_that_was_removed_and_comes_again_counts_from_then_and_gets_back_nothing_of_before() -> None:
    async def scenario() -> None:
        one = rule("a")
        counts = Memory([])
        limits = Limits([], counts)
        limits.replace([one])
        before = await limits.admit(caller())
        limits.replace([])
        limits.replace([one])
        assert limits.in_progress == {"a": 0}
        after = await limits.admit(caller())
        limits.close(before, None, Outcome.SUCCESS)
        with pytest.raises(Refused):
            await limits.admit(caller())
        assert limits.in_progress == {"a": 1}
        limits.close(after, None, Outcome.SUCCESS)
        assert await counts.present(9) == []

    run(scenario())


def test_what_was_spent_stays_spent_when_the_amount_changes() -> None:
    async def scenario() -> None:
        limits = Limits([three := rule("c", Unit.REQUESTS, 3)], Memory([three]))
        for _ in range(3):
            await limits.admit(caller())
        limits.replace([rule("c", Unit.REQUESTS, 4)])
        await limits.admit(caller())
        with pytest.raises(Refused):
            await limits.admit(caller())
        assert limits.decisions["c", "everyone", "admitted"] == 4

    run(scenario())


def test_who_was_told_to_come_later_by_a_rule_of_before_is_asked_anew() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        one = rule("c", Unit.REQUESTS)
        limits = Limits([one], Memory([one], loop.time), clock=loop.time)
        await limits.admit(caller())
        with pytest.raises(Refused):
            await limits.admit(caller())
        told = [limits.check(caller(), loop.time()) is not None]
        limits.replace([])
        told.append(limits.check(caller(), loop.time()) is not None)
        assert told == [True, False]
        await limits.admit(caller())

    run(scenario())


class _Far:
    """Counts whose answers take a moment."""

    def __init__(self, rules: Sequence[Rule], clock: Callable[[], float]) -> None:
        self._memory = Memory(rules, clock)

    def at_once(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> None:
        pass

    async def take(self, asks: tuple[Ask, ...], place: Place | None = None, memo: Memo | None = None) -> Held | Refusal:
        answer = await self._memory.take(asks, place, memo)
        await turns(1)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


def test_a_refusal_by_a_rule_that_is_gone_when_it_is_heard_is_not_repeated() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        one = rule("c", Unit.REQUESTS)
        limits = Limits([one], cast("Memory", _Far([one], loop.time)), clock=loop.time)
        await limits.admit(caller())
        asking = asyncio.create_task(limits.admit(caller()))
        await asyncio.sleep(0)
        limits.replace([])
        with pytest.raises(Refused):
            await asking
        assert limits.check(caller(), loop.time()) is None

    run(scenario())


def test_whether_the_body_is_needed_follows_the_rules() -> None:
    limits = Limits([], Memory([]))
    needed = []
    for rules in ([rule("a", model="claude-*")], [rule("a")], [rule("a"), rule("b", Unit.TOTAL_TOKENS)], []):
        limits.replace(rules)
        needed.append(limits.needs_body)
        assert limits.rules == tuple(rules)
    assert needed == [True, False, True, False]


def test_what_is_full_at_the_door_follows_the_rules() -> None:
    async def scenario() -> None:
        limits = Limits([], Memory([]))
        limits.replace([rule("a")])
        admission = await limits.admit(caller())
        assert limits.check_capacity() is not None
        limits.replace([rule("a", amount=2)])
        assert limits.check_capacity() is None
        limits.replace([rule("a", organization="research")])
        assert limits.check_capacity() is None  # whose call it is, nobody knows yet
        with pytest.raises(Refused) as refusal:
            await limits.admit(caller())
        assert "all of organization research together" in refusal.value.detail
        await limits.admit(caller(organization="other"))
        limits.close(admission, None, Outcome.SUCCESS)

    run(scenario())
