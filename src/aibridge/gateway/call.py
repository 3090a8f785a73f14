"""One call: what came in, and what handles it."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from aibridge.domain.actor import Actor
from aibridge.domain.errors import BodyTooLarge, CallError
from aibridge.domain.usage import Usage
from aibridge.gateway.head import Head
from aibridge.gateway.headers import Headers
from aibridge.gateway.reply import Reply
from aibridge.limits.engine import Caller, Size
from aibridge.wire.dialect import View


class RequestBody(msgspec.Struct, eq=False):
    """The body of a request, on its way in: fed by the protocol, read by one layer, once; at most `maximum` bytes.

    A struct, as `Call` and `Reply` are: made for every call, in a third of the time that a class of Python's takes.
    """

    _maximum: int
    _before_reading: Callable[[], None] | None = None
    complete: bool = False
    received: int = 0
    parts: list[bytes] = []
    _error: CallError | None = None
    _reader: asyncio.Future[None] | None = None

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
        self.parts.append(part)

    def finish(self) -> None:
        """All bytes are here."""
        self.complete = True
        self._wake()

    def fail(self, error: CallError) -> None:
        """The bytes will not come, or are too many: whoever reads gets `error`."""
        if self._error is None and not self.complete:
            self._error = error
            self.parts.clear()
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
        return self.content()

    def content(self) -> bytes:
        """The body, if it is `complete`. It is given away: the second time there is nothing.

        Raises:
            CallError: as `read` does.
        """
        if self._error is not None:
            raise self._error
        parts, self.parts = self.parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Call(msgspec.Struct, kw_only=True, eq=False):
    """A request on its way through the layers. Each field is set by the layer that learns it."""

    id: str
    head: Head
    body: RequestBody
    started: float
    """In seconds of the monotonic clock."""
    started_at: int
    """In UTC microseconds."""
    content: bytes = b""
    actor: Actor | None = None
    own_credential: Headers = []
    """The header lines of a credential that the client brought for the provider, when it pays for itself."""
    caller: Caller | None = None
    view: View | None = None
    size: Size | None = None
    """What the limits know of its body."""
    asked: bool = False
    """Whether a provider was asked."""
    withholds: bool = False
    """Whether an answer that another attempt may better is not for the client yet."""
    usage: Usage | None = None
    """What the ledger says it used."""
    stopping: bool = False
    """Set before it is cancelled because the gateway stops, so that it is not taken for a client that left."""
    written: Callable[[Callable[[], None]], None] | None = None
    """Runs a function when the end of a recorded call is written: until then its client must not take it for ended."""


Clock = Callable[[], float]
"""Answers in seconds: of the monotonic clock unless it is called a wall clock."""
Check = Callable[[Call], CallError | None]
"""A look at a call at the door. Answers an error to refuse it, and takes nothing that would have to come back."""
Handler = Callable[[Call, Reply], Awaitable[None]]
Layer = Callable[[Handler], Handler]
