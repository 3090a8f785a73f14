"""The event loop of a rehearsal: all happens in the order of time, and time moves only when told."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.limits.virtual import VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    loop.enter()
    loop.advance(100.0)
    yield loop
    loop.leave()


def test_it_is_the_running_loop_until_it_is_left(loop: VirtualLoop) -> None:
    assert asyncio.get_running_loop() is loop
    loop.leave()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_time_stands_still_until_it_is_told_and_never_steps_back(loop: VirtualLoop) -> None:
    assert loop.time() == 100.0
    loop.advance(107.5)
    loop.advance(50.0)
    assert loop.time() == 107.5


@given(delays=st.lists(st.integers(0, 5), max_size=20), until=st.integers(0, 6))
def test_timers_go_off_in_the_order_of_time_then_of_asking(delays: list[int], until: int) -> None:
    loop = VirtualLoop()
    loop.advance(0.0)
    seen: list[tuple[float, int]] = []
    for number, delay in enumerate(delays):
        loop.call_later(delay, lambda number: seen.append((loop.time(), number)), number)
    loop.advance(until)
    due = sorted((delay, number) for number, delay in enumerate(delays))
    assert seen == [pair for pair in due if pair[0] <= until]
    loop.finish()
    loop.close()
    assert seen == due


def test_what_was_cancelled_does_not_happen(loop: VirtualLoop) -> None:
    seen: list[str] = []
    loop.call_later(1.0, seen.append, "later").cancel()
    loop.call_soon(seen.append, "soon").cancel()
    loop.play(101.0, seen.append, "played")
    loop.finish()
    assert seen == ["played"]


def test_what_follows_from_an_instant_happens_at_it(loop: VirtualLoop) -> None:
    future = loop.create_future()
    seen: list[float] = []
    future.add_done_callback(lambda _: seen.append(loop.time()))
    loop.call_later(2.0, future.set_result, None)
    loop.call_later(3.0, seen.append, -1.0)
    loop.finish()
    assert seen == [102.0, -1.0]


def test_what_follows_from_now_happens_when_it_is_let(loop: VirtualLoop) -> None:
    seen: list[str] = []
    loop.call_soon(seen.append, "a")
    assert seen == []
    loop.settle()
    assert seen == ["a"]


def test_the_end_has_what_the_last_timer_asked_for(loop: VirtualLoop) -> None:
    seen: list[float] = []
    loop.call_later(1.0, lambda: loop.call_later(1.0, lambda: seen.append(loop.time())))
    loop.finish()
    assert seen == [102.0]
