"""Limits over the workers of one host: as exact as those of one process, and not held by the dead."""

import asyncio
import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest
from clients.running import PATIENCE, eventually
from conftest import Told
from server.asking import CHAT, Answering, ask, asked, connection_to
from server.crews import kill, workers_of
from server.life import Server, demo_provider, provided_by, serving
from threaded import ThreadedProvider, read_request

WORKERS = 4
AT_ONCE = 8
CALLERS = 5 * AT_ONCE
RATE = 40
"""Calls a second."""
SECONDS = 5
MOST_TRIES = 3
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


class Upstream(ThreadedProvider):
    """A provider that works on each call for a while, and knows how many it works on at one time.

    A call is counted out before it is answered, so that one which the answer sets free is never counted beside it.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.at_once = self.most = 0
        self._seconds = seconds

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call after another."""
        while True:
            await read_request(reader)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await asyncio.sleep(self._seconds)
            self.at_once -= 1
            writer.write(ANSWER)


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


def test_the_rate_upstream_is_the_rate_that_is_allowed(tmp_path: Path, scorecard: Told) -> None:
    """Never more than that, in any try; no less in one, since callers that the machine makes late leave some unused."""
    shares = [_share_of_rate(tmp_path / "1")]
    while shares[-1] < 0.99 and len(shares) < MOST_TRIES:
        shares.append(_share_of_rate(tmp_path / str(len(shares) + 1)))

    tried = ", ".join(f"{share:.1%}" for share in shares)
    scorecard(13, f"{WORKERS} workers, {RATE} calls/s: {tried} of {RATE * SECONDS} in {SECONDS} s (100 % +-1 %)")
    assert max(shares) <= 1.01
    assert shares[-1] >= 0.99


def _share_of_rate(place: Path) -> float:
    """What arrived upstream of what is allowed.

    All that a second allows comes at its beginning, so the seconds are counted from half a second after the first call:
    a few milliseconds on the way move no call from one into another.
    """
    place.mkdir()
    with (
        demo_provider() as provider,
        crew(place, provider, "--aibridge-rate-limit", str(RATE)) as server,
        Load(server.url, server.token, "demo", 5 * WORKERS, 0.02),
    ):
        eventually(lambda: bool(ask(provider, "/demo/calls").json), "a first call")
        time.sleep(SECONDS + 1.0)
        arrived: list[float] = [call["received_at"] / 1e6 for call in ask(provider, "/demo/calls").json]
    since = min(arrived) + 0.5
    return sum(since <= at < since + SECONDS for at in arrived) / (RATE * SECONDS)


def test_a_killed_workers_permits_are_back_and_it_is_replaced(tmp_path: Path, provider: str, scorecard: Told) -> None:
    with (
        crew(tmp_path, provider, "--aibridge-max-concurrency", str(AT_ONCE)) as server,
        ExitStack() as connections,
    ):
        streams = [stream for _ in range(AT_ONCE) if (stream := _stream(server, connections)) is not None]
        one_more = _stream(server, connections)
        workers = [_worker_of(stream, server) for stream in streams]
        killed = dict(Counter(workers).most_common(2))
        held = sum(killed.values())
        since = time.monotonic()
        for pid in killed:
            kill(pid)
        again = 0
        while again < held and time.monotonic() - since < PATIENCE:
            again += _stream(server, connections) is not None
        back = time.monotonic() - since
        too_many = _stream(server, connections)
        cut = [stream.answering.rest() for stream, pid in zip(streams, workers, strict=True) if pid in killed]
        eventually(lambda: _serving(server) == WORKERS, "workers that all serve")
        replaced = time.monotonic() - since

    scorecard(
        13,
        f"kill -9 of {len(killed)} workers with {held} permits: back after {back:.2f} s (<= {BACK_WITHIN:g} s), "
        f"all replaced after {replaced:.1f} s",
    )
    assert (len(streams), one_more) == (AT_ONCE, None)
    assert (again, too_many) == (held, None)
    assert not any(answer.whole for answer in cut)
    assert back <= BACK_WITHIN


@dataclass(slots=True, frozen=True)
class Stream:
    """A call that does not end, and the port that it is made from."""

    answering: Answering
    port: int


def _stream(server: Server, connections: ExitStack) -> Stream | None:
    """A call that does not end, if it is let in."""
    connection = connections.enter_context(closing(connection_to(server.url)))
    try:
        connection.connect()
        port = connection.sock.getsockname()[1]
        answering = asked(connection, CHAT, token=server.token, model=ENDLESS, stream=True)
    except (OSError, http.client.HTTPException):  # it was a dying worker's
        return None
    return Stream(answering, port) if answering.status == 200 else None


def _worker_of(stream: Stream, server: Server) -> int:
    """The process id of the worker that has the other end of a stream's connection."""
    ports = [f"{port:04X}" for port in (urlsplit(server.url).port, stream.port)]
    connections = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    inode = next(told[9] for told in connections if [end.rpartition(":")[2] for end in told[1:3]] == ports)
    return next(pid for pid in workers_of(server) if f"socket:[{inode}]" in _open_files(pid))


def _open_files(pid: int) -> set[str]:
    return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}


def _serving(server: Server) -> float:
    try:
        return server.metric("workers")
    except OSError:
        return 0.0
