"""The guard at the door: uvicorn's HTTP protocol with deadlines, caps and strict framing, which no Python server has.

What it refuses never becomes a call: headers that do not end, bodies that do not come, readers that do not read,
requests that two parsers could read in two ways (RFC 9112, 6.3 and 11.2). What it lets pass is `protocol`'s.
"""

from time import monotonic
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aibridge.domain.errors import BadRequest, CallError, RequestTimeout
from aibridge.gateway import framing
from aibridge.gateway.call import RequestBody
from aibridge.gateway.headers import Headers
from aibridge.gateway.reply import Reply
from aibridge.gateway.watchdog import Watchdog

HEADERS_DEADLINE = 10.0
"""Seconds from a request's first byte, or a connection's beginning, to the end of the request's headers."""
BODY_DEADLINE = 60.0
"""Seconds from the end of a request's headers, or from our asking for its body, to the body's end."""
STALL_DEADLINE = 60.0
"""Seconds that a client may take nothing of what is ready for it."""
IDLE_DEADLINE = 75.0
"""Seconds that a connection may be unused. Longer than the SDKs keep theirs, so that they close first."""
LINGER = 2.0
"""Seconds that a client may still send after it was refused in the middle of its body."""


class GuardedProtocol(HttpToolsProtocol):
    """One client connection, one request at a time.

    A subclass says what becomes of a request whose head is sound (`head_complete`) and how one that is refused is
    answered (`respond`). It sets `incoming` to take the body itself, and `outgoing` while an answer of its own is due.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's business)
        super().__init__(*args, **kwargs)
        self.url = b""
        self.headers: Headers = []
        self.fields: dict[bytes, bytes] = {}
        self.incoming: RequestBody | None = None
        self.outgoing: Reply | None = None
        self.last = False
        """Whether nothing more is expected on this connection: what still comes is dropped."""
        self.resting = True
        """Whether the connection is between two requests, or before the first, and the parser with it."""
        self._watchdog = Watchdog(self.loop, self._look)
        self._refusal: CallError | None = None
        self.since = monotonic()
        self._head_began: float | None = None
        self._head_bytes = 0
        self._whole = True
        self._handed_over = False
        self._not_upgraded = False
        self._stalled_since: float | None = None
        self._closing = False
        """Whether the last answer of this connection was given."""

    # For the subclass

    def head_complete(self) -> CallError | None:
        """The head of a request is here and sound. Answer an error to refuse it."""
        raise NotImplementedError

    def respond(self, error: CallError) -> None:
        """Write the answer to a request that was refused here."""
        raise NotImplementedError

    def hand_over(self) -> None:
        """Let uvicorn make ASGI of the request, and watch over its keep-alive."""
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, which only these requests need
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        self._handed_over = True
        super().on_headers_complete()

    def go_on(self) -> None:
        """Ask for the body of a client that waits for that (RFC 9110, 10.1.1). Only now is it due."""
        self.expect_100_continue = False
        self.since = monotonic()
        self._watchdog.by(self.since + BODY_DEADLINE)
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def rest(self, *, keep_alive: bool) -> None:
        """After an answer: be ready for the next request, or close."""
        if self.transport.is_closing():
            return
        if not keep_alive or self.last:
            self._close()
            return
        self.since = monotonic()
        self.resting = self._whole
        self._watchdog.by(self.since + IDLE_DEADLINE)

    def repeated(self) -> None:
        """Take note of a request that is whole and was read by somebody else.

        The parser has no part in it: `url`, `headers` and `fields` stay those of the last one that was parsed.
        """
        self.resting = False
        self.expect_100_continue = False
        self.since = monotonic()

    # asyncio.Protocol

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 (uvicorn's business)
        """Begin to watch the connection: it owes us a request."""
        super().connection_made(transport)
        self._head_began = monotonic()
        self._watchdog.by(self._head_began + HEADERS_DEADLINE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to watch."""
        self._watchdog.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and keep watch over what has not come yet."""
        if self.last:
            return
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refusal = self._refusal or BadRequest("The request is not valid HTTP/1.1.", str(error))
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self._head_began is not None:
            if self._head_bytes > framing.MAXIMUM_HEADER_BYTES:
                self._refuse(framing.too_large())
            else:
                self._watchdog.by(self._head_began + HEADERS_DEADLINE)
        elif self.incoming is not None and not self._whole:
            self._watchdog.by(self.since + BODY_DEADLINE)
            if self._head_bytes > framing.MAXIMUM_HEADER_BYTES:  # chunk extensions and trailers count as headers do
                self._refuse(framing.too_large())

    def pause_writing(self) -> None:
        """The client does not keep up with its answer."""
        super().pause_writing()
        self._stalled_since = monotonic()
        self._watchdog.by(self._stalled_since + STALL_DEADLINE)
        if self.outgoing is not None:
            self.outgoing.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._stalled_since = None
        if self.outgoing is not None:
            self.outgoing.resume()

    def shutdown(self) -> None:
        """The server stops: close what is idle, and let an answer that is due be the connection's last."""
        if self.outgoing is not None:
            self.outgoing.keep_alive = False
        elif (self.cycle is None or self.cycle.response_complete) and not self.transport.get_write_buffer_size():
            self.transport.abort()  # not `close`: TLS would wait for a client that sleeps to agree
        else:
            super().shutdown()

    # httptools

    def on_message_begin(self) -> None:
        """A request begins. There is one at a time: what comes before the answer to the first is not read."""
        answering = self.outgoing is not None or (self.cycle is not None and not self.cycle.response_complete)
        if answering or self._refusal is not None:
            self.last = True
            if self.outgoing is not None:
                self.outgoing.keep_alive = False
            if self.cycle is not None:
                self.cycle.keep_alive = False
            return
        self.resting = False
        self.cycle = None  # type: ignore[assignment]  # as uvicorn itself begins
        self.url = b""
        self.headers = []
        self.incoming = None
        self._handed_over = False
        self._whole = False
        self._head_began = monotonic()

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        if not self.last:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; a trailer is none (RFC 9110, 6.5.1)."""
        if self._head_began is not None and not self.last:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: refuse it or pass it on."""
        if self.last:
            return
        self._head_began = None
        self.since = monotonic()
        self.fields = dict(self.headers)
        self.expect_100_continue = self.fields.get(b"expect", b"").lower() == b"100-continue"
        if self.parser.should_upgrade() and self.fields.get(b"upgrade", b"").lower() != b"websocket":
            self._not_upgraded = self.parser.get_method() != b"CONNECT"
            self._refusal = None if self._not_upgraded else BadRequest("AI Bridge is no proxy.", field="method")
            return
        version = self.parser.get_http_version()
        fault = framing.fault(self.headers, self.fields, version) or framing.excess(
            self.url, self.headers, self._head_bytes
        )
        self._refusal = fault or self.head_complete()
        self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        """A part of a body is here."""
        if self.last or self._refusal is not None:
            return
        if self.incoming is not None:
            self.incoming.feed(body)
            self._head_bytes -= len(body) * framing.FRAMING_ALLOWED
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self.last or self._not_upgraded:
            return
        self._whole = True
        self._head_bytes = 0
        if self._refusal is not None:
            return
        if self.incoming is not None:
            self.resting = self.outgoing is None  # it was answered before it was whole
            self.incoming.finish()
        else:
            super().on_message_complete()

    # Our own

    def _feed(self, data: bytes) -> None:
        """Parse. An upgrade that we do not offer is ignored (RFC 9110, 7.8): the JDK asks every server for h2c.

        The parser ends at the head of a request that asks for one, body or not. So a new parser gets the same head
        without that wish, and the rest.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._not_upgraded:
                self.last = True  # a WebSocket, which was refused; what follows is not HTTP
                return
            self._not_upgraded = False
            version = self.parser.get_http_version().encode()
            head = framing.without_upgrade(self.parser.get_method(), self.url, version, self.headers)
            self.parser = httptools.HttpRequestParser(self)
            self.parser.feed_data(head + data[upgrade.args[0] :])

    def _refuse(self, error: CallError) -> None:
        """Answer a request that is not served, and close: what follows it is not to be trusted."""
        if self._closing:
            return
        if self.outgoing is not None:  # it came behind, or within, a request that is being served: that one is answered
            self.last = True
            self.outgoing.keep_alive = False
            if self.incoming is not None:
                self.incoming.fail(error)
            return
        self.respond(error)
        self._close()

    def _close(self) -> None:
        """Close, but let a client that is still sending read what it was told (RFC 9112, 9.6)."""
        self.last = self._closing = True
        self.resting = False
        if self._whole or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.since = monotonic()
        self._watchdog.by(self.since + LINGER)

    def _look(self, now: float) -> float | None:
        """What the watchdog asks: is anything overdue, and if not, when to look again."""
        if self._stalled_since is not None:
            if now < self._stalled_since + STALL_DEADLINE:
                return self._stalled_since + STALL_DEADLINE
            self.transport.abort()
        elif self.outgoing is None and self.last and not self._handed_over:
            if now < self.since + LINGER:
                return self.since + LINGER
            self.transport.abort()
        elif self._head_began is not None:
            return self._overdue(now, self._head_began, HEADERS_DEADLINE, "headers")
        elif self._body_due():
            return self._overdue(now, self.since, BODY_DEADLINE, "body")
        elif self.outgoing is None and not self._handed_over:
            if now < self.since + IDLE_DEADLINE:
                return self.since + IDLE_DEADLINE
            self.transport.close()
        return None

    def _body_due(self) -> bool:
        """Whether a body is on its way, and not one that we have yet to ask for."""
        unasked = self.expect_100_continue and self.outgoing is not None
        return self.incoming is not None and not self._whole and not unasked

    def _overdue(self, now: float, since: float, limit: float, what: str) -> float | None:
        """Refuse a request of which a part is overdue; until then, say when it will be."""
        if now < since + limit:
            return since + limit
        if not self.url or (what == "body" and self.outgoing is None):
            self.transport.close()  # nothing was asked, or it was answered already
        else:
            self._refuse(RequestTimeout(f"The request's {what} did not arrive within {limit:g} s.", field=what))
        return None
