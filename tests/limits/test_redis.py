"""Redis as a place that counts, over a real server."""

import asyncio
import sys
from collections.abc import Iterator

import pytest
import uvloop
from redis_world import CALLS, HELD, LEASES, QUEUED, TOKENS, give_back, held, refused, replicas, used
from valkey_server import ValkeyServer, be_patient, running

from aibridge.domain.rule import Mode, Rule, Unit
from aibridge.limits.counts import Ask, Held, Place, Present
from aibridge.limits.redis import LEASE, Redis
from aibridge.overload.outcome import Outcome, Rejection


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


def test_what_is_refused_takes_nothing_and_says_who_refused_and_for_how_long(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, TOKENS, CALLS, HELD) as (counts,):
            asks = Ask(0, "", 10.0), Ask(1, "ann"), Ask(2, "")
            first, second = await held(counts, *asks), await held(counts, *asks)
            refusal = await refused(counts, *asks)
            assert (refusal.rule, refusal.key, refusal.used) == (2, "", 2.0)
            assert 0.0 < refusal.retry_after <= 2.0
            assert await used(counts) == {(0, ""): pytest.approx(20.0, abs=0.1), (1, "ann"): 2.0, (2, ""): 2.0}
            give_back(counts, first)
            third = await held(counts, *asks)
            give_back(counts, second)
            refusal = await refused(counts, *asks)
            assert (refusal.rule, refusal.key, refusal.used) == (1, "ann", 3.0)
            assert 59.0 < refusal.retry_after < 60.0
            give_back(counts, third)
            assert [ask.key for ask in third.asks] == ["", "ann", ""]

    uvloop.run(scenario())


def test_replicas_share_one_count(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, HELD, number=2) as (here, there):
            first = await held(here, Ask(0, ""))
            await held(there, Ask(0, ""))
            assert (await refused(there, Ask(0, ""))).used == 2.0
            give_back(here, first)
            await asyncio.sleep(0.02)
            await held(there, Ask(0, ""))
            assert (await used(here)) == {(0, ""): 2.0}

    uvloop.run(scenario())


def test_use_by_all_together_is_known_to_a_replica_that_was_not_asked(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, HELD, CALLS, number=2) as (here, there):
            await held(here, Ask(0, ""), Ask(1, "ann"))
            assert await used(here) == {(0, ""): 1.0, (1, "ann"): 1.0}
            assert await used(there) == {(0, ""): 1.0}

    uvloop.run(scenario())


def test_a_refused_call_that_waits_as_it_was_told_is_admitted(server: ValkeyServer) -> None:
    async def scenario() -> None:
        rule = Rule(name="fast", unit=Unit.REQUESTS, amount=1, window=0.1)
        async with replicas(server, rule) as (counts,):
            for _ in range(5):
                await held(counts, Ask(0, ""))
                told = (await refused(counts, Ask(0, ""))).retry_after
                await asyncio.sleep(told + 0.001)  # timers are in milliseconds

    uvloop.run(scenario())


def test_what_was_weighed_is_corrected_and_an_estimate_above_the_burst_is_clamped(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, TOKENS) as (counts,):
            big = await held(counts, Ask(0, "", 5000.0))
            assert big.asks == (Ask(0, "", 1000.0),)
            await refused(counts, Ask(0, "", 1.0))
            give_back(counts, big, 300.0)
            small = await held(counts, Ask(0, "", 600.0))
            assert (await used(counts))[0, ""] == pytest.approx(900.0, abs=1.0)
            give_back(counts, small, 1600.0)
            await refused(counts, Ask(0, "", 1.0))
            assert (await used(counts))[0, ""] == pytest.approx(1900.0, abs=1.0)

    uvloop.run(scenario())


def test_shadows_are_reported_and_refuse_nothing(server: ValkeyServer) -> None:
    async def scenario() -> None:
        shadow = Rule(name="shadow", unit=Unit.CONCURRENT, amount=1, mode=Mode.SHADOW)
        async with replicas(server, shadow, HELD) as (counts,):
            first, second = [await held(counts, Ask(0, ""), Ask(1, "")) for _ in range(2)]
            assert (first.shadows, second.shadows) == ((), (0,))
            assert second.asks == (Ask(1, ""),)
            give_back(counts, second)
            give_back(counts, first)
            assert counts.full(0, "") is None
            assert await used(counts) == {}

    uvloop.run(scenario())


def test_settling_twice_gives_back_once(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, TOKENS) as (counts,):
            one = await held(counts, Ask(0, "", 100.0))
            give_back(counts, one, 50.0)
            give_back(counts, one, 50.0)
            assert (await used(counts))[0, ""] == pytest.approx(50.0, abs=1.0)

    uvloop.run(scenario())


def test_what_was_found_full_a_moment_ago_is_known_without_asking(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, HELD, QUEUED) as (counts,):
            first, _ = [await held(counts, Ask(0, "")) for _ in range(2)]
            assert counts.full(0, "") is None
            await refused(counts, Ask(0, ""))
            known = counts.full(0, "")
            assert known is not None
            assert (known.rule, known.used) == (0, 2.0)
            call = counts.refused((Ask(1, ""), Ask(0, "")))
            assert call is not None
            assert (call.rule, call.used) == (0, 2.0)
            assert counts.refused((Ask(1, ""), Ask(0, "other"))) is None
            give_back(counts, first)
            assert counts.full(0, "") is counts.refused((Ask(0, ""),)) is None
            await held(counts, Ask(0, ""))
            await refused(counts, Ask(0, ""))
            await asyncio.sleep(0.011)
            assert counts.full(0, "") is None, "another replica may have given back"
            await held(counts, Ask(1, ""))
            await refused(counts, Ask(1, ""))
            assert counts.full(1, "") is None, "there is a queue"

    uvloop.run(scenario())


