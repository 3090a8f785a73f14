"""One call from the door on: it goes through the layers; when its end is written down, its client is told of it."""

import logging
from asyncio import AbstractEventLoop, CancelledError, Transport
from collections.abc import Callable
from random import random
from time import time
from typing import Final, Protocol

from aibridge.domain.errors import CallError, Draining, InternalError, Refused
from aibridge.gateway import edge
from aibridge.gateway.call import Call, RequestBody, begun, reply_to
from aibridge.gateway.drain import stopping
from aibridge.gateway.head import Head
from aibridge.gateway.headers import Headers
from aibridge.gateway.pipeline import Way
from aibridge.gateway.reply import Reply
from aibridge.gateway.routes import Routes
from aibridge.gateway.run import Run
from aibridge.telemetry import Telemetry
from aibridge.wire.dialect import Dialect

LEFT_UNREAD: Final = 64 * 1024
"""Bytes of a refused call's body that are still read, to keep the connection."""

_log: Final = logging.getLogger(__name__)


class Gateway:
    """What the connections of one process share."""

    def __init__(  # noqa: PLR0913 (all that they share)
        self,
        *,
        routes: Routes,
        interception: Way,
        pass_through: Way,
        telemetry: Telemetry,
        maximum_body: int,
        address_of: Callable[[str, Headers], str] = lambda peer, _: peer,
    ) -> None:
        self.routes = routes
        self.interception = interception
        """What happens to a call that is limited and recorded."""
        self.pass_through = pass_through
        """What happens to one that is not."""
        self.telemetry = telemetry
        self.maximum_body = maximum_body
        """Bytes of a request's body."""
        self.address_of = address_of
        """The client's address, from the peer's and the request's headers."""
        self.calls: set[Service] = set()
        """What is under way."""


class Client(Protocol):
    """The connection that a call came by, as far as the call goes. See `protocol`."""

    transport: Transport
    loop: AbstractEventLoop
    since: float
    """When the head of the present request was here, in seconds of the monotonic clock."""
    expect_100_continue: bool
    incoming: RequestBody | None
    """Takes the body of the present request."""
    outgoing: Reply | None
    """The answer that is due."""
    service: "Service | None"
    """The call that is under way."""

    def go_on(self) -> None:
        """Ask for the body of a client that waits for that."""

    def rest(self, *, keep_alive: bool) -> None:
        """After an answer: be ready for the next request, or close."""


class Service(Run):
    """A call on its way through the layers. `start` begins it, `cancel` ends it where its client has left."""

    __slots__ = ("_client", "_error", "_gateway", "_reply", "call")

    def __init__(self, call: Call, way: Way, gateway: Gateway, client: Client) -> None:
        self.call = call
        self._gateway = gateway
        self._client = client
        self._reply = client.outgoing = reply_to(call.head, client.transport)
        self._error: CallError | None = None
        super().__init__(way.handle(call, self._reply), client.loop)
        client.service = self
        gateway.calls.add(self)

    def interrupt(self) -> None:
        """End it because the gateway stops: its client is told, and it is recorded as interrupted."""
        self.call.stopping = True
        self.cancel()

    def forget(self) -> None:
        """It is over, for its connection."""
        self._gateway.calls.discard(self)
        self._client.service = None
        self._client.outgoing = None

    def ended(self, reason: BaseException | None) -> None:
        """It has gone through the layers. Its client is told; nothing is raised, since this may be anybody's turn."""
        try:
            self._end(reason)
        except Exception:  # noqa: BLE001 (as above)
            _log.exception("call %s could not be concluded", self.call.id)
            self._client.transport.abort()

    def _end(self, reason: BaseException | None) -> None:
        """How it ended is told to the client when it is written down."""
        call = self.call
        if reason is not None:
            if not isinstance(reason, CancelledError):
                self._error = _told(call, reason)
            elif call.stopping:
                self._error = stopping()
            else:  # the client is gone: nobody is left to be told
                return
        if call.written is None:
            self._conclude()
        else:
            call.written(self._conclude)

    def _conclude(self) -> None:
        """Send the last byte of a reply, or what went wrong instead, and be ready for the next request."""
        client, reply, error = self._client, self._reply, self._error
        if client.outgoing is not reply:  # the connection is gone
            return
        if error is None:
            reply.finish()
        else:
            self._answer(error)
        head = self.call.head
        route = head.route
        if not route.recorded and not isinstance(error, Refused):
            self._gateway.telemetry.passed_through(head.method.decode(), route.provider.name, route.path)
        self.forget()
        client.rest(keep_alive=reply.keep_alive)

    def _answer(self, error: CallError) -> None:
        """Tell the client what went wrong, in its dialect, as far as it can still be told."""
        call, reply = self.call, self._reply
        if isinstance(error, Refused):
            self._gateway.telemetry.refused(edge.limit_of(error), error.code)
        dialect = call.head.route.dialect
        if reply.started:
            reply.break_off(dialect.render_event(error, call.id) if reply.streaming else b"")
            return
        if not _worth_reading_on(call, self._client):
            reply.keep_alive = False
        reply.answer(dialect.status_of(error), response(error, dialect, call.id, keep_alive=reply.keep_alive))


def enter(gateway: Gateway, client: Client, head: Head, content: bytes | None = None) -> None:
    """Make a call, to be started, whose body is `content` if that is here already; or turn it away at the door."""
    ask = client.go_on if client.expect_100_continue else None
    call = begun(head, client.since, gateway.maximum_body, ask, content)
    client.incoming = call.body
    way = gateway.interception if head.route.recorded else gateway.pass_through
    try:
        refusal = way.enter(call)
    except Exception as reason:  # noqa: BLE001 (the edge: whatever it is, the client is told)
        refusal = _told(call, reason)
    if refusal is None:
        Service(call, way, gateway, client)
    else:
        _turn_away(gateway, client, call, refusal)


def response(error: CallError, dialect: Dialect, request_id: str, *, keep_alive: bool) -> bytes:
    """The whole response for an error, here and now."""
    return edge.response(error, dialect, request_id, keep_alive=keep_alive, luck=random(), now=time())  # noqa: S311


def _turn_away(gateway: Gateway, client: Client, call: Call, error: CallError) -> None:
    """Answer a call that was refused at the door. Its body is dropped as it comes, or never comes."""
    if isinstance(error, Refused):
        gateway.telemetry.refused(edge.limit_of(error), error.code)
    head, body = call.head, call.body
    keep_alive = head.keep_alive and _worth_reading_on(call, client) and not isinstance(error, Draining)
    body.fail(error)
    client.transport.write(response(error, head.route.dialect, call.id, keep_alive=keep_alive))
    client.rest(keep_alive=keep_alive)


def _told(call: Call, reason: BaseException) -> CallError:
    """What a client is told of an exception; what is our own fault, the log has."""
    if isinstance(reason, CallError):
        return reason
    _log.error("call %s failed by our own fault", call.id, exc_info=reason)
    return InternalError("AI Bridge failed to handle the call.", f"The gateway's log has it as {call.id}.")


def _worth_reading_on(call: Call, client: Client) -> bool:
    """Whether so little of a refused call's body is missing that reading it is cheaper than a new connection."""
    body, fields = call.body, call.head.fields
    if body.complete:
        return True
    length = fields.get(b"content-length")
    if length is None:  # then there is none, or one that may have no end (RFC 9112, 6.3)
        return b"transfer-encoding" not in fields
    return not client.expect_100_continue and int(length) - body.received <= LEFT_UNREAD
