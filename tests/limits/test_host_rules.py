"""Workers that learn of other rules at different moments: nothing is mixed up, nothing stays, no call fails."""

import asyncio
from collections.abc import Sequence

import pytest
import uvloop
from host_world import Host, host
from hypothesis import given, settings
from peers_world import OWN, Peers, Step, caller, held_rule, queued_rule, steps

from aibridge.domain.errors import Refused
from aibridge.domain.rule import Mode, Rule, Subject
from aibridge.limits.counters import Permits
from aibridge.limits.engine import Limits
from aibridge.limits.numbers import numbered
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.outcome import Outcome

ONE = held_rule("a")


def engines(made: Host) -> list[Limits]:
    return [Limits([OWN], worker) for worker in made.workers]


async def heard(made: Host) -> None:
    """Wait until all that the workers have said was heard, and answered."""
    for _ in range(2):
        for worker in made.workers:
            await worker.present(1)


def known(made: Host) -> dict[str, int]:
    """The rules that are counted for, and their amounts."""
    return {counter.rule.name: counter.rule.amount for counter in made.memory._counters.values()}


def test_a_rule_that_one_worker_has_learnt_of_binds_its_calls_alone() -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            early, late = engines(made)
            early.replace([OWN, ONE])
            await early.admit(caller())
            with pytest.raises(Refused):
                await early.admit(caller())
            await late.admit(caller())
            late.replace([OWN, ONE])
            with pytest.raises(Refused):
                await late.admit(caller())

    uvloop.run(scenario())


def test_a_rule_that_changes_is_one_count_for_those_who_know_it_and_those_who_do_not() -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            early, late = engines(made)
            for engine in (early, late):
                engine.replace([OWN, ONE])
            first = await late.admit(caller())
            early.replace([OWN, held_rule("a", 2)])
            second = await early.admit(caller())
            with pytest.raises(Refused):
                await early.admit(caller())
            for engine, admission in ((late, first), (early, second)):
                engine.close(admission, None, Outcome.SUCCESS)
            await heard(made)
            assert await made.memory.present(9) == []

    uvloop.run(scenario())


def test_what_was_said_last_of_a_rule_holds() -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            early, late = engines(made)
            for engine, amount in ((early, 3), (late, 7), (early, 4)):
                engine.replace([OWN, held_rule("a", amount)])
                await heard(made)
                assert known(made) == {"own": OWN.amount, "a": amount}

    uvloop.run(scenario())


def test_the_rules_of_the_configuration_hold_whatever_a_worker_says() -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            made.workers[0].replace({})
            await heard(made)
            assert known(made) == {"own": OWN.amount}

    uvloop.run(scenario())


def test_of_two_rules_of_one_name_each_counts_for_itself() -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            early, late = engines(made)
            late.replace([OWN, ONE])
            before = await late.admit(caller())
            early.replace([OWN, held_rule("a", subject=Subject.USER)])
            after = await early.admit(caller())
            late.close(before, None, Outcome.SUCCESS)
            with pytest.raises(Refused):
                await early.admit(caller())
            early.close(after, None, Outcome.SUCCESS)
            await heard(made)
            assert await made.memory.present(9) == []

    uvloop.run(scenario())


@pytest.mark.parametrize("after", [(), (queued_rule("a", mode=Mode.SHADOW),), (queued_rule("a", 4),)])
def test_who_waits_for_a_rule_passes_when_no_worker_has_it_any_more(after: tuple[Rule, ...]) -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            early, late = engines(made)
            for engine in (early, late):
                engine.replace([OWN, queued_rule("a")])
            first = await early.admit(caller())
            waiting = [asyncio.create_task(engine.admit(caller())) for engine in (early, late)]
            await heard(made)
            assert made.memory.waiting == 2
            early.replace([OWN, *after])
            late.replace([OWN, *after])
            for engine, task in zip((early, late), waiting, strict=True):
                engine.close(await task, None, Outcome.SUCCESS)
            early.close(first, None, Outcome.SUCCESS)
            await heard(made)
            assert await made.memory.present(9) == []

    uvloop.run(scenario())


def test_a_take_that_is_decided_after_its_rule_was_dropped_is_decided_without_it() -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            (engine, _) = engines(made)
            engine.replace([OWN, queued_rule("a")])
            asking = asyncio.create_task(engine.admit(caller()))
            await asyncio.sleep(0)  # it has asked, in the same batch as what follows
            engine.replace([OWN])
            engine.close(await asking, None, Outcome.SUCCESS)
            await heard(made)
            assert known(made) == {"own": OWN.amount}
            assert await made.memory.present(9) == []

    uvloop.run(scenario())


def test_the_counts_of_a_rule_outlive_the_only_worker_that_told_of_it_until_another_speaks() -> None:
    async def scenario() -> None:
        async with host(OWN) as made:
            dying, other = engines(made)
            dying.replace([OWN, held_rule("a", 3)])
            await heard(made)
            made.kill(0)
            await made.workers[1].present(1)
            assert known(made) == {"own": OWN.amount, "a": 3}
            other.replace([OWN, held_rule("b")])
            await made.workers[1].present(1)
            assert known(made) == {"own": OWN.amount, "b": 1}

    uvloop.run(scenario())


def test_workers_agree_on_numbers_whatever_they_learnt_before() -> None:
    a, b, c = held_rule("a"), held_rule("b"), queued_rule("c")
    own = numbered([OWN], {0: OWN})
    long = numbered([OWN, b, c, a], numbered([OWN, a, b], own))
    short = numbered([OWN, held_rule("a", 9), b, c], own)
    assert own == {0: OWN}
    assert {rule.name: number for number, rule in long.items()} == {rule.name: number for number, rule in short.items()}
    assert [rule.name for rule in long.values()] == ["own", "b", "c", "a"]
    assert len(numbered([OWN, a, b, c], own)) == 4


@pytest.mark.interpreted
@settings(deadline=None, max_examples=150)
@given(steps=steps)
def test_whatever_each_worker_learns_when_nothing_stays_held(steps: Sequence[Step]) -> None:
    async def walk() -> None:
        async with host(OWN, workers=3) as made:
            limiters: set[ConcurrencyLimiter] = set()
            replace = made.memory.replace

            def replaced(rules: object) -> None:
                for counter in made.memory._counters.values():
                    if isinstance(counter, Permits):
                        limiters.update(counter.limiters.values())
                replace(rules)  # type: ignore[arg-type]

            made.memory.replace = replaced  # type: ignore[method-assign]
            await Peers.over(made.workers).walk(steps)
            await heard(made)
            replaced({0: OWN})
            assert {limiter.in_flight for limiter in limiters} <= {0}
            assert made.memory.waiting == 0

    uvloop.run(walk())
