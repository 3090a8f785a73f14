"""Waiting in one replica for what is held, where nobody says when a permit comes free elsewhere.

Those who wait stand in fair queues, one for each limit, as in one process. The first of each asks again every `TURN`,
and at once when this replica gives something back: however many wait, one asks. So a queue is fair among the callers of
one replica; between replicas, the script lets them take turns: whose first has waited for longest goes next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf

import msgspec

from aibridge.domain.rule import Rule
from aibridge.limits.counts import Ask, Count, Held, Place, Refusal
from aibridge.limits.queues import alike, backlog_of
from aibridge.overload.backlog import Backlog

TURN = 0.02
"""Seconds between two tries for what other replicas may have given back."""

_SWEPT_FROM = 64
"""How many lines there are before it is looked whether some are no longer needed."""


class Anew(Enum):
    """The answer to one that waited in a queue that is no more: the call is to be decided anew."""

    ANEW = 0


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


def exhausted(rules: Mapping[int, Rule], count: Count) -> No:
    """That a limit over what is held has nothing left."""
    return No(*count, float(rules[count[0]].amount), 0.0, (count,), None)


@dataclass(slots=True, eq=False)
class _Waiter:
    """A call that waits: what it asks for, since when, where it stands, and where its answer goes."""

    asks: tuple[Ask, ...]
    place: Place
    since: float
    line: "_Line"
    answer: asyncio.Future[Held | Refusal | Anew | None]
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class _Line:
    """One queue, the task that serves it while anybody waits, and the sign that something was given back.

    `first` is the one whose turn it is, who stands no longer in the backlog.
    """

    count: Count
    backlog: Backlog[_Waiter]
    first: _Waiter | None = None
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
        self._rules: Mapping[int, Rule] = dict(enumerate(rules))
        self._clock = clock
        self._attempt = attempt
        self._give_back = give_back
        self._refuse = refuse
        self._lines: dict[Count, _Line] = {}
        self._sweep_at = _SWEPT_FROM

    def __len__(self) -> int:
        """How many calls wait, those not counted that ask just now."""
        return sum(len(line.backlog) for line in self._lines.values())

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
                    line.backlog.charge(place.flow, place.group, place.weight, self._clock())

    def stir(self, count: Count) -> None:
        """Something of this limit was given back here."""
        line = self._lines.get(count)
        if line is not None:
            line.stirred.set()

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Know these rules from now on. Who waits for one that is gone, or has another queue, is to ask anew."""
        before, self._rules = self._rules, rules
        for count, line in [*self._lines.items()]:
            line.stirred.set()  # an amount may be larger now
            if not alike(before[count[0]], rules.get(count[0])):
                del self._lines[count]
                for waiter in (line.first, *line.backlog.expire(inf)):
                    if waiter is not None and not waiter.answer.done():
                        waiter.answer.set_result(Anew.ANEW)

    async def wait(
        self, count: Count, asks: tuple[Ask, ...], place: Place, since: float
    ) -> Held | Refusal | Anew | None:
        """Wait for this limit, and for others that turn out to be full meanwhile. None if there is nobody to ask."""
        answer: asyncio.Future[Held | Refusal | Anew | None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(asks, place, since, self._open(count), answer)
        self._stand(waiter)
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and isinstance(held := answer.result(), Held):
                self._give_back(held)
            raise
        finally:
            waiter.line.backlog.leave(waiter)
            if waiter.timer is not None:
                waiter.timer.cancel()

    async def close(self) -> None:
        """Refuse those who wait."""
        for line in self._lines.values():
            for waiter in line.backlog.expire(inf):
                self._give_up(waiter)
            if line.serving is not None:
                line.serving.cancel()
                await asyncio.wait((line.serving,))
        self._lines.clear()

    def _open(self, count: Count) -> _Line:
        line = self._lines.get(count)
        if line is None:
            if len(self._lines) >= self._sweep_at:
                self._sweep()
            rule = self._rules[count[0]]
            line = self._lines[count] = _Line(count, backlog_of(rule))
        return line

    def _sweep(self) -> None:
        """Forget the lines in which nobody waits or went lately."""
        now = self._clock()
        busy = ((count, line) for count, line in self._lines.items() if line.serving or not line.backlog.idle(now))
        self._lines = dict(busy)
        self._sweep_at = max(_SWEPT_FROM, 2 * len(self._lines))

    def _stand(self, waiter: _Waiter) -> None:
        """Stand in line until the rule's timeout has passed, counted from when the call came."""
        line, place, now = waiter.line, waiter.place, self._clock()
        deadline = waiter.since + self._rules[line.count[0]].queue_timeout
        if waiter.timer is not None:
            waiter.timer.cancel()
        waiter.timer = asyncio.get_running_loop().call_later(max(0.0, deadline - now), self._give_up, waiter)
        lost = line.backlog.join(
            waiter,
            now,
            flow=place.flow,
            group=place.group,
            deadline=deadline,
            weight=place.weight,
            batch=place.batch,
        )
        if lost is not None:
            self._give_up(lost)
        if line.serving is None:
            line.serving = asyncio.create_task(self._serve(line))

    async def _serve(self, line: _Line) -> None:
        """Call up one after another while anybody waits."""
        try:
            while (waiter := line.backlog.next(self._clock())) is not None:
                line.first = waiter
                try:
                    await self._call_up(line, waiter)
                except asyncio.CancelledError:
                    self._give_up(waiter)
                    raise
        finally:
            line.serving = line.first = None

    async def _call_up(self, line: _Line, waiter: _Waiter) -> None:
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
                waiter.answer.set_result(None)
            elif said.full is None:
                self._refused(waiter, said)
            elif said.full != line.count:
                waiter.line = self._open(said.full)
                self._stand(waiter)
                return
            else:
                timer = asyncio.get_running_loop().call_later(TURN, line.stirred.set)
                await line.stirred.wait()
                timer.cancel()

    def _give_up(self, waiter: _Waiter) -> None:
        if not waiter.answer.done():
            self._refused(waiter, exhausted(self._rules, waiter.line.count))

    def _refused(self, waiter: _Waiter, no: No) -> None:
        waited = self._clock() - waiter.since
        waiter.answer.set_result(msgspec.structs.replace(self._refuse(no), waited=waited))
