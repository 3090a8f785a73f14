"""From bytes to calls: the short way of what the gateway relays. Everything else on the same port becomes ASGI.

A request for a provider is recognised at headers-complete, before its body is read. One coroutine sees it through.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from random import getrandbits, random
from time import time
from typing import Any, ClassVar

import msgspec

from aibridge.domain.errors import CallError, Draining, InternalError, Refused, RouteNotSupported, UpgradeRequired
from aibridge.domain.interception_id import interception_id
from aibridge.gateway import edge
from aibridge.gateway.call import Call, RequestBody, begun, reply_to
from aibridge.gateway.drain import stopping
from aibridge.gateway.guarded import GuardedProtocol
from aibridge.gateway.head import Familiar, Head, familiar
from aibridge.gateway.headers import Headers
from aibridge.gateway.pipeline import Way
from aibridge.gateway.reply import Reply
from aibridge.gateway.routes import Routes
from aibridge.gateway.run import Run
from aibridge.telemetry import Telemetry
from aibridge.wire.dialect import Dialect

LEFT_UNREAD = 64 * 1024
"""Bytes of a refused call's body that are still read, to keep the connection."""

_log = logging.getLogger(__name__)


class Gateway(msgspec.Struct, kw_only=True):
    """What the connections of one process share."""

    routes: Routes
    interception: Way
    """What happens to a call that is limited and recorded."""
    pass_through: Way
    """What happens to one that is not."""
    telemetry: Telemetry
    maximum_body: int
    """Bytes of a request's body."""
    address_of: Callable[[str, Headers], str] = lambda peer, _: peer
    """The client's address, from the peer's and the request's headers."""
    calls: dict[Run, Call] = msgspec.field(default_factory=dict)
    """What is under way."""


