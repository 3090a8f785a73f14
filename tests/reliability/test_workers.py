"""Limits over the workers of one host: as exact as those of one process, and not held by the dead."""

import asyncio
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from clients.running import PATIENCE, eventually
from conftest import Told
from server.asking import CHAT, Answering, ask, asked, connection_to
from server.crews import kill, workers_of
from server.life import Server, demo_provider, provided_by, serving

WORKERS = 4
AT_ONCE = 8
CALLERS = 5 * AT_ONCE
RATE = 40
"""Calls a second."""
SECONDS = 5
BACK_WITHIN = 2.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
ENDLESS = "demo?tokens=9000&rate=50"


@dataclass
class Load:
    """Callers that never stop asking, each on a connection of its own, until the block ends."""

    url: str
    token: str
    model: str
    callers: int
    pause: float
    """Seconds that a refused caller waits: far less than it is told."""
    statuses: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _call(self) -> None:
        while not self._ending.is_set():
            with suppress(OSError, http.client.HTTPException), closing(connection_to(self.url)) as connection:
                for _ in range(10):  # then another worker's turn
                    if self._ending.is_set():
                        return
                    status = asked(connection, CHAT, token=self.token, model=self.model).rest().status
                    self.statuses.append(status)
                    if status != 200:
                        time.sleep(self.pause)


class Upstream:
    """A provider that works on each call for a while, and knows how many it works on at one time.

    A call is counted out before it is answered, so that one which the answer sets free is never counted beside it.
    """

    def __init__(self, seconds: float) -> None:
        self.at_once = self.most = 0
        self.url = ""
        self._seconds = seconds

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Serve on a thread of its own while the block lasts."""
        listening, self._ending = threading.Event(), asyncio.Event()
        thread = threading.Thread(target=asyncio.run, args=(self._serve(listening),))
        thread.start()
        listening.wait(PATIENCE)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._ending.set)
            thread.join(PATIENCE)

    async def _serve(self, listening: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        listening.set()
        await self._ending.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                self.at_once += 1
                self.most = max(self.most, self.at_once)
                await asyncio.sleep(self._seconds)
                self.at_once -= 1
                writer.write(ANSWER)
        writer.close()


@pytest.fixture
def provider() -> Iterator[str]:
    with demo_provider() as url:
        yield url


@contextmanager
def crew(place: Path, provider: str, *flags: str) -> Iterator[Server]:
    """A server with workers before a provider."""
    with serving(place / "data", *provided_by(provider), "--workers", str(WORKERS), *flags) as server:
        yield server


def test_no_more_is_in_flight_upstream_than_is_allowed(tmp_path: Path, scorecard: Told) -> None:
    with (
        Upstream(0.1).serving() as upstream,
        crew(tmp_path, upstream.url, "--aibridge-max-concurrency", str(AT_ONCE)) as server,
    ):
        with Load(server.url, server.token, "demo", CALLERS, 0.02) as load:
            time.sleep(SECONDS)
        assert server.stop() == 0
    served, refused = load.statuses.count(200), load.statuses.count(503)

    scorecard(
        13,
        f"{WORKERS} workers, {CALLERS} callers, {AT_ONCE} at once: {upstream.most} at most upstream (<= {AT_ONCE}); "
        f"{served} served, {refused} refused",
    )
    assert upstream.most == AT_ONCE
    assert refused > served
    assert served + refused == len(load.statuses)


def test_the_rate_upstream_is_the_rate_that_is_allowed(tmp_path: Path, provider: str, scorecard: Told) -> None:
    with (
        crew(tmp_path, provider, "--aibridge-rate-limit", str(RATE)) as server,
        Load(server.url, server.token, "demo", 5 * WORKERS, 0.02),
    ):
        time.sleep(SECONDS + 1.5)
    arrived = sorted(call["received_at"] for call in ask(provider, "/demo/calls").json)
    count = sum(at - arrived[0] < SECONDS * 1e6 for at in arrived)
    share = count / (RATE * SECONDS)

    scorecard(13, f"{WORKERS} workers, {RATE} calls/s: {count} in {SECONDS} s, {share:.1%} (100 % +-1 %)")
    assert 0.95 <= share <= 1.01  # never more; less where the machine does other things


def test_a_killed_workers_permits_are_back_and_it_is_replaced(tmp_path: Path, provider: str, scorecard: Told) -> None:
    with (
        crew(tmp_path, provider, "--aibridge-max-concurrency", str(AT_ONCE)) as server,
        ExitStack() as connections,
    ):
        streams = [stream for _ in range(AT_ONCE) if (stream := _stream(server, connections)) is not None]
        one_more = _stream(server, connections)
        since = time.monotonic()
        for pid in workers_of(server)[:2]:  # one alone might hold no permit
            kill(pid)
        cut = sum(_is_cut(stream) for stream in streams)
        again = 0
        while again < cut and time.monotonic() - since < PATIENCE:
            again += _stream(server, connections) is not None
        back = time.monotonic() - since
        too_many = _stream(server, connections)
        eventually(lambda: _serving(server) == WORKERS, "workers that all serve")
        replaced = time.monotonic() - since

    scorecard(
        13,
        f"kill -9 of 2 workers with {cut} permits: back after {back:.2f} s (<= {BACK_WITHIN:g} s), "
        f"both replaced after {replaced:.1f} s",
    )
    assert (len(streams), one_more) == (AT_ONCE, None)
    assert (again, too_many) == (cut, None)
    assert cut > 0
    assert back <= BACK_WITHIN


def _stream(server: Server, connections: ExitStack) -> Answering | None:
    """A call that does not end, if it is let in."""
    connection = connections.enter_context(closing(connection_to(server.url)))
    try:
        answering = asked(connection, CHAT, token=server.token, model=ENDLESS, stream=True)
    except (OSError, http.client.HTTPException):  # it was a dying worker's
        return None
    return answering if answering.status == 200 else None


def _is_cut(stream: Answering) -> bool:
    """Whether a stream has broken off: the others send a token every 20 ms."""
    try:
        return any(not stream.some() for _ in range(20))
    except (OSError, http.client.HTTPException):
        return True


def _serving(server: Server) -> float:
    try:
        return server.metric("workers")
    except OSError:
        return 0.0
