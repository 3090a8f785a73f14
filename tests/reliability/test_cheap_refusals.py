"""Refusing must be the cheapest thing a gateway does: its CPU, all threads and children, beside serving a call."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector, SelectorKey
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from clients.running import Running, running_server
from conftest import Told

from bench.processes import cpu_at_rest, cpu_seconds

pytestmark = pytest.mark.xdist_group("refusals")  # they share servers, and would disturb each other


class Load(NamedTuple):
    at_once: int
    calls: int
    before: int
    """Calls that are made first, and do not count."""


CALM, LOADED = Load(1, 600, 50), Load(32, 1500, 150)
TARGET, MOST = 0.25, 0.35
"""Of what a served call costs, and what it may be on a machine that does other things."""
LEAST_ROUNDS, ROUNDS, MOST_ROUNDS = 3, 5, 12
"""To look at, in which to see the target, and in which to see at least the other."""
LONGEST = 10.0
"""Milliseconds that 99 of a hundred refusals take at most."""
HELD_BY = 0.5
"""Seconds by which a call that was sent holds its permit."""
A_CALL = 1024
"""Tokens that a call is expected to use, and some for its body."""
BODY = b'{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'
LONG = BODY.replace(b"demo", b"demo?latency=600")
"""Of a call that takes ten minutes."""


def asking(token: str, body: bytes = BODY) -> bytes:
    lines = f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    return f"{lines}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def connected(server: Running) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port))


class Cost(NamedTuple):
    """Of a call: what it costs the server, and how long 99 of a hundred take at most."""

    cpu: float
    """Microseconds."""
    p99: float
    """Milliseconds."""


class Beside(NamedTuple):
    """A refusal beside the call that was served in the same round: the speed of a shared machine drifts by more."""

    refused: Cost
    served: Cost

    @property
    def share(self) -> float:
        """Of what the served call cost."""
        return self.refused.cpu / self.served.cpu


def little(rounds: Sequence[Beside], share: float) -> bool:
    """Whether a refusal costs no more than a share of a served call, in the middle of its rounds, and can be quick."""
    return median(one.share for one in rounds) <= share and min(one.refused.p99 for one in rounds) <= LONGEST


def cost(load: Load, server: Running, token: str, expected: Sequence[int], cpu: Callable[[int], float]) -> Cost:
    """What calls cost that are answered with an expected status, over connections that are kept.

    `cpu` tells what a process has used, as soon as all is done that these calls leave to be done.
    """
    sent = asking(token)
    with ExitStack() as connections, DefaultSelector() as selector:
        for _ in range(load.at_once):
            selector.register(connections.enter_context(connected(server)), EVENT_READ, bytearray())

        def call(times: int) -> tuple[Counter[int], list[float]]:
            """Ask again on each connection as soon as it was answered."""
            since = dict[int, float]()
            unsent, statuses, took = times, Counter[int](), list[float]()

            def ask(key: SelectorKey) -> None:
                since[key.fd] = perf_counter()
                key.fileobj.sendall(sent)  # type: ignore[union-attr]

            for key in [*selector.get_map().values()]:
                ask(key)
                unsent -= 1
            while len(took) < times:
                for key, _ in selector.select():
                    answer = key.data
                    answer += key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if whole(answer):
                        took.append(perf_counter() - since[key.fd])
                        statuses[int(answer[9:12])] += 1
                        answer.clear()
                        if unsent:
                            ask(key)
                            unsent -= 1
            return statuses, took

        call(load.before)
        began = cpu(server.process.pid)
        statuses, took = call(load.calls)
        used = cpu(server.process.pid) - began
    assert sum(statuses[status] for status in expected) > load.calls * 0.99, statuses
    return Cost(used / load.calls * 1e6, quantiles(took, n=100)[-1] * 1000)


def whole(answer: bytes) -> bool:
    """Whether all of an answer is here."""
    assert answer, "the server closed a connection"
    fields, _, body = answer.lower().partition(b"\r\n\r\n")
    length = fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return bool(length) and len(body) >= int(length)


@contextmanager
def gateway(path: Path, provider: Running, *arguments: str) -> Iterator[Running]:
    upstream = ("--aibridge-openai-base-url", f"{provider.url}/openai/v1", "--aibridge-openai-key", provider.token)
    with running_server(path, *upstream, *arguments) as running:
        yield running


AMOUNTS = {"at-once": 1_000_000, "one-model": 1_000_000, "tokens": 1_000_000_000_000}


def rules(path: Path, **amounts: int) -> tuple[str, str]:
    """An option for the same rules as everywhere, with some other amounts."""
    amount = AMOUNTS | {name.replace("_", "-"): amount for name, amount in amounts.items()}
    path.write_text(f"""limits:
  - {{name: at-once, subject: user, unit: concurrent, amount: {amount["at-once"]}}}
  - {{name: one-model, subject: user, model: demo, unit: requests, amount: {amount["one-model"]}, window: 1d}}
  - {{name: tokens, subject: user, unit: total_tokens, amount: {amount["tokens"]}, window: 1d}}
