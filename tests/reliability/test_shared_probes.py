"""Half-open over several processes: together as many probes as one process would make, and none that wedges it."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from math import inf
from pathlib import Path
from typing import Self

import pytest
import uvloop
from clients.running import PATIENCE, eventually
from conftest import Told
from layer_cases import a_call, a_reply
from server.asking import CHAT, ask
from server.crews import kill, workers_of
from server.life import Server, provided_by, serving
from threaded import ThreadedProvider, read_request
from valkey_server import ValkeyServer, be_patient, running, until

from aibridge.domain.errors import CircuitOpen, UpstreamBroke
from aibridge.gateway.call import Call
from aibridge.gateway.guard import guard
from aibridge.gateway.guards import CENTRAL, Guards
from aibridge.gateway.reply import Reply
from aibridge.limits.counts import Counts
from aibridge.limits.host import HostCounts
from aibridge.limits.host_service import HostService
from aibridge.limits.redis import LEASE, Redis
from aibridge.overload.breaker import Breaker, BreakerRule, State
from aibridge.wire.dialect import View

WORKERS = 4
CALLERS = 10 * WORKERS
PLACES = 3
BREAK = 0.3
BACK_WITHIN = 2.0
NAME = f"openai:{CENTRAL}:*"
REFUSED = 503


class Provider(ThreadedProvider):
    """Answers 500 while it is ill, and otherwise when it is told to; knows how many of those calls wait at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.ill = True
        self.arrived = self.waiting = 0
        self._released = asyncio.Event()

    def answer(self) -> None:
        """Answer all calls from now on."""
        self.loop.call_soon_threadsafe(self._released.set)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call."""
        await read_request(reader)
        status = b"500 Ill" if self.ill else b"200 OK"
        if not self.ill:
            self.arrived += 1
            await self._wait(reader)
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" % status)

    async def _wait(self, reader: asyncio.StreamReader) -> None:
        """Wait until all are answered, or this one hangs up."""
        self.waiting += 1
        waits = [asyncio.create_task(self._released.wait()), asyncio.create_task(reader.read(1))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self.waiting -= 1


class Callers:
    """So many who never stop asking, each time on a new connection, so that each asks every worker."""

    def __init__(self, server: Server, number: int) -> None:
        self.statuses: list[int] = []
        self._server = server
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _call(self) -> None:
        while not self._ending.is_set():
            with suppress(OSError):
                self.statuses.append(ask(self._server.url, CHAT, token=self._server.token, model="m").status)
                time.sleep(0.05)


def test_workers_make_as_many_probes_as_one_process_and_close_together(tmp_path: Path, scorecard: Told) -> None:
    flags = ["--aibridge-circuit-breaker-enabled", "--aibridge-circuit-breaker-failure-threshold", "1"]
    flags += ["--aibridge-circuit-breaker-timeout", "1s", "--workers", str(WORKERS)]
    with (
        Provider().serving() as provider,
        serving(tmp_path / "data", *provided_by(provider.url), *flags) as server,
    ):
        assert ask(server.url, CHAT, token=server.token, model="m").status == 500
        time.sleep(0.5)  # all workers have heard of it before anybody calls
        provider.ill = False
        with Callers(server, CALLERS) as callers:
            eventually(lambda: provider.arrived >= PLACES, "probes")
            time.sleep(0.3)
            reached = provider.arrived
            back = seconds_without_one(provider, workers_of(server))
            eventually(lambda: server.metric("workers") == WORKERS, "workers that all serve")
            time.sleep(0.3)
            again = provider.waiting
            provider.answer()
            eventually(lambda: callers.statuses[-CALLERS:] == [200] * CALLERS, "a breaker that is closed everywhere")

    scorecard(19, f"{WORKERS} workers, {CALLERS} callers at a half-open breaker: {reached} probes (= {PLACES})")
    scorecard(20, f"kill -9 of a worker with a probe out: the next after {back:.2f} s (<= {BACK_WITHIN:g} s)")
    assert reached == again == PLACES
    assert back <= BACK_WITHIN


def seconds_without_one(provider: Provider, workers: list[int]) -> float:
    """Kill workers until one had a probe out, and tell after how many seconds another took its place."""
    reached = provider.arrived
    for pid in workers:
        kill(pid)
        since = time.monotonic()
        while time.monotonic() - since < BACK_WITHIN:
            if provider.arrived > reached:
                return time.monotonic() - since
            time.sleep(0.01)
    return inf


@pytest.fixture
def valkey(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A server that is waited for on a busy machine, too."""
    be_patient(monkeypatch)
    with running() as server:
        yield server


