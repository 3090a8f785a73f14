"""The supervisor's side of the counts of one host: one place that counts, served to the workers over their sockets."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import cast

from aibridge.domain.rule import Rule
from aibridge.limits.counts import Counts, Held, Refusal
from aibridge.limits.host_breakers import HostBreakers
from aibridge.limits.host_frames import (
    Batches,
    Cancel,
    FromService,
    FromWorker,
    Look,
    Placed,
    Probe,
    Probed,
    Refused,
    Replace,
    Seen,
    Settle,
    Take,
    Took,
    Tripped,
)
from aibridge.overload.breaker import Ticket
from aibridge.overload.outcome import Outcome, Rejection


class HostService:
    """Decides for the workers of one host, with a `Counts` for these rules that it is the only one to use.

    Workers learn of other rules at slightly different moments, and each says which it goes by. Counted is for the rules
    of all of them: one that some have and others have not any more, or not yet, binds the calls of those who have it.
    Where they differ in a rule's numbers (its amount, its queue), what was said last holds.
    """

    def __init__(self, counts: Counts, rules: Sequence[Rule]) -> None:
        self.counts = counts
        self._own = dict(enumerate(rules))
        self._said: dict[_Worker, Mapping[int, Rule]] = {}  # who spoke last stands last
        self._workers: set[_Worker] = set()
        self._heed(self._own)
        self.breakers = HostBreakers(counts, self._tell)

    async def serve(self, end: socket.socket) -> None:
        """Serve the worker at the other end of this pair of sockets, from now until it leaves or dies."""
        await asyncio.get_running_loop().create_connection(lambda: _Worker(self), sock=end)

    def may_queue(self, take: Take) -> bool:
        """Whether a call may have to wait in a queue before it is decided."""
        return take.place is not None and any(ask.rule in self._queueing for ask in take.asks)

    def replace(self, rules: Mapping[int, Rule], worker: "_Worker") -> None:
        """A worker says which rules it goes by."""
        self._said.pop(worker, None)
        self._said[worker] = rules
        together = dict(self._own)
        for said in self._said.values():
            together |= said
        if together != self._rules:
            self.counts.replace(together)
            self._heed(together)

    def welcome(self, worker: "_Worker") -> None:
        """A worker is there. It hears first which breakers are not closed: the one before it may have known."""
        self._workers.add(worker)
        for breaker, seconds in self.breakers.standing():
            worker.say(Tripped(breaker=breaker, seconds=seconds))

    def forget(self, worker: "_Worker") -> None:
        """A worker is gone. What only it went by is forgotten when another speaks: perhaps its successor."""
        self._workers.discard(worker)
        self._said.pop(worker, None)

    def _heed(self, rules: Mapping[int, Rule]) -> None:
        self._rules = rules
        self._queueing = frozenset(number for number, rule in rules.items() if rule.queues)

    def _tell(self, breaker: str, seconds: float) -> None:
        """A breaker opened or closed. Whoever said so hears it as well, so that all hear the same last."""
        for worker in self._workers:
            worker.say(Tripped(breaker=breaker, seconds=seconds))


class _Worker(asyncio.Protocol):
    """One worker's connection, and what its calls hold. When it ends, all of that is free."""

    def __init__(self, service: HostService) -> None:
        self._service = service
        self._counts = service.counts
        self._breakers = service.breakers
        self._loop = asyncio.get_running_loop()
        self._batches: Batches[FromWorker] = Batches(FromWorker)
        self._held: dict[int, Held] = {}
        self._probes: dict[int, Ticket] = {}
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._to_say: list[FromService] = []
        self._transport: asyncio.Transport

    def say(self, frame: FromService) -> None:
        """Say it with the next write."""
        if not self._to_say:
            self._loop.call_soon(self._flush)
        self._to_say.append(frame)

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A worker is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._service.welcome(self)

    def data_received(self, data: bytes) -> None:
        """The worker asks, or gives back."""
        for frame in self._batches.read(data):
            match frame:
                case Take():
                    self._take(frame)
                case Settle():
                    self._settle(frame)
                case Cancel(number=number):
                    self._cancel(number)
                case Tripped(breaker=breaker, seconds=seconds):
                    self._breakers.tripped(breaker, seconds)
                case Probe(number=number):
                    self._waiting[number] = self._loop.create_task(self._probe(frame))
                case Probed(number=number, succeeded=succeeded):
                    self._probed(number, succeeded=succeeded)
                case Replace(rules=rules):
                    self._service.replace(rules, self)
                case Look():
                    task = self._loop.create_task(self._look(frame))
                    self._looks.add(task)
                    task.add_done_callback(self._looks.discard)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """The worker is gone, whether it said so or was killed: its calls ended some way that nobody knows.

        What they asked for counts as spent, since the provider may well have been asked.
        """
        self._service.forget(self)
        for task in (*self._waiting.values(), *self._looks):
            task.cancel()
        for held in self._held.values():
            self._counts.settle(held, None, Outcome.IGNORED)
        self._held.clear()
        for probe in self._probes.values():
            self._breakers.leave(probe, succeeded=False)
        self._probes.clear()

    def _take(self, take: Take) -> None:
        answer = None if self._service.may_queue(take) else self._counts.at_once(take.asks)
        if answer is None:
            self._waiting[take.number] = self._loop.create_task(self._wait(take))
        else:  # a task costs as much as a decision
            self._decided(take, answer)

    async def _wait(self, take: Take) -> None:
        try:
            answer = await self._counts.take(take.asks, take.place)
        finally:
            self._waiting.pop(take.number, None)
        self._decided(take, answer)

    def _decided(self, take: Take, answer: Held | Refusal) -> None:
        if isinstance(answer, Refusal):
            self.say(Refused(number=take.number, refusal=answer))
            return
        self._held[take.number] = answer
        counted = None if answer.asks == take.asks else answer.asks
        self.say(Took(number=take.number, waited=answer.waited, shadows=answer.shadows, asks=counted))

    def _settle(self, settle: Settle) -> None:
        held = self._held.pop(settle.number, None)
        if held is not None:
            self._counts.settle(held, settle.costs, settle.outcome)

    def _cancel(self, number: int) -> None:
        self._wait_no_more(number)
        held = self._held.pop(number, None)
        if held is not None:  # it was decided while the word was on its way; nothing was done with it
            self._counts.settle(held, (0.0,) * len(held.asks), Outcome.IGNORED)

    def _wait_no_more(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.cancel()

    async def _probe(self, probe: Probe) -> None:
        try:
            entered = await self._breakers.enter(probe.breaker, probe.most, probe.lease)
        finally:
            self._waiting.pop(probe.number, None)
        if isinstance(entered, Rejection):
            self.say(Placed(number=probe.number, wait=entered.retry_after))
            return
        self._probes[probe.number] = entered
        self.say(Placed(number=probe.number))

    def _probed(self, number: int, *, succeeded: bool) -> None:
        self._wait_no_more(number)
        probe = self._probes.pop(number, None)
        if probe is not None:
            self._breakers.leave(probe, succeeded=succeeded)

    async def _look(self, look: Look) -> None:
        self.say(Seen(number=look.number, present=await self._counts.present(look.most)))

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._batches.written(self._to_say))
        self._to_say = []