""")
    return "--config", str(path)


class Kind(NamedTuple):
    """What becomes of calls to a gateway, all of which have the same five rules: of this one, one is used up."""

    says: str
    expected: tuple[int, ...]
    amounts: dict[str, int]
    full: bool = False
    """Whether a call has to be in progress for that."""
    token: str = ""
    """What comes as a token, if it is not the owner's."""


SERVED = Kind("served", (200,), {})
REFUSED = [
    Kind("over its rate", (429,), {"rate": 1}),
    Kind("to a full house", (503,), {"concurrency": 1}, full=True),
    Kind("of a user with as many as allowed", (503,), {"at_once": 1}, full=True),
    Kind("to a model that was called often enough", (429,), {"one_model": 1}),
    Kind("for more tokens than are left", (429,), {"tokens": A_CALL + 100}),
    Kind("of a stranger", (401, 429), {}, token="aib_unknown"),
]


class Gateways:
    """One for each kind, with so many workers, before a demo provider; started when it is first asked for."""

    def __init__(self, path: Path, workers: int) -> None:
        self.workers = workers
        self._path = path
        self._running = ExitStack()
        self._started: dict[str, Running] = {}
        self._provider = self._running.enter_context(running_server(path / "provider"))

    def of(self, kind: Kind) -> Running:
        running = self._started.get(kind.says)
        if running is None:
            running = self._started[kind.says] = self._start(kind.says.replace(" ", "-"), **kind.amounts)
            if kind.full:
                unfinished = self._running.enter_context(connected(running))
                unfinished.sendall(asking(running.token, LONG))
                sleep(HELD_BY)
        return running

    def _start(self, name: str, rate: int = 1_000_000, concurrency: int = 1_000_000, **amounts: int) -> Running:
        limits = ("--aibridge-rate-limit", str(rate), "--aibridge-max-concurrency", str(concurrency))
        more = (*rules(self._path / f"{name}.yaml", **amounts), "--workers", str(self.workers))
        return self._running.enter_context(gateway(self._path / name, self._provider, *limits, *more))

    def close(self) -> None:
        self._running.close()


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "workers"])
def gateways(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    started = Gateways(tmp_path_factory.mktemp("refusals"), request.param)
    yield started
    started.close()


def test_to_refuse_again_costs_a_fraction_of_a_served_call(gateways: Gateways, scorecard: Told) -> None:
    """With workers, where the supervisor has a word in it, only the harder case is measured: many at a time."""
    for load in (CALM, LOADED) if gateways.workers == 1 else (LOADED,):
        rounds = compared(gateways, load)
        how = f"{load.at_once} at a time of {gateways.workers} worker{'s' * (gateways.workers > 1)}"
        for says, each in rounds.items():
            refused, served = (median(one[place].cpu for one in each) for place in range(2))
            quick = min(one.refused.p99 for one in each)
            shares = f"{median(one.share for one in each):.0%} (<= {TARGET:.0%}) of a served call in {len(each)} rounds"
            told = f"{refused:.0f} us of CPU beside {served:.0f}, in {quick:.1f} ms at p99"
            scorecard(16, f"{how}, to refuse a call {says} costs {shares}: {told}")
        assert all(little(each, MOST) for each in rounds.values())


def compared(gateways: Gateways, load: Load) -> dict[str, list[Beside]]:
    """What refusals cost beside served calls, in as many rounds as it takes: only what was too much is repeated."""

    def measured(kind: Kind) -> Cost:
        server = gateways.of(kind)
        cpu = cpu_at_rest if kind is SERVED else cpu_seconds  # of a refusal nothing is written down
        return cost(load, server, kind.token or server.token, kind.expected, cpu)

    rounds: dict[str, list[Beside]] = {kind.says: [] for kind in REFUSED}
    dear = REFUSED
    for number in range(1, MOST_ROUNDS + 1):
        served = measured(SERVED)
        for kind in dear:
            rounds[kind.says].append(Beside(measured(kind), served))
        share = TARGET if number < ROUNDS else MOST
        dear = [kind for kind in REFUSED if number < LEAST_ROUNDS or not little(rounds[kind.says], share)]
        if not dear:
            break
    return rounds
