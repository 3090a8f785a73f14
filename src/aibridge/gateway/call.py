"""One call: what came in, and what handles it."""

import asyncio
from collections.abc import Callable, Coroutine
from time import time
from typing import Any, Final

from aibridge.domain.actor import Actor
from aibridge.domain.errors import BodyTooLarge, CallError
from aibridge.domain.interception_id import InterceptionIds
from aibridge.domain.usage import Usage
from aibridge.gateway.arrival import Arrival
from aibridge.gateway.head import Head
from aibridge.gateway.headers import Headers
from aibridge.gateway.reply import Reply
from aibridge.limits.engine import Caller, Size
from aibridge.wire.dialect import View


class RequestBody:
    """The body of a request, on its way in: fed by the protocol, read by one layer, once; at most `maximum` bytes.

    `before_reading` is called when somebody wants it. It may be here already, as `content`.
    """

    __slots__ = ("_before_reading", "_error", "_maximum", "_parts", "_reader", "complete", "received")

    def __init__(
        self, maximum: int, before_reading: Callable[[], None] | None = None, content: bytes | None = None
    ) -> None:
        self._maximum = maximum
        self._before_reading = before_reading
        self._parts: list[bytes] = []
        self._error: CallError | None = None
        self._reader: Arrival | None = None
        self.complete = False
        self.received = 0
        if content is not None:
            self.feed(content)
            self.complete = True

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
            self._reader = Arrival()
            await self._reader
        return self.content()

    def content(self) -> bytes:
        """The body, if it is `complete`. It is given away: the second time there is nothing.

        Raises:
            CallError: as `read` does.
        """
        if self._error is not None:
            raise self._error
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _wake(self) -> None:
        if self._reader is not None:
            self._reader.come()


IDS: Final = InterceptionIds()
"""Of all that this process gives a name to, calls or not."""
NO_CREDENTIAL: Final[Headers] = []
"""Of all calls that bring none; it stays empty."""


class Call:
    """A request on its way through the layers. Each field is set by the layer that learns it."""

    __slots__ = (
        *("id", "head", "body", "started", "started_at", "content", "actor", "own_credential", "caller", "view"),
        *("size", "asked", "withholds", "usage", "stopping", "written"),
    )

    def __init__(self, id: str, head: Head, body: RequestBody, started: float, started_at: int) -> None:  # noqa: A002 (its name)
        self.id = id
        self.head = head
        self.body = body
        self.started = started
        """In seconds of the monotonic clock."""
        self.started_at = started_at
        """In UTC microseconds."""
        self.content = b""
        self.actor: Actor | None = None
        self.own_credential = NO_CREDENTIAL
        """The header lines of a credential that the client brought for the provider, when it pays for itself."""
        self.caller: Caller | None = None
        self.view: View | None = None
        self.size: Size | None = None
        """What the limits know of its body."""
        self.asked = False
        """Whether a provider was asked."""
        self.withholds = False
        """Whether an answer that another attempt may better is not for the client yet."""
        self.usage: Usage | None = None
        """What the ledger says it used."""
        self.stopping = False
        """Set before it is cancelled because the gateway stops, so that it is not taken for a client that left."""
        self.written: Callable[[Callable[[], None]], None] | None = None
        """Runs a function when the end of a recorded call is written: not before may its client take it for ended."""


def reply_to(head: Head, transport: asyncio.WriteTransport) -> Reply:
    """The reply to a request with this head."""
    return Reply(transport, keep_alive=head.keep_alive, may_chunk=head.may_chunk)


def begun(
    head: Head, since: float, maximum: int, before_reading: Callable[[], None] | None, content: bytes | None
) -> Call:
    """A call that begins now, with a head that was here at `since` and the body that `RequestBody` describes."""
    started_at = int(time() * 1e6)
    return Call(IDS.next(started_at), head, RequestBody(maximum, before_reading, content), since, started_at)


Clock = Callable[[], float]
"""Answers in seconds: of the monotonic clock unless it is called a wall clock."""
Check = Callable[[Call], CallError | None]
"""A look at a call at the door. Answers an error to refuse it, and takes nothing that would have to come back."""
Handler = Callable[[Call, Reply], Coroutine[Any, Any, None]]
Layer = Callable[[Handler], Handler]
