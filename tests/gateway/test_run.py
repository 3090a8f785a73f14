"""How a call is driven: at once where what it waits for comes, in a task only for the rest."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gateway_world import run, until

from aibridge.gateway.arrival import Arrival
from aibridge.gateway.run import Run

pytestmark = pytest.mark.interpreted  # what is compiled has no subclasses that are not


class Noted(Run):
    """Keeps how it ended."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        super().__init__(work, asyncio.get_running_loop())
        self.endings: list[BaseException | None] = []

    def ended(self, reason: BaseException | None) -> None:
        self.endings.append(reason)


def started(work: Coroutine[Any, Any, None]) -> Noted:
    """Work that has begun, from where there is no task, as it is in `data_received`."""
    runs: list[Noted] = []

    def begin() -> None:
        runs.append(Noted(work))
        runs[0].start()

    outside(begin)
    return runs[0]


def outside(act: Callable[[], object]) -> None:
    """Do something as a callback of the loop does, with no task around it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.tasks._leave_task(asyncio.get_running_loop(), task)
    try:
        act()
    finally:
        asyncio.tasks._enter_task(asyncio.get_running_loop(), task)


class SurpriseError(Exception):
    """What nobody expects."""


def test_work_that_waits_for_nothing_is_over_at_once() -> None:
    async def test() -> None:
        steps: list[int] = []

        async def work() -> None:
            steps.append(1)

        assert started(work()).endings == [None]
        assert steps == [1]

    run(test())


def test_work_goes_on_inside_what_it_waits_for() -> None:
    async def test() -> None:
        arrival = Arrival()
        steps: list[object] = []

        async def work() -> None:
            steps.append(asyncio.current_task())
            await arrival
            steps.append(asyncio.current_task())
            await arrival  # it is here: nothing to wait for
            steps.append("on")

        noted = started(work())
        assert (steps, noted.endings) == ([None], [])
        outside(arrival.come)
        assert (steps, noted.endings) == ([None, None, "on"], [None])
        outside(arrival.come)
        assert noted.endings == [None]

    run(test())


def test_what_will_not_come_is_raised_where_it_is_awaited() -> None:
    async def test() -> None:
        arrival = Arrival()

        async def work() -> None:
            await arrival

        noted = started(work())
        outside(lambda: arrival.come(SurpriseError()))
        outside(arrival.come)
        assert [type(reason) for reason in noted.endings] == [SurpriseError]

    run(test())


def test_a_task_is_woken_a_turn_after_an_arrival() -> None:
    async def test() -> None:
        here, good, cut = Arrival(), Arrival(), Arrival()
        here.come()
        waiting = [asyncio.create_task(arrival.woken()) for arrival in (here, good, cut)]
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [True, False, False]
        good.come(SurpriseError())  # which is raised where the arrival itself is awaited
        waiting[2].cancel()
        cut.come()
        assert not waiting[1].done()
        await asyncio.wait(waiting)
        assert waiting[1].exception() is None
        assert waiting[2].cancelled()

    run(test())


@pytest.mark.parametrize("fails", [False, True])
def test_work_in_a_task_learns_what_came_of_an_arrival(*, fails: bool) -> None:
    async def test() -> None:
        arrival = Arrival()

        async def work() -> None:
            await asyncio.sleep(0)
            await arrival

        noted = started(work())
        await asyncio.sleep(0.001)
        arrival.come(SurpriseError() if fails else None)
        await until(lambda: bool(noted.endings))
        assert [type(reason) for reason in noted.endings] == [SurpriseError if fails else type(None)]

    run(test())


def test_whatever_else_it_waits_for_has_a_task_from_there_on() -> None:
    async def test() -> None:
        arrival = Arrival()
        steps: list[bool] = []

        async def work() -> None:
            await asyncio.sleep(0)
            steps.append(asyncio.current_task() is not None)
            await asyncio.sleep(0.001)
            async with asyncio.timeout(1.0):
                await arrival
            steps.append(asyncio.current_task() is not None)

        noted = started(work())
        assert steps == []
        await until(lambda: steps == [True])
        await asyncio.sleep(0.01)
        arrival.come()
        await until(lambda: noted.endings == [None])
        assert steps == [True, True]

    run(test())


def test_what_a_future_fails_with_reaches_the_work() -> None:
    async def test() -> None:
        future = asyncio.get_running_loop().create_future()

        async def work() -> None:
            await future

        noted = started(work())
        future.set_exception(SurpriseError())
        await until(lambda: bool(noted.endings))
        assert isinstance(noted.endings[0], SurpriseError)

    run(test())


@pytest.mark.parametrize("turns", range(4))
def test_a_cancellation_reaches_the_work_wherever_it_waits(turns: int) -> None:
    """Before its task has begun, in it, and in a wait that follows the first."""

    async def test() -> None:
        met: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.get_running_loop().create_future()
            finally:
                met.append("end")

        noted = started(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        noted.cancel()
        await until(lambda: bool(noted.endings))
        assert met == ["end"]
        assert [type(reason) for reason in noted.endings] == [asyncio.CancelledError]

    run(test())


@pytest.mark.parametrize("turns", range(3))
@pytest.mark.parametrize("first", [False, True], ids=["in its task", "at first"])
def test_a_cancellation_reaches_what_the_work_waits_for(turns: int, *, first: bool) -> None:
    async def test() -> None:
        future = asyncio.get_running_loop().create_future()

        async def work() -> None:
            if not first:
                await asyncio.sleep(0)
            await future

        noted = started(work())
        for _ in range(turns + (not first)):
            await asyncio.sleep(0)
        noted.cancel()
        await until(lambda: bool(noted.endings))
        assert future.cancelled() or (turns == 0 and not first)  # then it was not waited for yet

    run(test())


def test_a_cancellation_while_it_runs_reaches_a_future_that_it_waits_for_next() -> None:
    async def test() -> None:
        runs: list[Noted] = []
        arrival, future = Arrival(), asyncio.get_running_loop().create_future()

        async def work() -> None:
            await arrival
            runs[0].cancel()
            await future

        runs.append(started(work()))
        outside(arrival.come)
        await until(lambda: bool(runs[0].endings))
        assert future.cancelled()

    run(test())


def test_a_cancelled_wait_for_an_arrival_ends_at_once_and_is_not_woken_again() -> None:
    async def test() -> None:
        arrival, another = Arrival(), Arrival()

        async def work() -> None:
            try:
                await arrival
            finally:
                await another

        noted = started(work())
        outside(noted.cancel)
        outside(arrival.come)
        assert noted.endings == []
        outside(another.come)
        assert [type(reason) for reason in noted.endings] == [asyncio.CancelledError]

    run(test())


def test_work_that_is_cancelled_while_it_runs_learns_it_where_it_waits_next() -> None:
    async def test() -> None:
        runs: list[Noted] = []
        arrival = Arrival()

        async def work() -> None:
            await arrival
            runs[0].cancel()
            await Arrival()

        runs.append(started(work()))
        outside(arrival.come)
        assert [type(reason) for reason in runs[0].endings] == [asyncio.CancelledError]

    run(test())


@contextmanager
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_call_waits_for_the_collector(*, fails: bool) -> None:
    async def test() -> None:
        class Thing:
            pass

        def one() -> "weakref.ref[Thing]":
            thing, arrivals = Thing(), [Arrival()]

            async def work(thing: Thing) -> None:
                await arrivals[0]
                assert thing

            noted = started(work(thing))
            outside(lambda: arrivals.pop().come(SurpriseError() if fails else None))
            assert len(noted.endings) == 1
            noted.endings.clear()
            return weakref.ref(thing)

        with without_collector():
            assert one()() is None

    run(test())
