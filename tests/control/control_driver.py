"""Drives the control plane by ASGI as a server would, over a real database."""

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.types import Send

from aibridge.control.app import Dependencies, create_app
from aibridge.store.database import Database
from aibridge.store.snapshot import snapshot

NOW = 1_790_000_000


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    """Those that stand there several times, joined by a line break."""
    body: bytes
    raised: Exception | None
    """What the application raised after it had answered: a server logs it with its stack."""

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def fields(self) -> list[str]:
        """The fields that are wrong, by the answer."""
        return [validation["field"] for validation in self.json["validations"]]


class Control:
    """The application, and what it was composed of."""

    def __init__(self, database: Database, *, world: type[Dependencies] = Dependencies, **dependencies: Any) -> None:
        self.now = float(NOW)
        given: dict[str, Any] = {
            "database": database,
            "snapshot": lambda: snapshot(database),
            "ready": lambda: (True, {}),
            "clock": lambda: self.now,
            "external_url": lambda: "https://ai.example.com",
        }
        self._app = create_app(world(**given | dependencies))

    def call(
        self, target: str, token: str | None = None, *, method: str = "GET", body: object = None, **headers: str
    ) -> Answer:
        """Call a path with its query, a token going into `Authorization` and `x_y=` into the header `x-y`.

        A body is written as JSON, unless it is bytes. A stream is left at its first event.
        """
        return asyncio.run(self.called(target, token, method=method, body=body, **headers))

    async def called(
        self, target: str, token: str | None = None, *, method: str = "GET", body: object = None, **headers: str
    ) -> Answer:
        """The same, within an event loop."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if token is not None:
            named.append(("authorization", f"Bearer {token}"))
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return await self.sent(method, target, [(a.encode(), b.encode()) for a, b in named], content)

    async def sent(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[bytes, bytes]],
        content: bytes = b"",
        *,
        send: Send | None = None,
    ) -> Answer:
        """Send headers as they are. `send` is told of each message of the answer, and a stream goes on to its end."""
        path, _, query = target.partition("?")
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "server": ("127.0.0.1", 4001),
            "client": ("127.0.0.1", 50000),
        }
        messages: list[MutableMapping[str, Any]] = []
        coming = iter([{"type": "http.request", "body": content, "more_body": False}])
        answered = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            message = next(coming, None)
            if message is None:
                await answered.wait()
                return {"type": "http.disconnect"}
            return message

        async def receiving(message: MutableMapping[str, Any]) -> None:
            messages.append(message)
            if send is not None:
                await send(message)
            elif message.get("body") and endless(messages[0]):
                answered.set()

        raised = None
        try:
            await self._app(scope, receive, receiving)
        except Exception as error:
            if not messages:
                raise
            raised = error
        start, *rest = messages
        answer_headers: dict[str, str] = {}
        for name, value in start["headers"]:
            before = answer_headers.get(name.decode())
            answer_headers[name.decode()] = value.decode() if before is None else f"{before}\n{value.decode()}"
        return Answer(start["status"], answer_headers, b"".join(message.get("body", b"") for message in rest), raised)


def endless(start: MutableMapping[str, Any]) -> bool:
    """Whether an answer has no end of its own: a client reads some of it and leaves."""
    return any(value.startswith(b"text/event-stream") for name, value in start["headers"] if name == b"content-type")


def raising(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail
