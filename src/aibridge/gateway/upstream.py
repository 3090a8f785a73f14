"""One connection to a provider: our own HTTP/1.1 client. `pool` keeps them.

Ours, because it is the product's heart: bytes of an answer go to whoever wants them inside `data_received`, without
waking anybody, and an answer that is not whole is never mistaken for one that is.
"""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol, cast

import httptools

from aibridge.domain.errors import UpstreamBroke, UpstreamFailed, UpstreamTimeout
from aibridge.gateway.arrival import Arrival
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.headers import Fields, Headers
from aibridge.gateway.watchdog import Watchdog

MAXIMUM_HEAD: Final = 64 * 1024
"""Bytes of status line and headers that a provider may send."""
IDLE_LIMIT = 60.0
"""Seconds an idle connection is kept. Providers and the load balancers before them close theirs after 60 and more."""

_INFORMATIONAL: Final = 1
"""The first digit of the status codes that announce another answer (RFC 9110, 15.2)."""
BODILESS: Final = frozenset((204, 304))


class Sink(Protocol):
    """Where an answer goes. Called from `data_received`: must neither block nor raise."""

    def answered(self, status: int, headers: Headers, fields: Fields, content_length: int | None) -> None:
        """The head of the answer is here. `content_length` is None when the body's length is not known in advance."""

    def received(self, part: bytes) -> None:
        """The next bytes of the body are here, and more will follow."""

    def completed(self, part: bytes) -> None:
        """The last bytes of the body are here; the answer is whole."""


class Stale(Exception):  # noqa: N818 (a word of the pool's, not an error that anybody is told)
    """The provider had closed a kept connection before it read the request on it: sending it again is safe."""


