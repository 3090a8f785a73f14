"""Waiting in one replica for what is held, where nobody says when a permit comes free elsewhere.

Those who wait stand in fair queues, one for each limit, as in one process. The first of each asks again every `TURN`,
and at once when this replica gives something back: however many wait, one asks. So a queue is fair among the callers of
one replica; between replicas, the first of each has the same chance.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from aibridge.domain.rule import Rule
from aibridge.limits.counts import Ask, Held, Place, Refusal
from aibridge.limits.queues import Queue, Waiter

TURN = 0.02
"""Seconds between two tries for what other replicas may have given back."""

_AWAY = Refusal(rule=-1, key="", used=0.0, retry_after=0.0)
"""The word to those who wait that there is nobody left to ask."""

_SWEPT_FROM = 64
"""How many lines there are before it is looked whether some are no longer needed."""

Count = tuple[int, str]
"""A rule's place and the key of a subject."""


@dataclass(slots=True)
class No:
    """Why a call may not go: the first limit that refused, and what else is to be waited for.

    `wait` is in seconds, for what is spent; `held` are the limits over what is held that have nothing left. `full` is
    the one for which the call may wait in a queue, if that is all it lacks.
    """

    rule: int
    key: str
    used: float
    wait: float
    held: tuple[Count, ...]
    full: Count | None


def queued(rule: Rule) -> bool:
    """Whether callers can wait for a rule."""
    return rule.held and rule.queue_timeout > 0.0 and rule.queue_size > 0


def exhausted(rules: Sequence[Rule], count: Count) -> No:
    """That a limit over what is held has nothing left."""
    return No(*count, float(rules[count[0]].amount), 0.0, (count,), None)


@dataclass(slots=True, eq=False)
class _Line:
    """One queue, the task that serves it while anybody waits, and the sign that something was given back."""

    queue: Queue
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Task[None] | None = None


class Lines:
    """All who wait in this replica.

    `attempt` tries to take all that a call asks for, and returns None when there is nobody to ask; `give_back` undoes
    it. `refuse` says what a caller hears.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        clock: Callable[[], float],
        *,
        attempt: Callable[[tuple[Ask, ...]], Awaitable[Held | No | None]],
        give_back: Callable[[Held], None],
        refuse: Callable[[No], Refusal],
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._attempt = attempt
        self._give_back = give_back
        self._refuse = refuse
        self._lines: dict[Count, _Line] = {}
        self._sweep_at = _SWEPT_FROM

    def __len__(self) -> int:
        """How many calls wait, those not counted that ask just now."""
        return sum(len(line.queue) for line in self._lines.values())

    def busy(self, asks: Iterable[Ask]) -> Count | None:
        """The first of these limits for which somebody waits here already: who comes now waits behind them."""
        if self._lines:
            for ask in asks:
                line = self._lines.get((ask.rule, ask.key))
                if line is not None and line.serving is not None:
                    return ask.rule, ask.key
        return None

    def pass_by(self, asks: Iterable[Ask], place: Place) -> None:
        """Let the queues of a call that went without waiting know of it: who used less goes before it next time."""
        if self._lines:
            for ask in asks:
                line = self._lines.get((ask.rule, ask.key))
                if line is not None:
                    line.queue.charge(place, self._clock())

    def stir(self, count: Count) -> None:
        """Something of this limit was given back here."""
        line = self._lines.get(count)
        if line is not None:
            line.stirred.set()

    async def wait(self, count: Count, asks: tuple[Ask, ...], place: Place, since: float) -> Held | Refusal | None:
        """Wait for this limit, and for others that turn out to be full meanwhile. None if there is nobody to ask."""
        answer: asyncio.Future[Held | Refusal] = asyncio.get_running_loop().create_future()
        waiter = Waiter(asks=asks, place=place, since=since, deadline=since, answer=answer)
        self._stand(count, waiter)
        try:
            said = await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and isinstance(held := answer.result(), Held):
                self._give_back(held)
            raise
        finally:
            if waiter.queue is not None:
                waiter.queue.leave(waiter)
        return None if said is _AWAY else said

    async def close(self) -> None:
        """Refuse those who wait."""
        for count, line in self._lines.items():
            for waiter in line.queue.close():
                self._give_up(count, waiter)
            if line.serving is not None:
                line.serving.cancel()
                await asyncio.wait((line.serving,))
        self._lines.clear()

    def _stand(self, count: Count, waiter: Waiter) -> None:
        line = self._open(count)
        now = self._clock()
        waiter.deadline = waiter.since + self._rules[count[0]].queue_timeout
        lost = line.queue.join(waiter, now)
        if lost is not None:
            self._give_up(count, lost)
        if line.serving is None:
            line.serving = asyncio.create_task(self._serve(count, line))

    def _open(self, count: Count) -> _Line:
        line = self._lines.get(count)
        if line is None:
            if len(self._lines) >= self._sweep_at:
                now = self._clock()
                self._lines = {
                    whose: line
                    for whose, line in self._lines.items()
                    if line.serving is not None or not line.queue.idle(now)
                }
                self._sweep_at = max(_SWEPT_FROM, 2 * len(self._lines))
            rule = self._rules[count[0]]

            queue = Queue(count[0], rule, self._clock, lambda waiter: self._give_up(count, waiter))
            line = self._lines[count] = _Line(queue)
        return line

    async def _serve(self, count: Count, line: _Line) -> None:
        """Call up one after another while anybody waits."""
        try:
            while (waiter := line.queue.next(self._clock())) is not None:
                left = max(0.0, waiter.deadline - self._clock())
                timer = asyncio.get_running_loop().call_later(left, self._give_up, count, waiter)
                try:
                    await self._call_up(count, line, waiter)
                finally:
                    timer.cancel()
                    if waiter.queue is None:  # answered, or this place is closed
                        self._give_up(count, waiter)
        finally:
            line.serving = None

    async def _call_up(self, count: Count, line: _Line, waiter: Waiter) -> None:
        """Try for the first in the line until it has an answer, leaves, or lacks something else."""
        while not waiter.answer.done():
            line.stirred.clear()
            said = await self._attempt(waiter.asks)
            if waiter.answer.done():
                if isinstance(said, Held):
                    self._give_back(said)
            elif isinstance(said, Held):
                said.waited = self._clock() - waiter.since
                waiter.answer.set_result(said)
            elif said is None:
                waiter.answer.set_result(_AWAY)
            elif said.full is None:
                self._refused(waiter, said)
            elif said.full != count:
                self._stand(said.full, waiter)
                return
            else:
                timer = asyncio.get_running_loop().call_later(TURN, line.stirred.set)
                await line.stirred.wait()
                timer.cancel()

    def _give_up(self, count: Count, waiter: Waiter) -> None:
        self._refused(waiter, exhausted(self._rules, count))

    def _refused(self, waiter: Waiter, no: No) -> None:
        if not waiter.answer.done():
            waited = self._clock() - waiter.since
            waiter.answer.set_result(msgspec.structs.replace(self._refuse(no), waited=waited))