class Upstream:
    """What answers the calls of all replicas, when it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.ill = False
        self.answers = asyncio.Event()

    async def handle(self, _: Call, reply: Reply) -> None:
        self.calls += 1
        if self.ill:
            raise UpstreamBroke("x")
        await self.answers.wait()
        reply.begin(200, b"", chunked=False, streaming=False)


class Replica:
    """A gateway's guard over shared counts."""

    def __init__(self, counts: Counts, rule: BreakerRule, upstream: Upstream) -> None:
        self.counts = counts
        self.guards = Guards(["openai"], (), rule=rule, adaptive=None, shared=counts, clock=time.monotonic)
        counts.listen(self.guards.heard)
        self._guarded = guard(self.guards, time.monotonic)(upstream.handle)

    async def call(self) -> str:
        call = a_call()
        call.view = View(model="m")
        try:
            await self._guarded(call, a_reply()[0])
        except CircuitOpen:
            return "refused"
        except UpstreamBroke:
            return "broke"
        return "served"

    @property
    def breaker(self) -> Breaker:
        breaker = next(place.breaker for place in self.guards.places if place.name == NAME)
        assert breaker is not None
        return breaker

    @property
    def state(self) -> State:
        return self.breaker.state(time.monotonic())

    def vanish(self) -> None:
        """End without a word."""
        assert isinstance(self.counts, Redis)
        self.counts._exchange._talk.cancel()


RULE = BreakerRule(failure_threshold=1, timeout=BREAK, max_requests=PLACES)


@asynccontextmanager
async def replicas(
    server: ValkeyServer, upstream: Upstream, number: int, *, rule: BreakerRule = RULE, lease: float = LEASE
) -> AsyncIterator[list[Replica]]:
    counts = [await Redis.connect(server.url, (), lease=lease) for _ in range(number)]
    try:
        yield [Replica(one, rule, upstream) for one in counts]
    finally:
        upstream.answers.set()
        for one in counts:
            await one.close()


@asynccontextmanager
async def hosts_of_workers(
    server: ValkeyServer, upstream: Upstream, hosts: int, workers: int
) -> AsyncIterator[list[Replica]]:
    """Workers that ask their supervisors, who ask the server."""
    counts = [await Redis.connect(server.url, ()) for _ in range(hosts)]
    asking: list[HostCounts] = []
    for one in counts:
        service = HostService(one, ())
        for _ in range(workers):
            ours, theirs = socket.socketpair()
            await service.serve(ours)
            asking.append(await HostCounts.connect(theirs))
    try:
        yield [Replica(one, RULE, upstream) for one in asking]
    finally:
        upstream.answers.set()
        for worker in asking:
            await worker.close()
        for one in counts:
            await one.close()


async def all_half_open(made: list[Replica], upstream: Upstream) -> None:
    """Have the upstream fail once, and wait until the break is over everywhere."""
    upstream.ill = True
    assert await made[0].call() == "broke"
    upstream.ill = False
    upstream.calls = 0
    await until(lambda: all(replica.state is not State.CLOSED for replica in made), within=1.5)
    await until(lambda: all(replica.state is State.HALF_OPEN for replica in made), within=1.5)


def crowd(made: list[Replica], number: int = 20) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(replica.call()) for _ in range(number) for replica in made]


@pytest.mark.parametrize("kind", ["3 replicas", "2 hosts of 2 workers"])
def test_replicas_make_as_many_probes_as_one_process_and_close_together(
    valkey: ValkeyServer, scorecard: Told, kind: str
) -> None:
    async def scenario() -> tuple[int, float]:
        upstream = Upstream()
        sharing = replicas(valkey, upstream, 3) if "replicas" in kind else hosts_of_workers(valkey, upstream, 2, 2)
        async with sharing as made:
            await all_half_open(made, upstream)
            calls = crowd(made)
            await until(lambda: sum(call.done() for call in calls) == len(calls) - PLACES, within=2.0)
            reached = upstream.calls
            upstream.answers.set()
            results = await asyncio.gather(*calls)
            assert results.count("served") == PLACES
            assert results.count("refused") == len(calls) - PLACES
            assert sum(replica.breaker.rejections for replica in made) == len(calls) - PLACES
            closed = await until(lambda: all(replica.state is State.CLOSED for replica in made), within=2.0)
            return reached, closed

    reached, closed = uvloop.run(scenario())
    scorecard(
        19, f"{kind}, 20 callers each, at a half-open breaker: {reached} probes (= {PLACES}), closed in {closed:.2f} s"
    )
    assert reached == PLACES
    assert closed <= 1.0


def test_successes_of_different_replicas_close_it_in_those_without_any(valkey: ValkeyServer) -> None:
    async def scenario() -> None:
        upstream = Upstream()
        upstream.answers.set()
        async with replicas(valkey, upstream, 4) as made:
            await all_half_open(made, upstream)
            for replica in made[:3]:
                assert made[3].state is State.HALF_OPEN
                assert await replica.call() == "served"
            await until(lambda: all(replica.state is State.CLOSED for replica in made), within=1.5)

    uvloop.run(scenario())


