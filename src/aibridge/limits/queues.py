"""Those who wait for what is held, and the timers that end their patience."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol, TypeVar

from aibridge.domain.rule import Rule
from aibridge.limits.counts import Ask, Held, Memo, Place, Refusal
from aibridge.overload.backlog import Backlog
from aibridge.overload.concurrency import ConcurrencyLimiter

W = TypeVar("W")

_LONGEST_HALF_LIFE = 10.0
"""Seconds after which a call counts half, or less, in who goes next."""

_SOONEST = 0.001
"""Seconds: how soon a timer that went off a little early is set again. Event loops count in milliseconds."""

_SWEPT_FROM = 64
"""How many queues there are before it is looked whether some are no longer needed."""


def backlog_of(rule: Rule) -> Backlog[W]:
    """A fair queue for the callers above a rule, wherever they wait.

    Recent use is remembered with a half-life of half the rule's `queue_timeout`, so that one who has the patience to
    wait is not refused for the sake of another who came later, and of at most 10 s.
    """
    return Backlog(rule.queue_size, half_life=min(rule.queue_timeout / 2.0, _LONGEST_HALF_LIFE))


def alike(queue: Rule, rule: Rule | None) -> bool:
    """Whether the queue that was made for a rule serves this one, too: its callers need not be asked anew."""
    if rule is None or rule.mode is not queue.mode:
        return False
    return (rule.queue_timeout, rule.queue_size) == (queue.queue_timeout, queue.queue_size)


class Promise(Protocol):
    """Who is told the answer, once: a future. It is `done` where nobody wants to know any longer."""

    def done(self) -> bool:
        """Whether nothing more is to be told."""
        ...

    def set_result(self, answer: Held | Refusal, /) -> None:
        """Tell it."""
        ...


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that waits: what it asks for, since when and until when, and where its answer goes.

    `memo` is what was looked up for its asks when it came. `queue` is where it stands; None once it has left, however
    it did.
    """

    asks: tuple[Ask, ...]
    place: Place
    since: float
    deadline: float
    answer: Promise
    memo: Memo | None = None
    queue: "Queue | None" = None


class Queue:
    """Who waits for the permits of one limiter, of the rule at place `number`; with a timer while anybody does.

    `give_up` is called with each whose time is over, after it has left.
    """

    def __init__(self, number: int, rule: Rule, clock: Callable[[], float], give_up: Callable[[Waiter], None]) -> None:
        self.number = number
        self.rule = rule
        self._backlog: Backlog[Waiter] = backlog_of(rule)
        self._clock = clock
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf  # when the timer goes off

    def __len__(self) -> int:
        return len(self._backlog)

    def join(self, waiter: Waiter, now: float) -> Waiter | None:
        """Let it stand in line. Returns who lost its place for it: nobody, or a waiter, perhaps this one."""
        place = waiter.place
        lost = self._backlog.join(
            waiter,
            now,
            flow=place.flow,
            group=place.group,
            deadline=waiter.deadline,
            weight=place.weight,
            batch=place.batch,
        )
        waiter.queue = self
        if lost is not None:
            lost.queue = None
        if waiter.deadline < self._due:
            self._watch(now)
        return lost

    def next(self, now: float) -> Waiter | None:
        """Who goes; perhaps one that was cancelled in this turn of the event loop and had no chance to leave yet."""
        waiter = self._backlog.next(now)
        if waiter is not None:
            waiter.queue = None
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Give up its place."""
        self._backlog.leave(waiter)
        waiter.queue = None

    def charge(self, place: Place, now: float) -> None:
        """Remember a call that goes without having waited here."""
        self._backlog.charge(place.flow, place.group, place.weight, now)

    def idle(self, now: float) -> bool:
        """Whether nothing is lost with this queue."""
        return self._backlog.idle(now)

    def close(self) -> list[Waiter]:
        """Let nobody wait any longer; who did is returned."""
        if self._timer is not None:
            self._timer.cancel()
        return self._expired(inf)

    def dissolve(self, now: float) -> list[Waiter]:
        """Let nobody wait any longer; who did is returned, in the order of their turns."""
        turns = []
        while (waiter := self.next(now)) is not None:
            turns.append(waiter)
        return turns + self.close()

    def _watch(self, now: float) -> None:
        """Have the timer go off when the next deadline passes, or before."""
        deadline = self._backlog.first_deadline
        if deadline < self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._due = deadline
            self._timer = asyncio.get_running_loop().call_later(max(deadline - now, _SOONEST), self._expire)

    def _expire(self) -> None:
        self._timer, self._due = None, inf
        now = self._clock()
        for waiter in self._expired(now):
            self._give_up(waiter)
        self._watch(now)

    def _expired(self, now: float) -> list[Waiter]:
        waiters = self._backlog.expire(now)
        for waiter in waiters:
            waiter.queue = None
        return waiters


class Queues:
    """The queues of those limiters for which somebody waits, or did lately."""

    def __init__(self, clock: Callable[[], float], give_up: Callable[[Waiter], None]) -> None:
        self._clock = clock
        self._give_up = give_up
        self._queues: dict[ConcurrencyLimiter, Queue] = {}
        self._sweep_at = _SWEPT_FROM

    def known(self, limiter: ConcurrencyLimiter) -> Queue | None:
        """The queue of a limiter, if it has one."""
        return self._queues.get(limiter)

    def open(self, limiter: ConcurrencyLimiter, number: int, rule: Rule, now: float) -> Queue:
        """The queue of a limiter of the rule at place `number`, which may be new."""
        queue = self._queues.get(limiter)
        if queue is None:
            if len(self._queues) >= self._sweep_at:
                self._queues = {whose: queue for whose, queue in self._queues.items() if not queue.idle(now)}
                self._sweep_at = max(_SWEPT_FROM, 2 * len(self._queues))
            queue = self._queues[limiter] = Queue(number, rule, self._clock, self._give_up)
        return queue

    def limiters(self) -> list[ConcurrencyLimiter]:
        """The limiters that have a queue."""
        return [*self._queues]

    def outdated(self, rules: Mapping[int, Rule], now: float) -> list[Waiter]:
        """Forget the queues of all but these rules, or that were made for others; who waited is returned."""
        left = []
        for limiter, queue in [*self._queues.items()]:
            if not alike(queue.rule, rules.get(queue.number)):
                del self._queues[limiter]
                left += queue.dissolve(now)
        return left

    def depths(self) -> dict[int, int]:
        """How many wait, by the place of the rule."""
        depths: dict[int, int] = {}
        for queue in self._queues.values():
            depths[queue.number] = depths.get(queue.number, 0) + len(queue)
        return depths

    def close(self) -> list[Waiter]:
        """Let nobody wait any longer; who did is returned."""
        waiters = [waiter for queue in self._queues.values() for waiter in queue.close()]
        self._queues.clear()
        return waiters