class Connection(asyncio.Protocol):
    """One connection to an origin, busy with at most one exchange. `gone` is told when it is closed."""

    def __init__(self, deadlines: Deadlines, gone: Callable[["Connection"], object]) -> None:
        self._deadlines = deadlines
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._watchdog = Watchdog(self._loop, self._look)
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)  # set before anything can happen
        self._sink: Sink | None = None
        self._ended: Arrival | None = None
        self._parts: list[bytes] = []
        self._headers: Headers = []
        self._fields: dict[bytes, bytes] = {}
        self._served = 0
        self._whole = False
        self._paused = False
        self._heard = 0.0
        self.closed = False

    # What the pool and the relay use.

    def exchange(self, request: bytes, sink: Sink, due: float) -> Arrival:
        """Send a request. Its answer goes to `sink`; what is returned comes when the answer is whole.

        `due` is the instant (monotonic) at which the call as a whole must have ended. It fails to come with
        `UpstreamBroke`, `UpstreamTimeout` or `Stale`. The connection is given back however it ends.
        """
        self._sink = sink
        self._headers = []
        self._fields = {}
        self._head_bytes = 0
        self._status = 0
        self._silent = True
        self._whole = False
        self._until_close = False
        self._began = self._heard = now = monotonic()
        self._due = due
        self._ended = ended = Arrival()
        self._watchdog.by(min(now + self._deadlines.first_byte, due))
        self._transport.write(request)
        return ended

    def release(self) -> bool:
        """End the exchange, however far it got. Whether the connection can serve another."""
        reusable = self._sink is None and self._served > 0 and not self.closed and not self._until_close
        # An answer may come before the request was read: what is left of that belongs to no other exchange.
        if reusable and self._keep_alive and not self._transport.get_write_buffer_size():
            self._watchdog.by(self._heard + IDLE_LIMIT)
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Close at once; what is under way is of no interest any more."""
        self._sink = None
        self._ended = None
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def pause_reading(self) -> None:
        """Stop the provider's bytes: the client does not keep up, and that is not the provider's fault."""
        if not self._paused and not self.closed:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the provider's bytes come again; its idle time starts anew."""
        if self._paused:
            self._paused = False
            self._heard = monotonic()
            if not self.closed:
                self._transport.resume_reading()
            if self._sink is not None:
                self._watchdog.by(self._heard + self._deadlines.idle)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass the body's bytes on: one call of the sink for one read."""
        sink = self._sink
        if sink is None:  # nobody asked for this: whatever it is, the next answer must not be mistaken for it
            self.abort()
            return
        self._heard = monotonic()
        self._silent = False
        parts = self._parts
        parts.clear()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(UpstreamBroke("The provider sent something that is not HTTP.", type(error).__name__))
            return
        if self._whole:
            self._complete(sink)
        elif parts:
            sink.received(parts[0] if len(parts) == 1 else b"".join(parts))
        elif not self._status:
            self._head_bytes += len(data)
            if self._head_bytes > MAXIMUM_HEAD:
                self._fail(UpstreamBroke(f"The provider sent a head of more than {MAXIMUM_HEAD} bytes."))

    def eof_received(self) -> None:
        """The provider sends no more. That ends a body that has no other end, and breaks off any other."""
        sink = self._sink
        if sink is None:
            self.closed = True  # the transport follows in a moment; nobody may take the connection until then
            return
        if self._until_close:
            self._parts.clear()
            self._complete(sink)
        else:
            self._break_off(unread=self._unread())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (how it was lost proves nothing, see `_unread`)
        """The connection is gone, and with it any answer that is not whole."""
        self.closed = True
        self._watchdog.stop()
        self._gone(self)
        if self._sink is not None:
            self._break_off(unread=False)

    # httptools

    def on_message_begin(self) -> None:
        """A second answer to one request is an attack on the next request's."""
        if self._whole:
            raise ValueError("an answer nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        name = name.lower()
        self._headers.append((name, value))
        self._fields[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole: tell the sink, unless it is an informational one."""
        status = self._parser.get_status_code()
        if status // 100 == _INFORMATIONAL:
            self._headers = []
            self._fields = {}
            return
        fields = self._fields
        if status in BODILESS:
            length: int | None = 0
        elif b"transfer-encoding" in fields or b"content-length" not in fields:
            length = None
        else:
            length = int(fields[b"content-length"])
        self._status = status
        self._watchdog.by(self._heard + self._deadlines.idle)
        self._keep_alive = self._parser.should_keep_alive()
        self._until_close = length is None and b"transfer-encoding" not in fields
        if self._sink is not None:
            self._sink.answered(status, self._headers, fields, length)

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body; a read may bring several."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an informational one."""
        self._whole = self._status != 0

    # Our own

    def _complete(self, sink: Sink) -> None:
        parts = self._parts
        self._sink = None
        self._served += 1
        sink.completed(parts[0] if len(parts) == 1 else b"".join(parts))
        ended = self._ended
        if ended is not None:
            ended.come()

    def _break_off(self, *, unread: bool) -> None:
        if self._served and self._silent and unread:
            self._fail(Stale())
        elif self._status:
            self._fail(UpstreamBroke("The provider closed the connection in the middle of its answer."))
        else:
            self._fail(UpstreamBroke("The provider closed the connection without an answer."))

    def _fail(self, error: UpstreamFailed | Stale) -> None:
        ended = self._ended
        self.abort()
        if ended is not None:
            ended.come(error)

    def _unread(self) -> bool:
        """Whether a part of what was sent is not acknowledged (SIOCOUTQ, tcp(7)).

        At the provider's FIN that is a proof: a FIN acknowledges all that came before it, so what it does not cover
        came for a socket that nobody reads any more. A reset proves nothing.
        """
        try:
            queued = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, AttributeError):
            return False
        return int(struct.unpack("i", queued)[0]) > 0

    def _look(self, now: float) -> float | None:
        """What the watchdog asks: is anything overdue, and if not, when to look again."""
        if self._sink is None:
            due = self._heard + IDLE_LIMIT
            if now >= due:
                self.abort()  # nothing is under way; `close` would let TLS wait, and the pool hand it out meanwhile
            return due if now < due else None
        due, overdue = self._next_deadline()
        if now < due:
            return due
        self._fail(UpstreamTimeout(overdue))
        return None

    def _next_deadline(self) -> tuple[float, str]:
        """The next deadline of the exchange, and what is to be said when it has passed."""
        limits = self._deadlines
        total = self._due, f"The call took longer than the {limits.total:g} s allowed."
        if self._paused:
            return total
        if self._status:
            silence = f"The provider sent nothing for {limits.idle:g} s in the middle of its answer."
            return min(total, (self._heard + limits.idle, silence))
        first_byte = f"The provider did not begin to answer within {limits.first_byte:g} s."
        return min(total, (self._began + limits.first_byte, first_byte))
