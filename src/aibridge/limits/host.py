"""The counts of one host as one of its workers sees them: the supervisor decides, over a socket that only they share.

A decision costs a round trip through the kernel and no disk; whatever one turn of the event loop has to say goes out in
one write. The kernel closes the socket of a worker that dies, and with it everything the worker held is free again.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, TypeVar, cast

from aibridge.domain.rule import Rule
from aibridge.limits.counts import Ask, Held, Memo, Place, Present, Refusal
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
from aibridge.limits.known_full import KnownFull
from aibridge.limits.probes import Trips
from aibridge.overload.concurrency import HORIZON
from aibridge.overload.outcome import Outcome, Rejection

_ORPHANED: Final = 1.0
"""Seconds after which a caller may come back who is refused because the supervisor is gone: by then, to another."""
_Answer = TypeVar("_Answer")


class HostCounts(asyncio.Protocol):
    """A `Counts` that asks the supervisor. Make one with `connect`.

    When the supervisor is gone, nobody knows how much the other workers let through: every take is refused from then
    on, and `gone` is called, once.
    """

    def __init__(self, gone: Callable[[], object]) -> None:
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._trips = Trips(self._loop.time)
        self._batches: Batches[FromService] = Batches(FromService)
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Took | Refusal | None]] = {}
        self._looking: dict[int, asyncio.Future[list[Present]]] = {}
        self._probing: dict[int, asyncio.Future[Placed | None]] = {}
        self._to_say: list[FromWorker] = []
        self._known_full: KnownFull[_Full] = KnownFull(self._loop.time)
        self._changes = 0
        """How often something here made a refusal doubtful that is still on its way."""
        self._closing = False
        self._lost = self._loop.create_future()
        self._transport: asyncio.Transport

    @classmethod
    async def connect(cls, end: socket.socket, gone: Callable[[], object] = lambda: None) -> "HostCounts":
        """Ask over `end`, one end of a pair of stream sockets whose other end a `HostService` serves."""
        _, counts = await asyncio.get_running_loop().create_connection(lambda: cls(gone), sock=end)
        return counts

    def at_once(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> None:
        """Never; see `Counts`."""

    async def take(
        self,
        asks: tuple[Ask, ...],
        place: Place | None = None,
        memo: Memo | None = None,  # noqa: ARG002
    ) -> Held | Refusal:
        """Take all or nothing; see `Counts`."""
        if not self.healthy:
            return _orphaned(asks)
        number, changes = next(self._numbers), self._changes
        future: asyncio.Future[Took | Refusal | None] = self._loop.create_future()
        self._asked[number] = future
        self._say(Take(number=number, asks=asks, place=place))
        try:
            answer = await future
        except asyncio.CancelledError:
            # The answer may be on its way, or here and unread: whichever it is, the service knows what to free.
            self._say(Cancel(number=number))
            self._given_back(asks)
            raise
        finally:
            self._asked.pop(number, None)
        if answer is None:
            return _orphaned(asks)
        if isinstance(answer, Refusal):
            if answer.step is not None and changes == self._changes:
                self._known_full.found((answer.rule, answer.key), _Full(answer, answer.step))
            return answer
        counted = asks if answer.asks is None else answer.asks
        return Held(number=number, asks=counted, shadows=answer.shadows, waited=answer.waited)

    def settle(self, held: Held, costs: tuple[float, ...] | None, outcome: Outcome) -> None:
        """Give back, with the next write; see `Counts`."""
        self._given_back(held.asks)
        self._say(Settle(number=held.number, costs=costs, outcome=outcome))

    def full(self, rule: int, key: str) -> Refusal | None:
        """Whether a moment ago a held rule without a queue had nothing left; see `Counts`."""
        known = self._known_full.get((rule, key))
        return None if known is None else known.told()

    def refused(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Refusal | None:  # noqa: ARG002 (see `full`)
        """Whether a moment ago one of these was full; see `Counts`."""
        known = self._known_full.of(asks)
        return None if known is None else known.told()

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Tell the supervisor, before any call is asked about by them; see `Counts`."""
        self._changes += 1
        self._known_full.clear()
        self._say(Replace(rules=dict(rules)))

    async def present(self, most: int) -> list[Present]:
        """The present use over all workers; nothing when the supervisor is gone."""
        if not self.healthy:
            return []
        number = next(self._numbers)
        future: asyncio.Future[list[Present]] = self._loop.create_future()
        self._looking[number] = future
        self._say(Look(number=number, most=most))
        try:
            return await future
        finally:
            self._looking.pop(number, None)

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """Call `hear` for breakers that open elsewhere; see `SharedBreakers`."""
        self._trips.listen(hear)

    def tripped(self, breaker: str, seconds: float) -> None:
        """Tell the other workers, with the next write; see `SharedBreakers`."""
        self._say(Tripped(breaker=breaker, seconds=seconds))

    async def probe(self, breaker: str, most: int, lease: float) -> int | Rejection | None:
        """Take a place of those that all workers share; see `SharedBreakers`."""
        if not self.healthy:
            return None
        number = next(self._numbers)
        future: asyncio.Future[Placed | None] = self._loop.create_future()
        self._probing[number] = future
        self._say(Probe(number=number, breaker=breaker, most=most, lease=lease))
        try:
            answer = await future
        except asyncio.CancelledError:
            self.probed(number, succeeded=False)
            raise
        finally:
            self._probing.pop(number, None)
        if answer is None:
            return None
        return number if answer.wait is None else Rejection(breaker, most, 0.0, answer.wait)

    def probed(self, number: int, *, succeeded: bool) -> None:
        """Give a place back, with the next write; see `SharedBreakers`."""
        self._say(Probed(number=number, succeeded=succeeded))

    @property
    def healthy(self) -> bool:
        """Whether the supervisor is there."""
        return not self._lost.done()

    async def close(self) -> None:
        """Say what is left to say and leave; the service frees what is still held."""
        self._closing = True
        if self.healthy:
            self._flush()
            self._transport.close()
            await self._lost

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """The service has answered."""
        for frame in self._batches.read(data):
            match frame:
                case Took(number=number):
                    _resolve(self._asked.get(number), frame)
                case Refused(number=number, refusal=refusal):
                    _resolve(self._asked.get(number), refusal)
                case Seen(number=number, present=present):
                    _resolve(self._looking.get(number), present)
                case Placed(number=number):
                    _resolve(self._probing.get(number), frame)
                case Tripped(breaker=breaker, seconds=seconds):
                    self._trips.tell(breaker, seconds)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """The supervisor is gone, or we have left."""
        self._lost.set_result(None)
        for future in self._asked.values():
            _resolve(future, None)
        for looking in self._looking.values():
            _resolve(looking, [])
        for probing in self._probing.values():
            _resolve(probing, None)
        if not self._closing:
            self._gone()

    def _given_back(self, asks: tuple[Ask, ...]) -> None:
        self._changes += 1
        for ask in asks:
            self._known_full.given_back((ask.rule, ask.key))

    def _say(self, frame: FromWorker) -> None:
        if not self._to_say:
            self._loop.call_soon(self._flush)
        self._to_say.append(frame)

    def _flush(self) -> None:
        if self._to_say and not self._transport.is_closing():
            self._transport.write(self._batches.written(self._to_say))
        self._to_say = []


class _Full:
    """What the supervisor said of a room that is full, and what those are told who ask for it next."""

    def __init__(self, refusal: Refusal, step: float) -> None:
        self._refusal = refusal
        self._step = step
        self._wait = refusal.retry_after

    def told(self) -> Refusal:
        """The refusal for one more: each is told to come a step later than the one before."""
        self._wait = min(self._wait + self._step, HORIZON)
        said = self._refusal
        return Refusal(said.rule, said.key, said.used, self._wait)


def _resolve(future: asyncio.Future[_Answer] | None, answer: _Answer) -> None:
    """Give a caller its answer, unless it has left."""
    if future is not None and not future.done():
        future.set_result(answer)


def _orphaned(asks: tuple[Ask, ...]) -> Refusal:
    return Refusal(rule=asks[0].rule, key=asks[0].key, used=0.0, retry_after=_ORPHANED)
