"""A server for clients to ask: it answers what a test says, and remembers what it was asked. And how tests ask."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON = "application/json"

Ask = Callable[..., Any]
"""Gives a client to a function, and what comes of it back; the function's own awaitable is awaited."""


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer. Without a status the connection is closed, as if the server died."""

    status: int | None = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": JSON})


class Server:
    """Where it is, what to answer next, and what it was asked so far."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.asked: list[Asked] = []
        self.otherwise: Callable[[Asked], Answer] = lambda _: Answer()
        self.url = ""

    @property
    def only(self) -> Asked:
        (only,) = self.asked
        return only

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return self.answers.popleft() if self.answers else self.otherwise(asked)


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a port that is free."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = server.answer(Asked(self.command, self.path, headers, self._body(headers)))
            if answer.status is None:
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def _body(self, headers: dict[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


class Slept:
    """Waits for nothing, and remembers for how long. Both a coroutine's and a thread's way to wait."""

    def __init__(self, flavour: str) -> None:
        self.waits: list[float] = []
        self.sleep = self._soon if flavour == "asyncio" else self.waits.append

    async def _soon(self, seconds: float) -> None:
        self.waits.append(seconds)