def test_who_has_spent_something_is_not_told_of_a_room_instead(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, CALLS, HELD) as (counts,):
            asks = Ask(0, "ann"), Ask(1, "ann")
            for _ in range(2):
                await held(counts, *asks)
            room = await refused(counts, *asks)
            assert (room.rule, room.step is None) == (1, False)
            assert counts.refused(asks) is not None
            counts._known_full.clear()
            await held(counts, Ask(0, "ann"))
            both = await refused(counts, *asks)
            assert (both.rule, both.step) == (0, None)
            assert counts.refused(asks) is None

    uvloop.run(scenario())


def test_only_those_who_use_most_are_shown(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, CALLS, HELD) as (counts,):
            for user in ("ann", "bob", "bob", "cat", "cat", "cat"):
                one = await held(counts, Ask(0, user), Ask(1, user))
                give_back(counts, one)
            assert await counts.present(2) == [Present(0, "cat", 3.0), Present(0, "bob", 2.0)]

    uvloop.run(scenario())


def test_a_take_that_is_cancelled_anywhere_holds_nothing_and_crosses_no_replies(server: ValkeyServer) -> None:
    async def scenario() -> None:
        rules = Rule(name="held", unit=Unit.CONCURRENT, amount=1000), TOKENS, CALLS
        async with replicas(server, *rules) as (counts,):
            for number in range(500):
                asks = Ask(0, ""), Ask(1, "", 1.0), Ask(2, f"user-{number % 7}")
                taking = asyncio.create_task(counts.take(asks))
                for _ in range(number % 9):
                    await asyncio.sleep(0)
                if number % 3 == 0:
                    await asyncio.sleep(number % 50 * 1e-5)
                if taking.done():
                    answer = taking.result()
                    if isinstance(answer, Held):
                        counts.settle(answer, (0.0, 0.0, 0.0), Outcome.IGNORED)
                taking.cancel()
            await asyncio.sleep(0.1)
            assert await used(counts) == {}
            assert server.number("ZCARD", LEASES % "held") == 0
            takes = [counts.take((Ask(2, f"later-{number}"),)) for number in range(200)]
            for number, answer in enumerate(await asyncio.gather(*takes)):
                assert isinstance(answer, Held)
                assert answer.asks == (Ask(2, f"later-{number}"),)
            assert counts.healthy

    uvloop.run(scenario())


def test_a_probe_that_is_cancelled_anywhere_has_no_place_nor_has_one_of_a_replica_that_left(
    server: ValkeyServer,
) -> None:
    async def scenario() -> None:
        async with replicas(server, number=2) as (here, there):
            for turns in range(12):
                probe = asyncio.create_task(here.probe("openai", 1, 30.0))
                for _ in range(turns):
                    await asyncio.sleep(0)
                probe.cancel()
                await asyncio.wait([probe])
                if not probe.cancelled() and isinstance(number := probe.result(), int):
                    here.probed(number, succeeded=False)
                await asyncio.sleep(0.01)
                number = await there.probe("openai", 1, 30.0)
                assert isinstance(number, int)
                refused = await here.probe("openai", 1, 30.0)
                assert refused == Rejection("openai", 1, 0.0, 1.0)
                there.probed(number, succeeded=False)
                await asyncio.sleep(0.01)
            assert isinstance(await here.probe("openai", 1, 30.0), int)
            await here.close()
            assert isinstance(await there.probe("openai", 1, 30.0), int)
            assert await here.probe("openai", 1, 30.0) is None

    uvloop.run(scenario())


def test_calls_of_one_turn_share_a_request(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, TOKENS) as (counts,):
            before = commands(server)
            await asyncio.gather(*(held(counts, Ask(0, "", 1.0)) for _ in range(50)))
            assert commands(server) - before <= 3

    uvloop.run(scenario())


def commands(server: ValkeyServer) -> int:
    return int(server.say("INFO", "commandstats").split(b"cmdstat_evalsha:calls=")[1].split(b",")[0])


def test_closing_gives_everything_back(server: ValkeyServer) -> None:
    async def scenario() -> None:
        counts = await Redis.connect(server.url, [HELD, QUEUED])
        for _ in range(2):
            await held(counts, Ask(0, ""))
        one = await held(counts, Ask(1, ""))
        waiting = asyncio.create_task(refused(counts, Ask(1, ""), place=Place("ann")))
        asking = asyncio.create_task(counts.take((Ask(0, "x"),)))
        await asyncio.sleep(0)
        await counts.close()
        await waiting
        await asking
        assert server.number("ZCARD", LEASES % "held") == 0
        assert server.number("EXISTS", "{aibridge}:replicas") == 0
        give_back(counts, one)
        assert not counts.healthy

    uvloop.run(scenario())


def test_what_a_living_replica_holds_is_renewed(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, HELD, lease=0.9) as (counts,):
            await held(counts, Ask(0, ""))
            for _ in range(20):
                await asyncio.sleep(0.1)
                assert await used(counts) == {(0, ""): 1.0}

    uvloop.run(scenario())


def test_a_dead_replica_is_forgotten_in_twelve_seconds() -> None:
    assert LEASE == 12.0


def test_without_the_client_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aibridge.limits.redis_link", None)
    with pytest.raises(ImportError, match=r"pip install 'aibridge\[valkey\]'"):
        uvloop.run(Redis.connect("redis://127.0.0.1", []))


@pytest.mark.parametrize("url", ["http://a", "redis://a?no_such_option=1", "redis://a?socket_timeout=x"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        uvloop.run(Redis.connect(url, []))
