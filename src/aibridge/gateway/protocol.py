"""From bytes to calls: the short way of what the gateway relays. Everything else on the same port becomes ASGI.

A request for a provider is recognised at headers-complete, before its body is read. `service` sees it through.
"""

from time import time
from typing import Any, ClassVar

from aibridge.domain.errors import CallError, Refused, RouteNotSupported, UpgradeRequired
from aibridge.gateway import edge
from aibridge.gateway.call import IDS, RequestBody
from aibridge.gateway.guarded import GuardedProtocol
from aibridge.gateway.head import Familiar, Head, familiar
from aibridge.gateway.service import Gateway, Service, enter, response


class GatewayProtocol(GuardedProtocol):
    """One client connection. `gateway` is set by `serving`."""

    gateway: ClassVar[Gateway]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's business)
        super().__init__(*args, **kwargs)
        self.service: Service | None = None
        self._head: Head | None = None
        """Of a request that has just begun."""
        self._familiar: Familiar | None = None
        """The head of an earlier request, which the next one is likely to repeat."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. A call under way learns it as a cancellation, and by no other way."""
        service = self.service
        if self.outgoing is not None:
            self.outgoing.gone = True
        super().connection_lost(exc)
        if service is not None:
            service.forget()
            service.cancel()

    def data_received(self, data: bytes) -> None:
        """Begin a call at once if its request is whole and repeats a head; let everything else be parsed."""
        known, resting = self._familiar, self.resting
        if known is not None and known.routes is not self.gateway.routes:
            self._familiar = known = None
        if resting and known is not None and (content := known.content_of(data)) is not None:
            self.repeated()
            enter(self.gateway, self, known.head, content)
        else:
            super().data_received(data)
            head, self._head = self._head, None
            if head is None:
                return
            if resting:
                self._familiar = familiar(data, head, self.gateway.routes) or self._familiar
        if self.service is not None:  # not before all is parsed that came: a body that is here need not be asked for
            self.service.start()

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
        enter(self.gateway, self, self._head)
        return None

    def respond(self, error: CallError) -> None:
        """Answer a request that did not become a call."""
        if isinstance(error, Refused):
            self.gateway.telemetry.refused("", error.code)
        provider = self.gateway.routes.provider_of(self.url.partition(b"?")[0])
        dialect = edge.dialect_of(provider)
        self.transport.write(response(error, dialect, IDS.next(int(time() * 1e6)), keep_alive=False))

    def _may_stay(self) -> bool:
        """Whether the connection may serve another request: a client of HTTP/1.0 may take its end for the answer's."""
        return self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()

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


def serving(gateway: Gateway) -> type[GatewayProtocol]:
    """The protocol class for one gateway: what uvicorn takes as `http`."""
    return type("Serving", (GatewayProtocol,), {"gateway": gateway})
