"""Replicas that learn of other rules at different moments: each compares with what it knows, and nothing stays held."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from peers_world import OWN, Peers, Step, caller, held_rule, queued_rule, steps
from redis_world import replicas
from valkey_server import ValkeyServer, be_patient, running, until

from aibridge.domain.errors import Refused
from aibridge.domain.rule import Mode, Rule, Unit
from aibridge.limits.counts import Ask
from aibridge.limits.engine import Limits
from aibridge.limits.redis import Redis
from aibridge.overload.outcome import Outcome

ONE = held_rule("a")


@pytest.fixture(scope="module")
def running_server() -> Iterator[ValkeyServer]:
    with running() as server:
        yield server


@pytest.fixture
def server(running_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> ValkeyServer:
    """A server that is waited for on a busy machine, too."""
    be_patient(monkeypatch)
    running_server.say("FLUSHALL")
    return running_server


def held_at(server: ValkeyServer, rule: str, key: str = "") -> int:
    """How many leases there are of a rule over what is held."""
    return server.number("ZCARD", f"{{aibridge}}:concurrent:held:{rule}:{key}")


async def settled(server: ValkeyServer, *rules: str) -> None:
    """Wait until nothing of these rules is held, by anybody."""
    keys = ("", "u0", "u1", "u2")
    await until(lambda: not any(held_at(server, rule, key) for rule in rules for key in keys), within=5.0)


def test_each_replica_compares_with_the_amount_it_knows(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, OWN, number=2) as places:
            early, late = (Limits([OWN], counts) for counts in places)
            for engine in (early, late):
                engine.replace([OWN, ONE])
            first = await late.admit(caller())
            early.replace([OWN, held_rule("a", 2)])
            second = await early.admit(caller())
            for engine in (early, late):
                with pytest.raises(Refused):
                    await engine.admit(caller())
            late.replace([OWN])
            late.close(first, None, Outcome.SUCCESS)
            await until(lambda: held_at(server, "a") == 1, within=5.0)
            third = await early.admit(caller())
            for admission in (second, third):
                early.close(admission, None, Outcome.SUCCESS)
            await settled(server, "a", "own")

    uvloop.run(scenario())


@pytest.mark.parametrize("after", [(), (queued_rule("a", mode=Mode.SHADOW),), (queued_rule("a", 4),)])
def test_who_waits_for_a_rule_passes_when_it_is_gone(server: ValkeyServer, after: tuple[Rule, ...]) -> None:
    async def scenario() -> None:
        async with replicas(server, OWN) as (counts,):
            engine = Limits([OWN], counts)
            engine.replace([OWN, queued_rule("a")])
            first = await engine.admit(caller())
            waiting = [asyncio.create_task(engine.admit(caller(f"u{number}"))) for number in range(3)]
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting)
            engine.replace([OWN, *after])
            async with asyncio.timeout(5.0):
                admissions = [await task for task in waiting]
            for admission in (first, *admissions):
                engine.close(admission, None, Outcome.SUCCESS)
            await settled(server, "a", "own")

    uvloop.run(scenario())


def test_another_patience_holds_for_those_who_wait_since_when_they_came(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, OWN) as (counts,):
            engine = Limits([OWN], counts)
            engine.replace([OWN, queued_rule("a")])
            first = await engine.admit(caller())
            began = time.monotonic()
            waiting = asyncio.create_task(engine.admit(caller()))
            await asyncio.sleep(0.05)
            engine.replace([OWN, queued_rule("a", timeout=0.2)])
            with pytest.raises(Refused):
                await waiting
            assert 0.19 <= time.monotonic() - began < 3.0  # the loop's clock is read a moment earlier
            engine.close(first, None, Outcome.SUCCESS)
            await settled(server, "a", "own")

    uvloop.run(scenario())


def test_a_refusal_by_a_rule_that_went_while_it_was_asked_is_none(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, OWN) as (counts,):
            engine = Limits([OWN], counts)
            engine.replace([OWN, ONE])
            first = await engine.admit(caller())
            asking = asyncio.create_task(engine.admit(caller()))
            await asyncio.sleep(0)
            engine.replace([OWN])
            second = await asking
            for admission in (first, second):
                engine.close(admission, None, Outcome.SUCCESS)
            await settled(server, "a", "own")

    uvloop.run(scenario())


def test_what_is_shown_is_of_the_rules_that_there_are(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, OWN) as (counts,):
            engine = Limits([OWN], counts)
            engine.replace([OWN, ONE])
            engine.close(await engine.admit(caller()), None, Outcome.SUCCESS)
            admission = await engine.admit(caller())
            assert {one.rule for one in await counts.present(9)} == {*engine.numbers}
            engine.replace([OWN])
            assert [one.rule for one in await counts.present(9)] == [0]
            assert engine.check_capacity() is None
            engine.close(admission, None, Outcome.SUCCESS)

    uvloop.run(scenario())


def test_a_share_follows_the_rules_while_the_server_is_away(server: ValkeyServer) -> None:
    async def scenario() -> None:
        counts = await Redis.connect("unix:///nowhere/valkey.sock", [OWN])
        engine = Limits([OWN], counts)
        engine.replace([OWN, queued_rule("a")])
        first = await engine.admit(caller())
        waiting = asyncio.create_task(engine.admit(caller()))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        engine.replace([OWN, Rule(name="c", unit=Unit.REQUESTS, amount=1, window=60.0)])
        for admission in (first, await waiting, await engine.admit(caller())):
            engine.close(admission, None, Outcome.SUCCESS)
        with pytest.raises(Refused):
            await engine.admit(caller())
        assert [(engine.numbers[one.rule].name, one.used) for one in await counts.present(9)] == [("c", 1.0)]
        await counts.close()

    uvloop.run(scenario())


def test_a_share_tells_of_who_was_refused_while_the_server_is_away() -> None:
    async def scenario() -> None:
        counts = await Redis.connect("unix:///nowhere/valkey.sock", [ONE])
        engine, who = Limits([ONE], counts), caller()
        await engine.admit(who)
        with pytest.raises(Refused):
            await engine.admit(who)
        assert engine.check_again(who, None, 0.0) is not None
        assert counts.refused((Ask(0, "nobody"),)) is None
        await counts.close()

    uvloop.run(scenario())


def test_what_was_full_a_moment_ago_is_not_known_to_be_when_the_rules_have_changed(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, OWN) as (counts,):
            engine = Limits([OWN], counts)
            engine.replace([OWN, ONE])
            await engine.admit(caller())
            with pytest.raises(Refused):
                await engine.admit(caller())
            known = [engine.check_capacity() is not None]
            engine.replace([OWN, held_rule("a", 2)])
            known.append(engine.check_capacity() is not None)
            assert known == [True, False]

    uvloop.run(scenario())


def test_what_a_share_granted_by_a_rule_that_is_gone_when_it_is_heard_comes_back(server: ValkeyServer) -> None:
    async def scenario() -> None:
        counts = await Redis.connect("unix:///nowhere/valkey.sock", [OWN])
        engine = Limits([OWN], counts)
        engine.replace([OWN, queued_rule("a")])
        first = await engine.admit(caller())
        waiting = asyncio.create_task(engine.admit(caller()))
        await asyncio.sleep(0.01)
        engine.close(first, None, Outcome.SUCCESS)
        engine.replace([OWN])
        engine.close(await waiting, None, Outcome.SUCCESS)
        assert await counts.present(9) == []
        await counts.close()

    uvloop.run(scenario())


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_whatever_each_replica_learns_when_nothing_stays_held(server: ValkeyServer, steps: Sequence[Step]) -> None:
    async def walk() -> None:
        async with replicas(server, OWN, number=2) as places:
            await Peers.over(places).walk(steps)
            await settled(server, "own", "a", "b")
            for counts in places:
                assert counts.waiting == 0
                assert counts._calls == {}

    server.say("FLUSHALL")
    uvloop.run(walk())
