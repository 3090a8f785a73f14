"""Answer with a stream of events, and keep it alive."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Send

from aibridge.contract.errors import ErrorBody
from aibridge.contract.roles import encode_hook
from aibridge.contract.serversentevents import HEARTBEAT, MEDIA_TYPE, PING, Event, EventType, encode
from aibridge.domain.errors import CallError

_LOG = logging.getLogger(__name__)

_HEADERS: Final = {
    "cache-control": "no-cache",
    "connection": "keep-alive",
    # nginx would collect events until its buffer is full.
    "x-accel-buffering": "no",
}


class EventStream(StreamingResponse):
    """Sends each value as an event with its JSON, and a ping every `heartbeat` seconds.

    The next value is not asked for before the one before it is sent, but for one that waits. An exception becomes an
    event of the type error, the last one. When the client leaves, `values` is cancelled where it waits, so its
    `finally` runs.
    """

    def __init__(
        self,
        values: AsyncGenerator[object, None],
        *,
        heartbeat: float = HEARTBEAT,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._frames = _frames(values, heartbeat, sleep)
        super().__init__(self._frames, headers=_HEADERS, media_type=MEDIA_TYPE)

    async def stream_response(self, send: Send) -> None:
        """Send all of it. However that ends, nothing is left running."""
        async with aclosing(self._frames):
            await super().stream_response(send)


async def _frames(
    values: AsyncGenerator[object, None], heartbeat: float, sleep: Callable[[float], Awaitable[object]]
) -> AsyncGenerator[bytes, None]:
    ready: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
    tasks = [asyncio.create_task(_tell(values, ready)), asyncio.create_task(_beat(ready, heartbeat, sleep))]
    try:
        while (frame := await ready.get()) is not None:
            yield frame
    finally:
        for task in tasks:
            task.cancel()


async def _tell(values: AsyncGenerator[object, None], ready: asyncio.Queue[bytes | None]) -> None:
    """Put the frames of all values into the queue, and None at the end."""
    try:
        async with aclosing(values):
            async for value in values:
                await ready.put(encode(Event(EventType.DATA, msgspec.json.encode(value, enc_hook=encode_hook))))
    except CallError as error:
        await ready.put(_error(ErrorBody(message=error.message, detail=error.detail)))
    except Exception:  # noqa: BLE001 - whatever it is, the client is told, and the log
        _LOG.exception("a stream of events ends with an error")
        await ready.put(_error(ErrorBody(message="Internal error.", detail="The cause is in the server's log.")))
    await ready.put(None)


async def _beat(
    ready: asyncio.Queue[bytes | None], heartbeat: float, sleep: Callable[[float], Awaitable[object]]
) -> None:
    while True:
        await sleep(heartbeat)
        await ready.put(encode(PING))


def _error(body: ErrorBody) -> bytes:
    return encode(Event(EventType.ERROR, msgspec.json.encode(body)))
