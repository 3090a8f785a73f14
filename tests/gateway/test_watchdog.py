"""One lazy timer, on a loop whose time is a number."""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import cast

import pytest

from aibridge.gateway import watchdog
from aibridge.gateway.watchdog import Watchdog


class Timer:
    def __init__(self, at: float, then: Callable[[], None]) -> None:
        self.at = at
        self.then = then
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """The part of a loop that has timers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        monkeypatch.setattr(watchdog, "monotonic", lambda: self.now)

    def call_later(self, delay: float, then: Callable[[], None]) -> Timer:
        assert delay >= 0.0
        timer = Timer(self.now + delay, then)
        self.timers.append(timer)
        return timer

    @property
    def due(self) -> list[Timer]:
        return sorted((timer for timer in self.timers if not timer.cancelled), key=lambda timer: timer.at)

    def run(self, until: float, *, early: float = 0.0) -> None:
        while self.due and self.due[0].at <= until:
            timer = self.due[0]
            self.timers.remove(timer)
            self.now = max(self.now, timer.at - early)
            timer.then()
        self.now = until


class Deadline:
    """What a watchdog looks at: one deadline that moves."""

    def __init__(self, loop: Loop, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.looks: list[float] = []
        self.fired: list[float] = []
        self.dog = Watchdog(cast("AbstractEventLoop", loop), self.look)

    def look(self, now: float) -> float | None:
        self.looks.append(now)
        if self.deadline is None or now < self.deadline:
            return self.deadline
        self.fired.append(now)
        self.deadline = None
        return None


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


def test_a_deadline_is_noticed_when_it_has_passed(loop: Loop) -> None:
    watched = Deadline(loop, 5.0)
    watched.dog.by(5.0)
    loop.run(4.9)
    assert watched.fired == []
    loop.run(5.0)
    assert watched.fired == [5.0]
    loop.run(100.0)
    assert watched.looks == [5.0]


def test_a_deadline_that_moves_later_costs_one_look_and_no_timer(loop: Loop) -> None:
    watched = Deadline(loop, 5.0)
    watched.dog.by(5.0)
    for step in range(100):
        loop.run(step / 100)
        watched.deadline = 5.0 + loop.now
        watched.dog.by(watched.deadline)
    assert len(loop.timers) == 1
    loop.run(20.0)
    assert watched.looks == [5.0, 5.99]
    assert watched.fired == [5.99]


def test_a_deadline_that_moves_earlier_is_noticed_in_time(loop: Loop) -> None:
    watched = Deadline(loop, 2.0)
    watched.dog.by(10.0)
    watched.dog.by(2.0)
    loop.run(20.0)
    assert watched.looks == watched.fired == [2.0]
    assert loop.due == []


def test_an_instant_that_has_passed_is_looked_at_at_once(loop: Loop) -> None:
    loop.run(10.0)
    watched = Deadline(loop, 3.0)
    watched.dog.by(3.0)
    loop.run(10.0)
    assert watched.fired == [10.0]


def test_a_timer_that_fires_a_tick_early_still_finds_the_deadline_passed(loop: Loop) -> None:
    watched = Deadline(loop, 5.0)
    watched.dog.by(5.0)
    loop.run(5.0, early=0.001)
    assert watched.fired == [5.0]


def test_nothing_is_looked_at_after_the_stop(loop: Loop) -> None:
    watched = Deadline(loop, 5.0)
    watched.dog.by(5.0)
    watched.dog.stop()
    watched.dog.stop()
    loop.run(20.0)
    assert watched.looks == []
    assert loop.due == []


def test_a_look_may_ask_for_another_itself(loop: Loop) -> None:
    looks: list[float] = []

    def look(now: float) -> float | None:
        looks.append(now)
        if len(looks) == 1:
            dog.by(now + 1)
            return now + 9
        return None

    dog = Watchdog(cast("AbstractEventLoop", loop), look)
    dog.by(1.0)
    loop.run(20.0)
    assert looks == [1.0, 2.0]
