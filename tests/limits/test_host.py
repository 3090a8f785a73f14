"""Counts that several workers ask one supervisor for, over real sockets: one limit, and nothing that stays behind."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise

import pytest
import uvloop
from host_world import Host, host
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.rule import Mode, Rule, Unit
from aibridge.limits.counts import Ask, Held, Place, Present, Refusal
from aibridge.limits.host import HostCounts
from aibridge.limits.host_frames import Batches, FromWorker, Look, Take, Tripped
from aibridge.limits.known_full import BRIEFLY
from aibridge.overload.outcome import Outcome

ONE = (Ask(rule=0, key=""),)
PATIENCE = 5.0
SOMEBODY = Place(flow="somebody")
two_at_once = Rule(name="two", unit=Unit.CONCURRENT, amount=2)
one_at_once = Rule(name="one", unit=Unit.CONCURRENT, amount=1)
one_and_a_queue = Rule(name="queue", unit=Unit.CONCURRENT, amount=1, queue_timeout=60.0, queue_size=10)
tokens = Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=1000, window=60.0)
requests = Rule(name="requests", unit=Unit.REQUESTS, amount=3, window=60.0)
shadow = Rule(name="shadow", unit=Unit.CONCURRENT, amount=1, mode=Mode.SHADOW)


async def eventually(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await fact():  # noqa: ASYNC110 (there is nothing to be told by)
            await asyncio.sleep(0.001)


async def held_by(worker: HostCounts, asks: tuple[Ask, ...] = ONE, place: Place | None = None) -> Held:
    held = await worker.take(asks, place)
    assert isinstance(held, Held)
    return held


async def refused(worker: HostCounts, asks: tuple[Ask, ...]) -> Refusal:
    answer = await worker.take(asks)
    assert isinstance(answer, Refusal)
    return answer


def test_a_held_limit_is_one_limit_over_all_workers() -> None:
    async def scenario() -> list[Held | Refusal]:
        async with host(two_at_once, workers=3) as made:
            answers = await asyncio.gather(*(worker.take(ONE) for worker in made.workers for _ in range(4)))
            return list(answers)

    answers = uvloop.run(scenario())

    assert sum(isinstance(answer, Held) for answer in answers) == 2


def test_what_one_worker_gives_back_another_may_take() -> None:
    async def scenario() -> Held | Refusal:
        async with host(one_at_once) as made:
            first, second = made.workers
            held = await held_by(first)
            assert isinstance(await second.take(ONE), Refusal)
            first.settle(held, (1.0,), Outcome.SUCCESS)
            await eventually(lambda: _is(made.used(), 0.0))
            return await second.take(ONE)

    assert isinstance(uvloop.run(scenario()), Held)


async def _is(coming: Awaitable[float], wanted: float) -> bool:
    return await coming == wanted


def test_a_refusal_arrives_as_the_place_that_counts_said_it() -> None:
    async def scenario() -> tuple[Held | Refusal, Held | Refusal]:
        asks = (Ask(0, "ada", 400.0), Ask(1, "ada"))
        async with host(tokens, requests) as made:
            for _ in range(2):
                await held_by(made.workers[0], asks)
            return await made.workers[1].take(asks), await made.memory.take(asks)

    there, here = uvloop.run(scenario())

    assert isinstance(there, Refusal)
    assert isinstance(here, Refusal)
    assert (there.rule, there.key) == (here.rule, here.key) == (0, "ada")
    assert there.used == pytest.approx(here.used, abs=1.0)
    assert there.retry_after == pytest.approx(here.retry_after, abs=0.5)


def test_what_was_found_full_is_known_for_a_moment_without_asking() -> None:
    mine, queue, calls = (Ask(0, "ada"),), (Ask(2, ""),), (Ask(1, "ada"),)

    async def scenario() -> None:
        async with host(one_at_once, requests, one_and_a_queue) as made:
            here, there = made.workers
            first = await held_by(here, mine)
            await held_by(here, queue)
            assert here.full(0, "ada") is here.refused(mine) is None
            await refused(here, mine)
            known = here.full(0, "ada")
            assert known is not None
            assert (known.rule, known.key, known.used) == (0, "ada", 1.0)
            assert here.refused(calls + mine) is not None
            assert here.full(0, "bob") is there.full(0, "ada") is None
            await refused(there, mine)
            assert there.full(0, "ada") is not None
            here.settle(first, None, Outcome.SUCCESS)
            assert here.full(0, "ada") is None, "it was given back here"
            await asyncio.sleep(BRIEFLY * 1.5)
            assert there.full(0, "ada") is None, "it may have been given back elsewhere"
            for _ in range(3):
                await held_by(here, calls)
            for asks in (queue, calls):
                await refused(here, asks)
                assert here.refused(asks) is None, "there is a queue, or the wait is certain"

    uvloop.run(scenario())


def test_each_is_told_to_come_later_than_the_one_before() -> None:
    async def scenario() -> list[float]:
        async with host(one_at_once) as made:
            worker = made.workers[0]
            await held_by(worker)
            await asyncio.sleep(0.02)
            refusal = await refused(worker, ONE)
            assert refusal.step is not None
            waits = [refusal.retry_after]
            for _ in range(3):
                known = worker.full(0, "")
                assert known is not None
                waits.append(known.retry_after)
            steps = [later - earlier for earlier, later in pairwise(waits)]
            assert steps == pytest.approx([refusal.step] * 3)
            return waits

    assert min(uvloop.run(scenario())) > 0.01


def test_what_is_given_back_while_a_refusal_is_on_its_way_makes_it_doubtful() -> None:
    async def scenario() -> None:
        async with host(two_at_once) as made:
            worker = made.workers[0]
            first, _ = await held_by(worker), await held_by(worker)
            refusing = asyncio.create_task(worker.take(ONE))
            await asyncio.sleep(0)
            worker.settle(first, None, Outcome.SUCCESS)
            assert isinstance(await refusing, Refusal)
            assert worker.full(0, "") is None
            held = asyncio.create_task(worker.take(ONE))
            refusing = asyncio.create_task(worker.take(ONE))
            await refusing
            assert worker.full(0, "") is not None
            held.cancel()  # it is held, and not told yet
            with contextlib.suppress(asyncio.CancelledError):
                await held

    uvloop.run(scenario())


def test_a_call_that_is_cancelled_gives_back_what_it_may_have_taken() -> None:
    async def scenario() -> None:
        async with host(one_at_once) as made:
            worker = made.workers[0]
            taking = asyncio.create_task(worker.take(ONE))
            await asyncio.sleep(0)
            await refused(worker, ONE)
            assert worker.full(0, "") is not None
            taking = asyncio.create_task(worker.take(ONE))
            await asyncio.sleep(0)
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
            assert worker.full(0, "") is None

    uvloop.run(scenario())


def test_a_room_is_not_known_to_be_full_by_other_rules() -> None:
    async def scenario() -> None:
        async with host(one_at_once) as made:
            worker = made.workers[0]
            await held_by(worker)
            await refused(worker, ONE)
            refusing = asyncio.create_task(worker.take(ONE))
            await asyncio.sleep(0)
            worker.replace({0: two_at_once})
            assert worker.full(0, "") is None
            assert isinstance(await refusing, Refusal)
            assert worker.full(0, "") is None

    uvloop.run(scenario())


def test_a_room_that_is_not_all_that_lacks_is_asked_for_again() -> None:
    async def scenario() -> None:
        async with host(one_at_once, requests) as made:
            worker = made.workers[0]
            await held_by(worker)
            for _ in range(3):
                await held_by(worker, (Ask(1, "ada"),))
            refusal = await refused(worker, (*ONE, Ask(1, "ada")))
            assert refusal.retry_after > 50.0, "this one has no calls left as well; others may"
            assert worker.full(0, "") is None

    uvloop.run(scenario())


def test_a_call_is_settled_with_what_it_used() -> None:
    async def scenario() -> float:
        async with host(tokens) as made:
            worker = made.workers[0]
            held = await held_by(worker, (Ask(0, "ada", 900.0),))
            worker.settle(held, (100.0,), Outcome.SUCCESS)
            await worker.present(1)  # said after it, so answered after it
            return await made.used()

    assert uvloop.run(scenario()) == pytest.approx(100.0, abs=10.0)


def test_what_was_counted_is_told_where_it_is_not_what_was_asked() -> None:
    async def scenario() -> Held:
        async with host(shadow, tokens) as made:
            await held_by(made.workers[0], (Ask(0, ""),))
            return await held_by(made.workers[1], (Ask(0, ""), Ask(1, "ada", 5000.0)))

    held = uvloop.run(scenario())

    assert held.shadows == (0,)
    assert held.asks == (Ask(1, "ada", 1000.0),)


def test_what_one_turn_of_the_loop_asks_is_one_write() -> None:
    async def scenario() -> bytes:
        ours, theirs = socket.socketpair()
        worker = await HostCounts.connect(theirs)
        takes = [asyncio.create_task(worker.take(ONE)) for _ in range(50)]
        for _ in range(3):
            await asyncio.sleep(0)
        said = ours.recv(1 << 16)
        ours.close()
        await asyncio.gather(*takes)
        return said

    said = uvloop.run(scenario())
    heard = Batches[FromWorker](FromWorker).read(said)

    assert [take.number for take in heard if isinstance(take, Take)] == [*range(1, 51)]
    assert int.from_bytes(said[:4], "big") == len(said) - 4  # one batch


def test_a_take_that_is_cancelled_while_it_waits_holds_nothing() -> None:
    async def scenario() -> tuple[int, float]:
        async with host(one_and_a_queue) as made:
            first, second = made.workers
            held = await held_by(first, ONE, SOMEBODY)
            waiting = asyncio.create_task(second.take(ONE, SOMEBODY))
            await eventually(lambda: _is(_waiting(made), 1))
            waiting.cancel()
            await eventually(lambda: _is(_waiting(made), 0))
            first.settle(held, (1.0,), Outcome.SUCCESS)
            await first.present(1)
            return made.memory.waiting, await made.used()

    assert uvloop.run(scenario()) == (0, 0.0)


async def _waiting(made: Host) -> float:
    return made.memory.waiting


@pytest.mark.parametrize("place", [None, SOMEBODY])
@pytest.mark.parametrize("turns", range(6))
def test_a_take_that_is_cancelled_at_any_moment_holds_nothing(turns: int, place: Place | None) -> None:
    async def scenario() -> float:
        async with host(one_and_a_queue) as made:
            worker = made.workers[0]
            take = asyncio.create_task(worker.take(ONE, place))
            for _ in range(turns):
                await asyncio.sleep(0)
            take.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                worker.settle(held, (1.0,), Outcome.SUCCESS) if isinstance(held := await take, Held) else None
            await worker.present(1)
            return await made.used()

    assert uvloop.run(scenario()) == 0.0


def test_a_dead_workers_permits_and_places_in_the_queue_are_free_at_once() -> None:
    async def scenario() -> tuple[Held | Refusal, int, float, int]:
        async with host(one_and_a_queue, workers=3) as made:
            dying, other, third = made.workers
            await held_by(dying, ONE, SOMEBODY)
            lost = [asyncio.create_task(dying.take(ONE, SOMEBODY)) for _ in range(3)]
            await eventually(lambda: _is(_waiting(made), 3))
            waiting = asyncio.create_task(other.take(ONE, SOMEBODY))
            await eventually(lambda: _is(_waiting(made), 4))
            made.kill(0)
            answer = await asyncio.wait_for(waiting, PATIENCE)
            await asyncio.gather(*lost)
            await third.present(1)
            return answer, made.memory.waiting, await made.used(), len(made.service._workers)

    answer, waiting, used, workers = uvloop.run(scenario())

    assert isinstance(answer, Held)
    assert (waiting, used, workers) == (0, 1.0, 2)


def test_what_a_dead_worker_spent_stays_spent() -> None:
    async def scenario() -> list[Present]:
        async with host(requests, tokens) as made:
            await held_by(made.workers[0], (Ask(0, "ada"), Ask(1, "ada", 700.0)))
            made.kill(0)
            return await made.workers[1].present(10)

    spent = uvloop.run(scenario())

    assert [present.rule for present in spent] == [0, 1]
    assert [present.used for present in spent] == pytest.approx([1.0, 700.0], abs=10.0)


def test_without_the_supervisor_every_take_is_refused_and_the_worker_is_told_once() -> None:
    async def scenario() -> tuple[list[Held | Refusal], list[Present], bool, list[int]]:
        async with host(one_and_a_queue) as made:
            worker = made.workers[0]
            held = await held_by(worker, ONE, SOMEBODY)
            waiting = asyncio.create_task(worker.take(ONE, SOMEBODY))
            await eventually(lambda: _is(_waiting(made), 1))
            for connection in [*made.service._workers]:
                connection._transport.abort()
            answers = [await waiting, await worker.take(ONE)]
            worker.settle(held, (1.0,), Outcome.SUCCESS)
            worker.tripped("openai", 1.0)
            await asyncio.sleep(0)
            return answers, await worker.present(1), worker.healthy, sorted(made.gone)

    answers, present, healthy, gone = uvloop.run(scenario())

    assert [isinstance(answer, Refusal) for answer in answers] == [True, True]
    assert (present, healthy, gone) == ([], False, [0, 1])


def test_a_worker_that_leaves_by_itself_is_not_told_that_the_supervisor_is_gone() -> None:
    async def scenario() -> tuple[list[int], float]:
        async with host(two_at_once) as made:
            leaving, other = made.workers
            await held_by(leaving)
            await leaving.close()
            await other.present(1)
            return made.gone, await made.used()

    assert uvloop.run(scenario()) == ([], 0.0)


def test_a_breaker_that_opens_is_told_to_all_so_that_all_hear_the_same_last() -> None:
    async def scenario() -> list[tuple[int, str, float]]:
        heard: list[tuple[int, str, float]] = []

        def hear(number: int, breaker: str, seconds: float) -> None:
            heard.append((number, breaker, seconds))

        async with host(two_at_once, workers=3) as made:
            for number, worker in enumerate(made.workers):
                worker.listen(partial(hear, number))
            made.workers[1].tripped("openai/gpt", 30.0)
            await made.workers[1].present(1)
            for worker in made.workers:
                await worker.present(1)
        return sorted(heard)

    assert uvloop.run(scenario()) == [(number, "openai/gpt", 30.0) for number in range(3)]


@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_where_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    batches = Batches[FromWorker](FromWorker)
    said: list[list[FromWorker]] = [
        [Take(number=1, asks=ONE, place=SOMEBODY), Look(number=2, most=3)],
        [Tripped(breaker="openai", seconds=1.5)],
        [Take(number=3, asks=(Ask(1, "ada", 12.5), Ask(2, "x" * 50)))],
    ]
    data = b"".join(batches.written(frames) for frames in said)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    heard = [frame for start, end in pairwise(bounds) for frame in batches.read(data[start:end])]

    assert heard == [frame for frames in said for frame in frames]
