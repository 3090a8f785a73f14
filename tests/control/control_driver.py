"""Drives the control plane by ASGI as a server would, over a real database."""

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from aibridge.control.app import Dependencies, create_app
from aibridge.store import tokens
from aibridge.store.database import Database

NOW = 1_790_000_000


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes
    raised: Exception | None
    """What the application raised after it had answered: a server logs it with its stack."""

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Control:
    """The application, and what it was composed of."""

    def __init__(self, database: Database, **dependencies: Any) -> None:
        self.now = float(NOW)
        given: dict[str, Any] = {
            "database": database,
            "snapshot": lambda: tokens.snapshot(database),
            "ready": lambda: (True, {}),
            "clock": lambda: self.now,
            "external_url": lambda: "https://ai.example.com",
        }
        self._app = create_app(Dependencies(**given | dependencies))

    def call(self, target: str, token: str | None = None, *, method: str = "GET", **headers: str) -> Answer:
        """Call a path with its query, a token going into `Authorization` and `x_y=` into the header `x-y`."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if token is not None:
            named.append(("authorization", f"Bearer {token}"))
        return asyncio.run(self._call(method, target, [(a.encode(), b.encode()) for a, b in named]))

    async def _call(self, method: str, target: str, headers: Sequence[tuple[bytes, bytes]]) -> Answer:
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
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        raised = None
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if not sent:
                raise
            raised = error
        start, *rest = sent
        answer_headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], answer_headers, b"".join(message.get("body", b"") for message in rest), raised)


def raising(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail
