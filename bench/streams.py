"""The load of streams: many at once, every byte of each compared with what the upstream sent."""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools
import msgspec
import uvloop

from bench import MeasurementError
from bench.conversation import STREAMED_QUESTION, events, request

_GRACE = 60.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """So many connections, each with so many streams one after another, of so many events each."""

    connections: int
    streams: int
    events: int
    interval: float
    """Mean seconds between two events of a stream."""

    @property
    def all_streams(self) -> int:
        """Streams in total."""
        return self.connections * self.streams

    @property
    def all_events(self) -> int:
        """Events in total."""
        return self.all_streams * self.events


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What it took to receive a load that came whole."""

    seconds: float
    events_per_read: float
    """1 when every event came on its own. A proxy that holds events back, to save work, shows here."""


class Client(asyncio.Protocol):
    """One connection. `ended` is called when its last stream has come whole, or with what was wrong."""

    def __init__(self, call: bytes, streams: int, expected: bytes, ended: Callable[[str], None]) -> None:
        self.reads = 0
        self._call = call
        self._left = streams
        self._expected = expected
        self._ended = ended
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first stream."""
        self._transport = cast(asyncio.Transport, transport)  # asyncio's type is wider than what TCP gives
        self._transport.write(self._call)

    def data_received(self, data: bytes) -> None:
        """Take what came, most often an event."""
        self.reads += 1
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The proxy may not close before the last stream is whole."""
        if self._left:
            self._end(f"connection lost: {exc}")

    def on_headers_complete(self) -> None:
        """Only success counts."""
        if (status := self._parser.get_status_code()) != 200:
            self._end(f"status {status}")

    def on_body(self, body: bytes) -> None:
        """Keep what came until the end."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """A stream has ended: compare, and ask for the next."""
        body = b"".join(self._body)
        self._body.clear()
        if body != self._expected:
            self._end(f"a stream of {len(body)} bytes is not the one of {len(self._expected)} bytes that was sent")
            return
        self._left -= 1
        if self._left:
            self._parser = httptools.HttpResponseParser(self)
            self._transport.write(self._call)
        else:
            self._end("")

    def _end(self, problem: str) -> None:
        self._left = 0
        self._ended(problem)
        self._transport.close()


def run(address: str, credential: str, load: Load) -> Outcome:
    """Receive the whole load.

    Raises:
        MeasurementError: a stream did not come as it was sent, or not in time.
    """
    return uvloop.run(receive(address, credential, load))


async def receive(address: str, credential: str, load: Load) -> Outcome:
    """The same, in a loop that runs already."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    left = load.connections

    def ended(problem: str) -> None:
        nonlocal left
        left -= 1
        if done.done():
            return
        if problem:
            done.set_exception(MeasurementError(f"streams through {address}: {problem}"))
        elif not left:
            done.set_result(None)

    host, _, port = address.partition(":")
    call = request(address, credential, STREAMED_QUESTION)
    expected = b"".join(events(load.events))
    started = loop.time()
    clients = [
        (await loop.create_connection(lambda: Client(call, load.streams, expected, ended), host, int(port)))[1]
        for _ in range(load.connections)
    ]
    try:
        await asyncio.wait_for(done, load.streams * load.events * load.interval * 2 + _GRACE)
    except TimeoutError as error:
        raise MeasurementError(f"streams through {address} did not end") from error
    return Outcome(
        seconds=loop.time() - started, events_per_read=load.all_events / sum(client.reads for client in clients)
    )