def test_a_trip_on_one_gateway_stops_the_calls_of_another(valkey: ValkeyServer, scorecard: Told) -> None:
    async def scenario() -> float:
        upstream = Upstream()
        rule = BreakerRule(failure_threshold=1, max_requests=PLACES)
        async with replicas(valkey, upstream, 2, rule=rule) as (here, there):
            upstream.ill = True
            assert await here.call() == "broke"
            upstream.ill = False
            upstream.answers.set()
            since = time.monotonic()
            while await there.call() == "served":  # noqa: ASYNC110 (a caller who asks again and again)
                await asyncio.sleep(0.005)
            return time.monotonic() - since

    stopped = uvloop.run(scenario())
    scorecard(22, f"a trip on gateway A: B's calls are refused after {stopped:.2f} s (<= 1 s)")
    assert stopped <= 1.0


def test_a_probe_that_fails_opens_it_for_the_others_and_late_results_have_no_say(valkey: ValkeyServer) -> None:
    async def scenario() -> None:
        upstream = Upstream()
        async with replicas(valkey, upstream, 2) as (here, there):
            await all_half_open([here, there], upstream)
            late = [asyncio.create_task(there.call()) for _ in range(PLACES - 1)]
            await until(lambda: upstream.calls == PLACES - 1, within=1.0)
            await all_half_open([here, there], upstream)
            assert here.breaker.trips == 2
            upstream.answers.set()
            assert await asyncio.gather(*late) == ["served"] * 2
            assert await here.call() == "served"
            await asyncio.sleep(0.6)  # by then everybody has heard whatever there is to hear
            assert here.state is there.state is State.HALF_OPEN

    uvloop.run(scenario())


def test_the_places_of_a_replica_that_vanished_or_whose_probes_hang_come_back(
    valkey: ValkeyServer, scorecard: Told
) -> None:
    async def next_probe(replica: Replica, upstream: Upstream) -> float:
        calls, reached = list[asyncio.Task[str]](), upstream.calls
        since = time.monotonic()
        while upstream.calls == reached:
            calls.append(asyncio.create_task(replica.call()))
            await asyncio.sleep(0.01)
        return time.monotonic() - since

    async def scenario(rule: BreakerRule, lease: float, *, vanishing: bool) -> float:
        upstream = Upstream()
        async with replicas(valkey, upstream, 2, rule=rule, lease=lease) as (here, there):
            await all_half_open([here, there], upstream)
            hung = crowd([there], PLACES)
            await until(lambda: upstream.calls == PLACES, within=1.0)
            if vanishing:
                there.vanish()
            waited = await next_probe(here, upstream)
            upstream.answers.set()
            await asyncio.gather(*hung)
            return waited

    vanished = uvloop.run(scenario(RULE, 0.8, vanishing=True))
    valkey.say("FLUSHALL")
    patient = BreakerRule(failure_threshold=1, timeout=BREAK, max_requests=PLACES, lease=0.8)
    hung = uvloop.run(scenario(patient, LEASE, vanishing=False))
    scorecard(
        20, f"a replica that vanished (lease 0.8 s): the next probe of another after {vanished:.2f} s (<= lease + 1 s)"
    )
    scorecard(
        20, f"probes of a replica that hang (lease 0.8 s): the next of another after {hung:.2f} s (<= lease + 1 s)"
    )
    assert vanished <= 1.8
    assert hung <= 1.8


def test_without_the_server_each_replica_probes_for_itself_and_its_breaker_closes(
    valkey: ValkeyServer, scorecard: Told
) -> None:
    async def scenario() -> None:
        upstream = Upstream()
        async with replicas(valkey, upstream, 2) as made:
            await all_half_open(made, upstream)
            valkey.stop()
            calls = crowd(made)
            await until(lambda: sum(call.done() for call in calls) == len(calls) - 2 * PLACES, within=2.0)
            upstream.answers.set()
            assert (await asyncio.gather(*calls)).count("served") == 2 * PLACES
            assert {replica.state for replica in made} == {State.CLOSED}

    uvloop.run(scenario())
    scorecard(22, "without the server: half-open breakers close by the probes of their own process")


@pytest.mark.parametrize("kind", ["2 replicas", "2 hosts of a worker each"])
def test_a_break_that_is_over_before_the_server_is_back_opens_no_breaker(valkey: ValkeyServer, kind: str) -> None:
    async def scenario() -> None:
        upstream = Upstream()
        upstream.answers.set()
        sharing = replicas(valkey, upstream, 2) if "replicas" in kind else hosts_of_workers(valkey, upstream, 2, 1)
        async with sharing as (here, there):
            valkey.stop()
            await asyncio.sleep(0.6)  # by then everybody has noticed
            upstream.ill = True
            assert await here.call() == "broke"
            upstream.ill = False
            await until(lambda: here.state is State.HALF_OPEN, within=2.0)
            assert [await here.call() for _ in range(PLACES)] == ["served"] * PLACES
            assert here.state is there.state is State.CLOSED
            valkey.start()
            await until(lambda: valkey.say("EXISTS", "{aibridge}:breakers:news") == b":1\r\n", within=2.0)
            await asyncio.sleep(0.6)  # by then everybody has heard whatever there is to hear
            assert here.state is there.state is State.CLOSED

    uvloop.run(scenario())
