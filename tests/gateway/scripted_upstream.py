"""A provider that does exactly what a test says, and remembers every byte it was sent."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Incoming:
    """One request as it arrived, and the means to answer it."""

    def __init__(self, line: "Line", head: bytes, body: bytes) -> None:
        self.line = line
        self.head = head
        self.body = body
        first, *rest = head.split(b"\r\n")
        self.request_line = first
        self.headers = [
            (name.lower(), value.strip()) for name, _, value in (header.partition(b":") for header in rest if header)
        ]

    @property
    def target(self) -> bytes:
        return self.request_line.split(b" ")[1]

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.headers if found == name]

    def send(self, data: bytes) -> None:
        self.line.transport.write(data)

    async def stream(self, data: bytes) -> None:
        """Send as the gateway takes it: what was sent is never much more than what went."""
        await asyncio.sleep(0)
        await self.line.writable.wait()
        self.line.transport.write(data)
        self.line.sent += len(data)

    def hang_up(self) -> None:
        self.line.transport.close()

    def reset(self) -> None:
        self.line.reset()


class Line(asyncio.Protocol):
    """One connection from the gateway."""

    def __init__(self, upstream: "Upstream") -> None:
        self.upstream = upstream
        self.received = bytearray()
        self.lost = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.sent = 0
        self._unread = b""
        self._at_work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.upstream.lines.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self.writable.set()
        if self._at_work is not None:
            self._at_work.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._unread += data
        if self._at_work is None or self._at_work.done():
            self._next()

    def reset(self) -> None:
        """Close so that the gateway sees ECONNRESET."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def _next(self) -> None:
        head, found, rest = self._unread.partition(b"\r\n\r\n")
        if not found:
            return
        incoming = Incoming(self, head, b"")
        length = int(incoming.values(b"content-length")[0]) if incoming.values(b"content-length") else 0
        if len(rest) < length:
            return
        incoming.body, self._unread = rest[:length], rest[length:]
        self.upstream.requests.append(incoming)
        self.upstream.arrived.set()
        self._at_work = asyncio.get_running_loop().create_task(self._answer(incoming))

    async def _answer(self, incoming: Incoming) -> None:
        await self.upstream.script(incoming)
        if self._unread:
            asyncio.get_running_loop().call_soon(self._next)

    async def end(self) -> None:
        self.transport.abort()
        if self._at_work is not None:
            self._at_work.cancel()
            await asyncio.wait([self._at_work])


Script = Callable[[Incoming], Awaitable[None]]


class Upstream:
    """The listening side: what came in, connection by connection and request by request."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.lines: list[Line] = []
        self.requests: list[Incoming] = []
        self.arrived = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen, and answer the port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Line(self), "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for line in self.lines:
            await line.end()
        await self._server.wait_closed()

    async def request(self, number: int = 0) -> Incoming:
        """The request of that number, waiting for it if need be."""
        while len(self.requests) <= number:
            self.arrived.clear()
            await self.arrived.wait()
        return self.requests[number]


@asynccontextmanager
async def listening(script: Script) -> AsyncIterator[tuple[Upstream, int]]:
    """A provider within the block, and its port."""
    upstream = Upstream(script)
    port = await upstream.start()
    try:
        yield upstream, port
    finally:
        await upstream.close()


Fate = Callable[[Incoming], None]
"""What happens to a connection in the end."""


def answering(*parts: bytes, pause: float = 0.0) -> Script:
    """Send these bytes, one write each."""

    async def script(incoming: Incoming) -> None:
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(pause)
            incoming.send(part)

    return script


def answering_then(fate: Fate, *parts: bytes, pause: float = 0.005) -> Script:
    """Send these bytes, give the gateway a moment to pass them on, then let `fate` happen to the connection."""

    async def script(incoming: Incoming) -> None:
        for part in parts:
            incoming.send(part)
            await asyncio.sleep(pause)
        fate(incoming)

    return script


async def silence(incoming: Incoming) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def beginning(*pieces: bytes) -> Script:
    """Send these bytes, and then nothing more."""

    async def script(incoming: Incoming) -> None:
        await answering(*pieces, pause=0.002)(incoming)
        await silence(incoming)

    return script
