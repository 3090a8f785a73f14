"""A small HTTP/1.1 client that shows what was really on the wire, and a server to point it at."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop

from aibridge.demo import Behaviour, DemoServer, start

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
PATHS = (CHAT, RESPONSES, MESSAGES)
PLAIN = Behaviour()


class Reply(msgspec.Struct):
    """What came until the end of the answer or of the connection. `whole` tells whether the framing was complete."""

    raw: bytes
    reset: bool = False
    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    whole: bool = False

    def __post_init__(self) -> None:
        head, found, rest = self.raw.partition(b"\r\n\r\n")
        if not found or not head.startswith(b"HTTP/1.1 "):
            return
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if self.headers.get("transfer-encoding") == "chunked":
            self.body, self.whole = _dechunked(rest)
        elif "content-length" in self.headers:
            self.body, self.whole = rest, len(rest) == int(self.headers["content-length"])
        else:
            self.body, self.whole = rest, not self.reset

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The server-sent events: name (empty without one) and data, decoded unless it is `[DONE]`."""
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            data = fields["data"]
            found.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
        return found

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    @property
    def error(self) -> Any:
        return self.json["error"]


def _dechunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body, rest == b"\r\n"
        body, rest = body + rest[:length], rest[length + 2 :]
    return body, False


def request_bytes(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = {"host": "demo", "content-length": str(len(content))} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def asking(path: str, text: str = "Hello", model: str = "demo", **fields: Any) -> dict[str, Any]:
    """The body of a call that says `text`, in the protocol of `path`."""
    said = {"input": text} if path == RESPONSES else {"messages": [{"role": "user", "content": text}]}
    return {"model": model} | said | fields


def text_of(path: str, reply: Reply) -> str | None:
    """The text of an answer, None when it is a tool's call."""
    if path == CHAT:
        return reply.json["choices"][0]["message"]["content"]  # type: ignore[no-any-return]
    block = reply.json["content"][0] if path == MESSAGES else reply.json["output"][0].get("content", [{}])[0]
    return block.get("text")  # type: ignore[no-any-return]


async def send(
    server: DemoServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Reply:
    """Make one call on a connection of its own, and read until it closes."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(request_bytes(method, path, body, {"connection": "close"} | (headers or {})))
    raw, reset = b"", False
    try:
        while data := await reader.read(65536):
            raw += data
    except ConnectionResetError:
        reset = True
    writer.close()
    return Reply(raw=raw, reset=reset)


async def ask(server: DemoServer, path: str, text: str = "Hello", model: str = "demo", **fields: Any) -> Reply:
    return await send(server, "POST", path, asking(path, text, model, **fields))


async def calls(server: DemoServer) -> Any:
    return (await send(server, "GET", "/demo/calls")).json


async def stats(server: DemoServer) -> Any:
    return (await send(server, "GET", "/demo/stats")).json


async def until(server: DemoServer, holds: Callable[[Any], bool], of: Callable[[DemoServer], Awaitable[Any]]) -> Any:
    """Ask the server until something holds; `within` bounds it."""
    while not holds(seen := await of(server)):
        pass
    return seen


def within(test: Callable[[DemoServer], Awaitable[None]], behaviour: Behaviour = PLAIN, *, record: bool = True) -> None:
    """Run a test against a server of its own."""

    async def run() -> None:
        server = await start("127.0.0.1", 0, behaviour, record=record)
        try:
            await asyncio.wait_for(test(server), 10)
        finally:
            await server.close()

    uvloop.run(run())
