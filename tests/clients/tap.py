"""A wire tap between a client and the gateway: what was asked and answered, and when, for clients that do not tell."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_METHODS = (b"GET ", b"POST ", b"HEAD ")
_READ = 1 << 16


@dataclass(kw_only=True)
class Exchange:
    """A request and its answer. Instants are seconds of the monotonic clock, and those of the first bytes."""

    method: str
    path: str
    asked_at: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answered_at: float = 0.0

    @property
    def wait(self) -> float:
        """The seconds after which the client was told to come back; the exact ones, where they are there."""
        assert 1 <= int(self.headers["retry-after"]) <= 60
        exact = self.headers.get("retry-after-ms")
        return float(self.headers["retry-after"]) if exact is None else int(exact) / 1000


@dataclass(frozen=True, kw_only=True)
class Tap:
    """Where the tap listens, and what it saw, in the order of the requests."""

    url: str
    exchanges: list[Exchange] = field(default_factory=list)

    def calls(self) -> list[Exchange]:
        """The calls of models that were answered."""
        return [exchange for exchange in self.exchanges if exchange.method == "POST" and exchange.status]

    def statuses(self) -> list[int]:
        """How the calls of models were answered."""
        return [exchange.status for exchange in self.calls()]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def tapped(url: str) -> Iterator[Tap]:
    """Listen on a free port, pass every byte on to `url`, and note the heads of what passes."""
    where = urlsplit(url)
    exchanges: list[Exchange] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((where.hostname or "", where.port or 80)) as gateway:
                mine: list[Exchange] = []
                answers = threading.Thread(target=_pass, args=(gateway, self.request, lambda part: _note(mine, part)))
                answers.start()
                _pass(self.request, gateway, lambda part: _open(mine, exchanges, part))
                answers.join()

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Tap(url=f"http://127.0.0.1:{server.server_address[1]}", exchanges=exchanges)
        finally:
            server.shutdown()
            thread.join()


def _pass(source: socket.socket, sink: socket.socket, note: Callable[[bytes], None]) -> None:
    """Pass bytes on until there are no more, and then their end."""
    try:
        while part := source.recv(_READ):
            note(part)
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # one side is gone, so the other may go, too
        for end in (source, sink):
            end.close()


def _open(mine: list[Exchange], exchanges: list[Exchange], part: bytes) -> None:
    """Begin an exchange where a request begins: clients send the head of one in a write of its own, or at its start."""
    if part.startswith(_METHODS):
        method, path, _ = part.split(b"\r\n", 1)[0].decode().split(" ")
        exchange = Exchange(method=method, path=path, asked_at=time.monotonic())
        mine.append(exchange)
        exchanges.append(exchange)


def _note(mine: list[Exchange], part: bytes) -> None:
    """Complete an exchange where an answer begins: the gateway sends a head and what follows in one write."""
    if part.startswith(b"HTTP/1.1 ") and mine:
        status, *lines = part.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        exchange = mine[-1]
        exchange.answered_at = time.monotonic()
        exchange.status = int(status.split(" ")[1])
        exchange.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