class GatewayProtocol(GuardedProtocol):
    """One client connection. `gateway` is set by `serving`."""

    gateway: ClassVar[Gateway]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's business)
        super().__init__(*args, **kwargs)
        self._run: Run | None = None
        self._head: Head | None = None
        """Of a request that has just begun."""
        self._familiar: Familiar | None = None
        """The head of an earlier request, which the next one is likely to repeat."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. A call under way learns it as a cancellation, and by no other way."""
        under_way = self._run
        if self.outgoing is not None:
            self.outgoing.gone = True
        if under_way is not None:
            self._forget()
            under_way.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Begin a call at once if its request is whole and repeats a head; let everything else be parsed."""
        known, resting = self._familiar, self.resting
        if known is not None and known.routes is not self.gateway.routes:
            self._familiar = known = None
        if resting and known is not None and (content := known.content_of(data)) is not None:
            self.repeated()
            self._begin(known.head, content)
        else:
            super().data_received(data)
            head, self._head = self._head, None
            if head is None:
                return
            if resting:
                self._familiar = familiar(data, head, self.gateway.routes) or self._familiar
        if self._run is not None:  # not before all is parsed that came: a body that is here need not be asked for
            self._run.start()

    def head_complete(self) -> CallError | None:
        """Take the short way, or hand the request over to ASGI."""
        path, _, query = self.url.partition(b"?")
        method = self.parser.get_method()
        routes = self.gateway.routes
        found = routes.find(method, path)
        if found is None:
            if routes.provider_of(path) is None:
                self.hand_over()
            elif routes.is_probe(method, path):
                self._answer_probe()
            else:
                return self._not_relayed(method, path)
            return None
        self._head = Head(
            route=found.route,
            method=method,
            upstream_path=found.upstream_path,
            query=query,
            headers=self.headers,
            fields=self.fields,
            address=self.gateway.address_of(self.client[0] if self.client else "", self.headers),
            keep_alive=self._may_stay(),
            may_chunk=self.parser.get_http_version() == "1.1",
        )
        self._begin(self._head)
        return None

    def _begin(self, head: Head, content: bytes | None = None) -> None:
        """Make a call, to be started, whose body is `content` if that is here already; or turn it away at the door."""
        gateway = self.gateway
        ask = self.go_on if self.expect_100_continue else None
        call = begun(head, self.since, gateway.maximum_body, ask, content)
        self.incoming = call.body
        way = gateway.interception if head.route.recorded else gateway.pass_through
        try:
            refusal = way.enter(call)
        except Exception as reason:  # noqa: BLE001 (as in `_over`)
            refusal = self._told(call, reason)
        if refusal is not None:
            self._turn_away(call, refusal)
            return
        self.outgoing = reply = reply_to(head, self.transport)
        self._run = run = Run(way.handle(call, reply), partial(self._over, call, reply), self.loop)
        gateway.calls[run] = call

    def respond(self, error: CallError) -> None:
        """Answer a request that did not become a call."""
        if isinstance(error, Refused):
            self.gateway.telemetry.refused("", error.code)
        provider = self.gateway.routes.provider_of(self.url.partition(b"?")[0])
        request_id = interception_id(int(time() * 1e6), getrandbits(74))
        dialect = edge.dialect_of(provider)
        self.transport.write(_response(error, dialect, request_id, keep_alive=False))

    def _turn_away(self, call: Call, error: CallError) -> None:
        """Answer a call that was refused at the door. Its body is dropped as it comes, or never comes."""
        if isinstance(error, Refused):
            self.gateway.telemetry.refused(edge.limit_of(error), error.code)
        head, body = call.head, call.body
        keep_alive = head.keep_alive and self._worth_reading_on(call) and not isinstance(error, Draining)
        body.fail(error)
        self.transport.write(_response(error, head.route.dialect, call.id, keep_alive=keep_alive))
        self.rest(keep_alive=keep_alive)

    def _over(self, call: Call, reply: Reply, reason: BaseException | None) -> None:
        """A call has gone through the layers. How it ended is told to the client when it is written down."""
        error: CallError | None = None
        if reason is not None:
            if not isinstance(reason, asyncio.CancelledError):
                error = self._told(call, reason)
            elif call.stopping:
                error = stopping()
            else:  # the client is gone: nobody is left to be told
                return
        if call.written is None:
            self._conclude(call, reply, error)
        else:
            call.written(partial(self._conclude, call, reply, error))

    def _told(self, call: Call, reason: BaseException) -> CallError:
        """What a client is told of an exception; what is our own fault, the log has."""
        if isinstance(reason, CallError):
            return reason
        _log.error("call %s failed by our own fault", call.id, exc_info=reason)
        return InternalError("AI Bridge failed to handle the call.", f"The gateway's log has it as {call.id}.")

    def _conclude(self, call: Call, reply: Reply, error: CallError | None) -> None:
        """Send the last byte of a reply, or what went wrong instead, and be ready for the next request."""
        if self.outgoing is not reply:  # the connection is gone
            return
        if error is None:
            reply.finish()
        else:
            self._answer(call, reply, error)
        route = call.head.route
        if not route.recorded and not isinstance(error, Refused):
            self.gateway.telemetry.passed_through(call.head.method.decode(), route.provider.name, route.path)
        self._forget()
        self.rest(keep_alive=reply.keep_alive)

    def _answer(self, call: Call, reply: Reply, error: CallError) -> None:
        """Tell the client what went wrong, in its dialect, as far as it can still be told."""
        if isinstance(error, Refused):
            self.gateway.telemetry.refused(edge.limit_of(error), error.code)
        dialect = call.head.route.dialect
        if reply.started:
            reply.break_off(dialect.render_event(error, call.id) if reply.streaming else b"")
            return
        if not self._worth_reading_on(call):
            reply.keep_alive = False
        reply.answer(dialect.status_of(error), _response(error, dialect, call.id, keep_alive=reply.keep_alive))

    def _forget(self) -> None:
        """A call is over, for this connection."""
        if self._run is not None:
            self.gateway.calls.pop(self._run, None)
        self._run = None
        self.outgoing = None

    def _may_stay(self) -> bool:
        """Whether the connection may serve another request: a client of HTTP/1.0 may take its end for the answer's."""
        return self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()

    def _worth_reading_on(self, call: Call) -> bool:
        """Whether so little of a refused call's body is missing that reading it is cheaper than a new connection."""
        body, fields = call.body, call.head.fields
        if body.complete:
            return True
        length = fields.get(b"content-length")
        if length is None:  # then there is none, or one that may have no end (RFC 9112, 6.3)
            return b"transfer-encoding" not in fields
        return not self.expect_100_continue and int(length) - body.received <= LEFT_UNREAD

    def _answer_probe(self) -> None:
        """Somebody asks whether anybody is there."""
        self.incoming = RequestBody(0)
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        self.rest(keep_alive=self._may_stay())

    def _not_relayed(self, method: bytes, path: bytes) -> CallError:
        if method == b"GET" and self.parser.should_upgrade() and path.endswith(b"/responses"):
            return UpgradeRequired("AI Bridge does not speak WebSocket.", "Send the request as POST over plain HTTP.")
        return RouteNotSupported(
            f"route not supported: {method.decode()} {path[:200].decode('latin-1')}",
            "The gateway relays a fixed list of routes; its documentation has them.",
        )


def _response(error: CallError, dialect: Dialect, request_id: str, *, keep_alive: bool) -> bytes:
    """The whole response for an error, here and now."""
    return edge.response(error, dialect, request_id, keep_alive=keep_alive, luck=random(), now=time())  # noqa: S311


def serving(gateway: Gateway) -> type[GatewayProtocol]:
    """The protocol class for one gateway: what uvicorn takes as `http`."""
    return type("Serving", (GatewayProtocol,), {"gateway": gateway})
