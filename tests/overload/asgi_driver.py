"""The smallest ASGI server: one call to an application, and its answer."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aibridge.overload.asgi import App, Message, Receive, Scope, Send


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def no_luck() -> float:
    """Adds no jitter, so that a hint can be compared with the wait."""
    return 0.0


@dataclass
class Answer:
    """What the application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: App,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    query: bytes = b"",
    client: tuple[str, int] | None = ("192.0.2.1", 4711),
) -> Answer:
    """Send one request without a body and collect the answer."""
    answer = Answer()

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message["body"]

    scope = {"type": "http", "method": "POST", "headers": list(headers), "query_string": query, "client": client}
    await app(scope, receive, send)
    return answer


async def statuses(app: App, count: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> list[int]:
    """The statuses of so many calls, one after another."""
    return [(await call(app, headers)).status for _ in range(count)]


async def hello(_: Scope, receive: Receive, send: Send) -> None:
    """An application that answers at once."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Stream:
    """An application that sends its head and first chunk, then holds the stream until it is let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self._reached = asyncio.Semaphore(0)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        self._reached.release()
        await self.gate.wait()
        await send({"type": "http.response.body", "body": b"last", "more_body": False})

    async def reached_by(self, count: int) -> None:
        """Wait until so many more calls are in the middle of their stream."""
        for _ in range(count):
            await self._reached.acquire()
