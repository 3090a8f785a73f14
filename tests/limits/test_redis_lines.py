"""Waiting over Redis, which tells nobody that something came free."""

import asyncio
import time
from collections.abc import Iterator

import msgspec
import pytest
import uvloop
from redis_world import CALLS, LEASES, QUEUED, give_back, held, refused, replicas
from valkey_server import ValkeyServer, be_patient, running, until

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Ask, Held, Place, Refusal
from aibridge.limits.redis import Redis
from aibridge.limits.redis_lines import Lines, No


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


def test_a_newcomer_waits_for_what_this_replica_gives_back(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, QUEUED) as (counts,):
            first = await held(counts, Ask(0, ""), place=Place("ann"))
            waiting = asyncio.create_task(held(counts, Ask(0, ""), place=Place("bob")))
            await asyncio.sleep(0.05)
            began = time.monotonic()
            give_back(counts, first)
            second = await waiting
            assert 0.04 < second.waited < 1.05
            assert time.monotonic() - began < 1.0
            give_back(counts, second)

    uvloop.run(scenario())


def test_what_another_replica_gives_back_is_found_within_some_turns(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, QUEUED, number=2) as (here, there):
            first = await held(here, Ask(0, ""))
            waiting = asyncio.create_task(held(there, Ask(0, ""), place=Place("bob")))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            give_back(here, first)
            await waiting
            assert time.monotonic() - began < 1.0

    uvloop.run(scenario())


def test_who_used_less_goes_first_and_nobody_overtakes_those_who_wait(server: ValkeyServer) -> None:
    async def scenario() -> None:
        order: list[str] = []
        async with replicas(server, QUEUED) as (counts,):

            async def call(user: str) -> None:
                one = await held(counts, Ask(0, ""), place=Place(user))
                order.append(user)
                await asyncio.sleep(0)
                give_back(counts, one)

            first = await held(counts, Ask(0, ""), place=Place("hog"))
            calls = [asyncio.create_task(call(user)) for user in ("hog", "hog", "hog", "mouse", "mouse")]
            await asyncio.sleep(0.05)
            give_back(counts, first)
            calls.append(asyncio.create_task(call("late")))
            await asyncio.gather(*calls)
        assert order == ["hog", "mouse", "late", "hog", "mouse", "hog"]

    uvloop.run(scenario())


def test_who_comes_when_others_wait_waits_behind_them(server: ValkeyServer) -> None:
    async def race(here: Redis, there: Redis) -> None:
        first = await held(there, Ask(0, ""))
        waiting = asyncio.create_task(held(here, Ask(0, ""), place=Place("ann")))
        await asyncio.sleep(0.03)
        give_back(there, first)
        await until(lambda: leases(server) == 0 or waiting.done(), within=1.0)
        late = asyncio.create_task(held(here, Ask(0, ""), place=Place("zoe")))
        done, _ = await asyncio.wait((waiting, late), return_when=asyncio.FIRST_COMPLETED)
        assert done == {waiting}
        give_back(here, await waiting)
        give_back(here, await late)
        await until(lambda: leases(server) == 0, within=1.0)

    async def scenario() -> None:
        async with replicas(server, QUEUED, number=2) as (here, there):
            for _ in range(8):
                await race(here, there)

    uvloop.run(scenario())


def leases(server: ValkeyServer) -> int:
    return server.number("ZCARD", LEASES % "queued")


def test_a_wait_ends_with_the_queue_timeout_and_says_how_long_it_was(server: ValkeyServer) -> None:
    async def scenario() -> None:
        rule = Rule(name="queued", unit=Unit.CONCURRENT, amount=1, queue_timeout=0.3, queue_size=1)
        async with replicas(server, rule) as (counts,):
            await held(counts, Ask(0, ""))
            waiting = [asyncio.create_task(refused(counts, Ask(0, ""), place=Place("ann"))) for _ in range(4)]
            waits = sorted(refusal.waited for refusal in await asyncio.gather(*waiting))
            assert waits[0] < 0.3, "no room in the queue"
            assert 0.29 <= waits[-1] < 1.0
            refusal = await waiting[0]
            assert (refusal.rule, refusal.used) == (0, 1.0)
            assert refusal.retry_after > 0.0
            assert counts.waiting == 0

    uvloop.run(scenario())


def test_a_waiter_that_is_cancelled_leaves_no_trace(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, QUEUED) as (counts,):
            for pause in (0.0, 0.001, 0.01, 0.03):
                first = await held(counts, Ask(0, ""))
                waiting = [asyncio.create_task(counts.take((Ask(0, ""),), Place("ann"))) for _ in range(3)]
                await asyncio.sleep(0.005)
                give_back(counts, first)
                await asyncio.sleep(pause)
                for one in waiting:
                    if one.done() and isinstance(answer := one.result(), Held):
                        give_back(counts, answer)
                    one.cancel()
                await until(lambda: leases(server) == 0, within=1.0)
                assert counts.waiting == 0

    uvloop.run(scenario())


def test_who_lacks_something_else_by_its_turn_is_told_at_once(server: ValkeyServer) -> None:
    async def scenario() -> None:
        other = Rule(name="other", unit=Unit.CONCURRENT, amount=1, queue_timeout=10.0, queue_size=10)
        patient = msgspec.structs.replace(QUEUED, queue_timeout=10.0)
        async with replicas(server, patient, CALLS, other) as (counts,):
            first = await held(counts, Ask(0, ""))
            waiting = asyncio.create_task(refused(counts, Ask(0, ""), Ask(1, "ann"), place=Place("ann")))
            moving = asyncio.create_task(held(counts, Ask(0, ""), Ask(2, ""), place=Place("bob")))
            await asyncio.sleep(0.02)
            taken = await held(counts, Ask(2, ""))
            for _ in range(3):
                await held(counts, Ask(1, "ann"))
            give_back(counts, first)
            refusal = await waiting  # if it asked before the place was free, that is what it lacked first
            assert refusal.rule in (0, 1)
            assert refusal.retry_after > 10.0, "it is the other that takes so long"
            await asyncio.sleep(0.05)
            assert not moving.done()
            give_back(counts, taken)
            give_back(counts, await moving)

    uvloop.run(scenario())


def test_what_is_granted_to_one_that_leaves_in_the_same_turn_comes_back() -> None:
    async def scenario() -> None:
        given_back: list[Held] = []

        async def attempt(asks: tuple[Ask, ...]) -> Held:
            asyncio.get_running_loop().call_soon(waiting.cancel)
            return Held(1, asks)

        def refuse(no: No) -> Refusal:
            raise AssertionError(no)

        lines = Lines((QUEUED,), time.monotonic, attempt=attempt, give_back=given_back.append, refuse=refuse)
        asks = (Ask(0, ""),)
        waiting = asyncio.create_task(lines.wait((0, ""), asks, Place("ann"), time.monotonic()))
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert [one.number for one in given_back] == [1]

    uvloop.run(scenario())
