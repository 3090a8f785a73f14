"""The provider of the benchmark: prepared bytes, so that it leaves its core to the clients that share it.

It answers 401 to whoever does not show the provider's key: a proxy that forwards the client's credential does less
than the others, and its figures would not compare.

    python -m bench.upstream PORT EVENTS SECONDS_BETWEEN_EVENTS
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

from bench.conversation import ANSWER, PROVIDER_KEY, STREAMING, events

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = PROVIDER_KEY.encode()
_UNARY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
_STRANGER = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"

_UNEVEN = (0.6, 1.4, 0.8, 1.2, 1.0)
"""Gaps between events in units of their mean: streams that ticked together would be read by a proxy in one go."""


def chunked(parts: list[bytes]) -> list[bytes]:
    """Each part as a chunk (RFC 9112, 7.1); the last chunk's end goes with the last part."""
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    chunks[-1] += _LAST_CHUNK
    return chunks


class Script:
    """What a streamed answer consists of, and its pace. `gaps` are seconds."""

    def __init__(self, number: int, interval: float) -> None:
        self.chunks = chunked(events(number))
        self.gaps = tuple(interval * factor for factor in _UNEVEN)
        self.streams = 0


class Upstream(asyncio.Protocol):
    """One connection: requests in, prepared answers out."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast(asyncio.Transport, transport)  # asyncio's type is wider than what TCP gives

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Stop a stream that nobody reads."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while (end := self._end_of_request()) is not None:
            whole, self._received = self._received[:end], self._received[end:]
            self._answer(whole)

    def _end_of_request(self) -> int | None:
        """Where the first request ends in what was received, or None while it is not whole."""
        body = self._received.find(b"\r\n\r\n") + 4
        if body < 4:
            return None
        length = _LENGTH.search(self._received, 0, body)
        end = body + (int(length[1]) if length else 0)
        return end if len(self._received) >= end else None

    def _answer(self, request: bytes) -> None:
        if _KEY not in request:
            self._transport.write(_STRANGER)
        elif STREAMING in request:
            self._script.streams += 1
            self._transport.write(_STREAM_HEAD)
            self._write_event(0, self._script.streams)
        else:
            self._transport.write(_UNARY)

    def _write_event(self, position: int, phase: int) -> None:
        """Write one event, alone, and see to the next. A late one delays the rest: two never leave together."""
        script = self._script
        self._transport.write(script.chunks[position])
        if position + 1 < len(script.chunks):
            gap = script.gaps[(position + phase) % len(script.gaps)]
            self._timer = self._loop.call_later(gap, self._write_event, position + 1, phase)


async def serve(port: int, script: Script) -> None:
    """Serve on the loopback until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(script), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Script(int(sys.argv[2]), float(sys.argv[3]))))
