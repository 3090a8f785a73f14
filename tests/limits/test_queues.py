"""`Queue`: a waiter knows where it stands, and that it no longer does, however it left."""

import asyncio
from collections.abc import Callable

import pytest
from virtual_time import run

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Place
from aibridge.limits.queues import Queue, Waiter

RULE = Rule(name="slots", unit=Unit.CONCURRENT, amount=1, queue_timeout=2.0, queue_size=1)


def waiter(flow: str = "ada") -> Waiter:
    loop = asyncio.get_running_loop()
    now = loop.time()
    return Waiter((), Place(flow), since=now, deadline=now + RULE.queue_timeout, answer=loop.create_future())


def push_out(queue: Queue, standing: Waiter) -> None:
    newcomer = waiter("bob")
    standing.place = Place("ada", batch=True)
    queue.leave(standing)
    assert queue.join(standing, 1000.0) is None
    assert queue.join(newcomer, 1000.0) is standing
    assert newcomer.queue is queue


WAYS: dict[str, Callable[[Queue, Waiter], object]] = {
    "goes": lambda queue, _: queue.next(1000.0),
    "leaves": lambda queue, standing: queue.leave(standing),
    "is pushed out": push_out,
    "is let go when the queue is closed": lambda queue, _: queue.close(),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_waiter_stands_in_its_queue_until_it(way: Callable[[Queue, Waiter], object]) -> None:
    async def scenario() -> None:
        queue = Queue(0, RULE, asyncio.get_running_loop().time, lambda _: None)
        standing = waiter()
        queue.join(standing, 1000.0)
        assert standing.queue is queue
        way(queue, standing)
        assert standing.queue is None

    run(scenario())


def test_a_waiter_has_left_when_it_is_told_that_its_time_is_over() -> None:
    async def scenario() -> None:
        told: list[tuple[Waiter, bool]] = []
        queue = Queue(
            0, RULE, asyncio.get_running_loop().time, lambda waiter: told.append((waiter, waiter.queue is None))
        )
        standing = waiter()
        queue.join(standing, 1000.0)
        await asyncio.sleep(2.1)
        assert told == [(standing, True)]
        assert len(queue) == 0
        assert queue.next(1002.1) is None

    run(scenario())


def test_a_waiter_that_is_refused_a_place_stands_nowhere() -> None:
    async def scenario() -> None:
        queue = Queue(0, RULE, asyncio.get_running_loop().time, lambda _: None)
        first, second = waiter("ada"), waiter("ada")
        queue.join(first, 1000.0)
        assert queue.join(second, 1000.0) is second
        assert second.queue is None

    run(scenario())
