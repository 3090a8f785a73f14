"""One call: what came in, and what handles it."""

import asyncio
from collections.abc import Awaitable, Callable

from aibridge.domain.actor import Actor
from aibridge.domain.errors import BodyTooLarge, CallError
from aibridge.domain.usage import Usage
from aibridge.gateway.headers import Fields, Headers
from aibridge.gateway.reply import Reply
from aibridge.gateway.routes import Route
from aibridge.limits.engine import Caller, Size
from aibridge.wire.dialect import View


class RequestBody:
    """The body of a request, on its way in: fed by the protocol, read by one layer, once; at most `maximum` bytes."""

    __slots__ = ("_before_reading", "_error", "_maximum", "_parts", "_reader", "complete", "received")

    def __init__(self, maximum: int, before_reading: Callable[[], None] | None = None) -> None:
        self.complete = False
        self.received = 0
        self._maximum = maximum
        self._before_reading = before_reading
        self._parts: list[bytes] = []
        self._error: CallError | None = None
        self._reader: asyncio.Future[None] | None = None

    def feed(self, part: bytes) -> None:
        """Take the next bytes. After a failure they are counted and dropped."""
        self.received += len(part)
        if self._error is not None:
            return
        if self.received > self._maximum:
            self.fail(
                BodyTooLarge(
                    f"The request body is larger than the {self._maximum} bytes allowed.",
                    "The limit is the gateway's option --aibridge-max-body-size.",
                    field="body",
                )
            )
            return
        self._parts.append(part)

    def finish(self) -> None:
        """All bytes are here."""
        self.complete = True
        self._wake()

    def fail(self, error: CallError) -> None:
        """The bytes will not come, or are too many: whoever reads gets `error`."""
        if self._error is None and not self.complete:
            self._error = error
            self._parts.clear()
            self._wake()

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            CallError: too large, or not here within its deadline.
        """
        if not self.complete and self._error is None:
            if self._before_reading is not None:
                self._before_reading()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if self._error is not None:
            raise self._error
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        return body

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Call:
    """A request on its way through the layers. Each field is set by the layer that learns it.

    `started` is in seconds of the monotonic clock, `started_at` in UTC microseconds. `own_credential` are the header
    lines of a credential that the client brought for the provider, when it pays for itself. `stopping` is set before a
    call is cancelled because the gateway stops, so that it is not taken for a client that left. `written`, for a call
    that is recorded, runs a function when its end is written: until then its client must not take it for ended.
    `size` is what the limits know of its body, `asked` whether a provider was asked, `usage` what the ledger says it
    used, and `withholds` that an answer which another attempt may better is not for the client yet.
    """

    __slots__ = (
        "actor",
        "address",
        "asked",
        "body",
        "caller",
        "content",
        "fields",
        "headers",
        "id",
        "method",
        "own_credential",
        "query",
        "route",
        "size",
        "started",
        "started_at",
        "stopping",
        "upstream_path",
        "usage",
        "view",
        "withholds",
        "written",
    )

    def __init__(  # noqa: PLR0913 (a request has that many parts)
        self,
        *,
        id: str,  # noqa: A002 (the name it has everywhere)
        route: Route,
        method: bytes,
        upstream_path: bytes,
        query: bytes,
        headers: Headers,
        fields: Fields,
        address: str,
        body: RequestBody,
        started: float,
        started_at: int,
    ) -> None:
        self.id = id
        self.route = route
        self.method = method
        self.upstream_path = upstream_path
        self.query = query
        self.headers = headers
        self.fields = fields
        self.address = address
        self.body = body
        self.started = started
        self.started_at = started_at
        self.content = b""
        self.actor: Actor | None = None
        self.caller: Caller | None = None
        self.view: View | None = None
        self.size: Size | None = None
        self.asked = False
        self.usage: Usage | None = None
        self.withholds = False
        self.own_credential: Headers = []
        self.stopping = False
        self.written: Callable[[Callable[[], None]], None] | None = None


Clock = Callable[[], float]
"""Answers in seconds: of the monotonic clock unless it is called a wall clock."""
Check = Callable[[Call], CallError | None]
"""A look at a call at the door. Answers an error to refuse it, and takes nothing that would have to come back."""
Handler = Callable[[Call, Reply], Awaitable[None]]
Layer = Callable[[Handler], Handler]
