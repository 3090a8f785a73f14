"""The innermost handler: a call goes to its provider, and the answer's bytes go to the client as they come."""

from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from aibridge.domain.actor import Actor
from aibridge.domain.errors import UpstreamBroke
from aibridge.domain.provider import Provider, ProviderKind
from aibridge.gateway.call import Call, Handler
from aibridge.gateway.head import Head
from aibridge.gateway.headers import Fields, Headers, clean_query, to_client, to_provider
from aibridge.gateway.reply import Reply
from aibridge.gateway.upstream import BODILESS, Stale
from aibridge.gateway.withheld import BETTERED, Withheld
from aibridge.wire.dialect import UsageReader

EVENT_STREAM: Final = b"text/event-stream"
_ERROR_STATUS: Final = HTTPStatus.BAD_REQUEST.value
BEARER_SINCE: Final = b"2026-10-21"
"""The `anthropic-version` since which an API key is sent as a bearer token."""

STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def relay(*, total: float, send_actor_headers: bool = False) -> Handler:
    """Build the handler. `total` is how long a call may take until the provider's answer is whole, in seconds."""

    async def relayed(call: Call, reply: Reply) -> None:
        exchange = Exchange(call, reply)
        request = _request(call, send_actor_headers=send_actor_headers)
        pool = call.head.route.pool
        try:
            unused = pool.unused
            connection = unused.take() or await pool.connect()
            done = False
            while not done:
                reply.draw_from(connection)
                call.asked = True
                try:
                    await connection.exchange(request, exchange, call.started + total)
                    done = True
                except Stale:  # the provider has not read it: it goes once more, over a new connection
                    pass
                finally:
                    reply.draw_from(None)
                    unused.give_back(connection)
                if not done:
                    connection = await pool.connect()
        finally:
            reply.reading = exchange.reader.finish() if exchange.reader is not None else None
        if exchange.withheld is not None:
            raise exchange.withheld
        if exchange.ended_without_an_end:
            raise UpstreamBroke("The provider's stream ended before it was complete.")
        if reply.paused:
            await reply.drained()

    return relayed


class Exchange:
    """Takes an answer as it comes, gives it to the client first and to the reader of usage second."""

    __slots__ = ("_call", "_reply", "_unframed", "reader", "withheld")

    def __init__(self, call: Call, reply: Reply) -> None:
        self._call = call
        self._reply = reply
        self.reader: UsageReader | None = None
        self.withheld: Withheld | None = None
        self._unframed = False

    @property
    def ended_without_an_end(self) -> bool:
        """Whether a stream that only its connection's end could end did not say itself that it is complete."""
        reading = self._reply.reading
        return self._unframed and reading is not None and not reading.whole and reading.error is None

    def answered(self, status: int, headers: Headers, fields: Fields, content_length: int | None) -> None:
        """The head is here: prepare ours."""
        call, reply = self._call, self._reply
        streaming = fields.get(b"content-type", b"").startswith(EVENT_STREAM)
        coding = fields.get(b"content-encoding")
        self.reader = call.head.route.dialect.reader(streaming=streaming, content_encoding=coding)
        chunked = False
        if content_length is not None:  # where there can be no body, its head says so already (RFC 9110, 8.6)
            framing = b"" if status in BODILESS else b"content-length: %d\r\n" % content_length
        elif reply.may_chunk:
            chunked, framing = True, b"transfer-encoding: chunked\r\n"
        else:
            reply.keep_alive, framing = False, b""
        lines = to_client(headers, fields)
        if b"x-request-id" not in fields:
            lines.append(b"x-request-id: %b\r\n" % call.id.encode())
        if streaming:
            lines.append(b"x-accel-buffering: no\r\n")  # asks an nginx in front of us not to hold events back
            unframed = content_length is None and b"transfer-encoding" not in fields
            self._unframed = unframed and status < _ERROR_STATUS and coding is None
        head = b"%b%b%b%b" % (
            STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status,
            b"".join(lines),
            framing,
            b"\r\n" if reply.keep_alive else b"connection: close\r\n\r\n",
        )
        if call.withholds and status in BETTERED:
            begin = partial(reply.begin, status, head, chunked=chunked, streaming=streaming)
            self.withheld = Withheld(status, fields.get(b"retry-after"), begin)
        else:
            reply.begin(status, head, chunked=chunked, streaming=streaming)

    def received(self, part: bytes) -> None:
        """More of the body is here, and not the last of it."""
        withheld = self.withheld
        if withheld is None:
            self._reply.write(part)
        elif not withheld.keeps(part):
            self.withheld = None
            withheld.begin()
            self._reply.write(withheld.body + part)
        if self.reader is not None:
            self.reader.feed(part)

    def completed(self, part: bytes) -> None:
        """The last of the body is here."""
        withheld = self.withheld
        if withheld is None:
            self._reply.hold(part)
        elif not withheld.keeps(part):
            self.withheld = None
            withheld.begin()
            self._reply.hold(withheld.body + part)
        if self.reader is not None:
            self.reader.feed(part)


def _request(call: Call, *, send_actor_headers: bool) -> bytes:
    """The request for the provider: our head, and the client's body as it came."""
    head, actor, content = call.head, call.actor, call.content
    lines = head.lines
    if lines is None or lines[0] is not actor:
        lines = head.lines = actor, _lines(head, call.own_credential, actor if send_actor_headers else None)
    if content or head.method == b"POST":
        return b"%bcontent-length: %d\r\n\r\n%b" % (lines[1], len(content), content)
    return lines[1] + b"\r\n"


def _lines(head: Head, own_credential: Headers, actor: Actor | None) -> bytes:
    """All of our head but the length of a body. `actor` is told to the provider, if given."""
    route, target = head.route, head.upstream_path
    query = clean_query(head.query)
    if query:
        target = b"%b?%b" % (target, query)
    parts = [
        b"%b %b HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\n" % (head.method, target, route.host),
        *to_provider(head.headers, head.fields),
        _credential(route.provider, head.fields, own_credential),
    ]
    if actor is not None:
        parts.append(_actor_lines(actor))
    return b"".join(parts)


def _credential(provider: Provider, fields: Fields, own: Headers) -> bytes:
    """The header lines of the credential that the provider sees: the client's own, or else the central one."""
    if own:
        return b"".join([b"%b: %b\r\n" % (name, value) for name, value in own])
    if provider.key is None:
        return b""
    if provider.kind is ProviderKind.ANTHROPIC:
        by_bearer = fields.get(b"anthropic-version", b"") >= BEARER_SINCE and b"authorization" in fields
        if not by_bearer:
            return b"x-api-key: %b\r\n" % provider.key.encode()
    return b"authorization: Bearer %b\r\n" % provider.key.encode()


def _actor_lines(actor: Actor) -> bytes:
    """Who calls, for a provider or a proxy that wants to know."""
    return (
        f"x-ai-bridge-actor-id: {quote(actor.id)}\r\n"
        f"x-ai-bridge-actor-metadata-username: {quote(actor.username, safe=' @+,;=')}\r\n"
    ).encode()
