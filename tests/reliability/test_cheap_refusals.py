"""Refusing must be the cheapest thing a gateway does: its CPU, all threads and children, beside serving a call."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector, SelectorKey
from statistics import quantiles
from time import perf_counter, sleep
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from clients.running import Running, running_server
from conftest import Told

from bench.processes import cpu_at_rest

pytestmark = pytest.mark.xdist_group("refusals")  # they share servers, and would disturb each other


class Load(NamedTuple):
    at_once: int
    calls: int
    before: int
    """Calls that are made first, and do not count."""


CALM, LOADED = Load(1, 1000, 50), Load(32, 3000, 200)
MOST = 0.25
"""Of what a served call costs."""
MOST_ROUNDS = 15
"""In which to see that. Other processes make all calls dearer, the shorter ones more so."""
LONGEST = 10.0
"""Milliseconds that 99 of a hundred refusals take at most."""
SERVED = "served"
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


def cost(load: Load, server: Running, token: str, *expected: int) -> Cost:
    """What calls cost that are answered with an expected status, over connections that are kept."""
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
        began = cpu_at_rest(server.process.pid)
        statuses, took = call(load.calls)
        used = cpu_at_rest(server.process.pid) - began
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


@contextmanager
def call_in_progress(server: Running) -> Iterator[None]:
    """Until the end, one that holds what a call holds."""
    with connected(server) as unfinished:
        unfinished.sendall(asking(server.token, LONG))
        sleep(HELD_BY)
        yield


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


class Gateways(NamedTuple):
    """All have as many workers and the same five rules; of each but the first, one is used up."""

    workers: int
    open: Running
    strict: Running
    """It lets one call a second pass."""
    small: Running
    """It may be busy with one call."""
    narrow: Running
    """Each user may have one call in progress."""
    choosy: Running
    """Each user may call the model once a day."""
    frugal: Running
    """Each user may use tokens for a few calls a day; then less is left than a call is expected to use."""

    @contextmanager
    def full(self) -> Iterator[None]:
        with call_in_progress(self.small), call_in_progress(self.narrow):
            yield


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "workers"])
def gateways(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    path = tmp_path_factory.mktemp("refusals")
    workers = ("--workers", str(request.param))
    with ExitStack() as running:
        provider = running.enter_context(running_server(path / "provider"))

        def start(name: str, rate: int = 1_000_000, concurrency: int = 1_000_000, **amounts: int) -> Running:
            limits = ("--aibridge-rate-limit", str(rate), "--aibridge-max-concurrency", str(concurrency))
            more = rules(path / f"{name}.yaml", **amounts)
            return running.enter_context(gateway(path / name, provider, *limits, *more, *workers))

        yield Gateways(
            workers=request.param,
            open=start("open"),
            strict=start("strict", rate=1),
            small=start("small", concurrency=1),
            narrow=start("narrow", at_once=1),
            choosy=start("choosy", one_model=1),
            frugal=start("frugal", tokens=A_CALL + 100),
        )


def least(gateways: Gateways, load: Load) -> dict[str, Cost]:
    """The least that a call costs by what becomes of it, in as many rounds as it takes to be cheap."""
    found = dict[str, Cost]()
    with gateways.full():
        for _ in range(MOST_ROUNDS):
            round_ = {
                SERVED: cost(load, gateways.open, gateways.open.token, 200),
                "over its rate": cost(load, gateways.strict, gateways.strict.token, 429),
                "to a full house": cost(load, gateways.small, gateways.small.token, 503),
                "of a user with as many as allowed": cost(load, gateways.narrow, gateways.narrow.token, 503),
                "to a model that was called often enough": cost(load, gateways.choosy, gateways.choosy.token, 429),
                "for more than is left": cost(load, gateways.frugal, gateways.frugal.token, 429),
                "of a stranger": cost(load, gateways.strict, "aib_unknown", 401, 429),
            }
            found = {kind: Cost(*map(min, found.get(kind, one), one)) for kind, one in round_.items()}
            if max(shares(found).values()) <= MOST:
                break
    return found


def shares(costs: dict[str, Cost]) -> dict[str, float]:
    """What refusals cost, of what a served call does."""
    return {kind: one.cpu / costs[SERVED].cpu for kind, one in costs.items() if kind != SERVED}


@pytest.mark.parametrize("load", [CALM, LOADED], ids=["calm", "loaded"])
def test_a_refusal_costs_a_fraction_of_a_served_call(gateways: Gateways, load: Load, scorecard: Told) -> None:
    costs = least(gateways, load)
    at_once = f"{load.at_once} at a time of {gateways.workers} worker{'s' * (gateways.workers > 1)}"
    scorecard(16, f"{at_once}, a served call costs {costs[SERVED].cpu:.0f} us of CPU (target for a refusal 25 %)")
    for kind, share in shares(costs).items():
        refused = f"is refused for {costs[kind].cpu:.0f} us in {costs[kind].p99:.1f} ms at p99"
        scorecard(16, f"{at_once}, a call {kind} {refused}: {share:.0%}")
        assert costs[kind].p99 <= LONGEST
    assert max(shares(costs).values()) <= MOST
