"""What goes out: the response to one call, and the back-pressure of who reads it."""

import asyncio
from collections.abc import Callable
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from time import monotonic
from typing import Protocol

from aibridge.wire.dialect import Reading


class Source(Protocol):
    """Where the bytes of a reply come from, as far as back-pressure goes."""

    def pause_reading(self) -> None:
        """Bring no more."""

    def resume_reading(self) -> None:
        """Bring more."""


class Reply:
    """The response on its way out.

    Bytes go to the client as they come, except for the last ones: those are held until the edge says `finish()`, which
    it does after every layer has unwound. So nothing that the client takes for the end of its call leaves before the
    call is recorded, and no permit is held by a call that its client takes for ended. `may_chunk` is false for a client
    of HTTP/1.0, whose body without a known length ends with the connection.
    """

    __slots__ = (
        *("_chunked", "_drained", "_head", "_held", "_source", "_transport", "begun", "first_byte_at", "gone"),
        *("keep_alive", "may_chunk", "paused", "reading", "sent", "started", "status", "streaming"),
    )

    def __init__(self, transport: asyncio.WriteTransport, *, keep_alive: bool, may_chunk: bool = True) -> None:
        self._transport = transport
        self.keep_alive = keep_alive
        self.may_chunk = may_chunk
        self.gone = False
        """Whether the client has left; until its call is cancelled, bytes may still come."""
        self.paused = False
        self.started = False
        self.streaming = False
        self.sent = 0
        """Bytes of the body, those that are held included."""
        self.status: int | None = None
        self.first_byte_at: float | None = None
        self.begun: Callable[[float], None] | None = None
        """Told when the head is here, and at what instant."""
        self.reading: Reading | None = None
        self._head = b""
        self._held = b""
        self._chunked = False
        self._source: Source | None = None
        self._drained: asyncio.Future[None] | None = None

    def begin(self, status: int, head: bytes, *, chunked: bool, streaming: bool) -> None:
        """Take status line and headers, without sending them yet.

        `chunked` frames the body (RFC 9112, 7.1); `streaming` says that it consists of events.
        """
        self.streaming = streaming
        self.status = status
        self._head = head
        self._chunked = chunked
        self.first_byte_at = now = monotonic()
        if self.begun is not None:
            self.begun(now)

    def write(self, part: bytes) -> None:
        """Send the next bytes of the body, and the head before the first ones: one write to the socket."""
        if self.gone:
            return
        self.sent += len(part)
        if self._chunked:
            part = b"%x\r\n%b\r\n" % (len(part), part)
        if self.started:
            self._transport.write(part)
        else:
            self.started = True
            self._transport.write(self._head + part)

    def hold(self, part: bytes) -> None:
        """Take the last bytes of the body."""
        self._held = part
        self.sent += len(part)

    def finish(self) -> None:
        """Send what is held and end the body. For the edge alone."""
        held = self._held
        if self._chunked:
            held = b"%x\r\n%b\r\n0\r\n\r\n" % (len(held), held) if held else b"0\r\n\r\n"
        self._transport.write(held if self.started else self._head + held)
        self.started = True

    def answer(self, status: int, response: bytes) -> None:
        """Send a whole response of our own. For the edge alone."""
        self.status = status
        self.started = True
        self._transport.write(response)

    def break_off(self, event: bytes) -> None:
        """End a response that has started and cannot be completed.

        A last event where the dialect has one, then a connection that closes without ending the body, so that no client
        takes it for whole. A body that is not chunked is ended by a reset.
        """
        self.keep_alive = False
        if not self._chunked:
            _reset(self._transport)
            return
        if event:
            self.write(event)
        self._transport.close()

    def draw_from(self, source: Source | None) -> None:
        """Bring the back-pressure of the client to where the bytes come from; None when they no longer do."""
        if self.paused:
            if source is not None:
                source.pause_reading()
            elif self._source is not None:
                self._source.resume_reading()
        self._source = source

    def pause(self) -> None:
        """The client does not keep up."""
        self.paused = True
        if self._source is not None:
            self._source.pause_reading()

    def resume(self) -> None:
        """The client has caught up."""
        self.paused = False
        if self._source is not None:
            self._source.resume_reading()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def drained(self) -> None:
        """Wait until the client has taken what was sent, but for a socket's worth."""
        while self.paused:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained


def _reset(transport: asyncio.WriteTransport) -> None:
    """Close a connection by a reset, which `abort` alone does not: what is without an end must not seem to have one."""
    socket = transport.get_extra_info("socket")
    if socket is not None:
        socket.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
    transport.abort()
