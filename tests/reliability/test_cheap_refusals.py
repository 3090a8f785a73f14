"""Refusing must be the cheapest thing a gateway does: its CPU, all threads and children, beside serving a call."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import inf
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from time import sleep
from urllib.parse import urlsplit

import pytest
from clients.running import Running, running_server
from conftest import Told

from bench.processes import cpu_at_rest

pytestmark = pytest.mark.xdist_group("refusals")  # they share servers, and would disturb each other

CALLS = 1500
ROUNDS = 3
MOST = 0.2
"""Of what a served call costs. The target is 0.1; on a machine that does other things it may be more."""
CONNECTIONS = 32
LOADED_CALLS = 4000
TARGET_UNDER_LOAD, MOST_UNDER_LOAD = 0.25, 0.35
"""Of what a call costs that is served under the same load, and what it may be on a machine that does other things."""
MOST_ROUNDS = 10
HELD_BY = 0.5
"""Seconds by which a call that was sent holds its permit."""
BODY = b'{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'


def head(token: str) -> bytes:
    lines = f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    return f"{lines}content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()


def connected(server: Running) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port))


def each(server: Running, token: str, *expected: int) -> float:
    """Microseconds of CPU that a call costs the server, over one connection that is kept."""
    request = head(token) + BODY
    with connected(server) as connection:
        stream = connection.makefile("rb")

        def call() -> int:
            connection.sendall(request)
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            stream.read(length)
            return status

        for _ in range(50):
            call()
        began = cpu_at_rest(server.process.pid)
        statuses = [call() for _ in range(CALLS)]
        used = cpu_at_rest(server.process.pid) - began
    assert sum(map(statuses.count, expected)) > CALLS * 0.99
    return used / CALLS * 1e6


def each_of_many(server: Running, token: str, *expected: int) -> float:
    """Microseconds of CPU that a call costs the server, with as many under way as there are connections."""
    request = head(token) + BODY
    with ExitStack() as connections, DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            selector.register(connections.enter_context(connected(server)), EVENT_READ, bytearray())

        def call(times: int) -> Counter[int]:
            """Ask again on each connection as soon as it was answered."""
            keys = [*selector.get_map().values()]
            for key in keys:
                key.fileobj.sendall(request)  # type: ignore[union-attr]
            unsent, statuses = times - len(keys), Counter[int]()
            while statuses.total() < times:
                for key, _ in selector.select():
                    answer = key.data
                    answer += key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if whole(answer):
                        statuses[int(answer[9:12])] += 1
                        answer.clear()
                        if unsent:
                            key.fileobj.sendall(request)  # type: ignore[union-attr]
                            unsent -= 1
            return statuses

        call(200)
        began = cpu_at_rest(server.process.pid)
        statuses = call(LOADED_CALLS)
        used = cpu_at_rest(server.process.pid) - began
    assert sum(statuses[status] for status in expected) > LOADED_CALLS * 0.99
    return used / LOADED_CALLS * 1e6


def whole(answer: bytes) -> bool:
    """Whether all of an answer is here."""
    assert answer, "the server closed a connection"
    fields, _, body = answer.lower().partition(b"\r\n\r\n")
    length = fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return bool(length) and len(body) >= int(length)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("provider")) as running:
        yield running


@contextmanager
def gateway(provider: Running, path: Path, *arguments: str) -> Iterator[Running]:
    upstream = ("--aibridge-openai-base-url", f"{provider.url}/openai/v1", "--aibridge-openai-key", provider.token)
    with running_server(path, *upstream, *arguments) as running:
        yield running


@pytest.fixture(scope="module")
def open_gateway(provider: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One whose limits let every call pass."""
    with gateway(provider, tmp_path_factory.mktemp("open"), "--aibridge-rate-limit", "1000000") as running:
        yield running


@pytest.fixture(scope="module")
def served(open_gateway: Running) -> float:
    """Microseconds for a call that the same limits let pass."""
    return min(each(open_gateway, open_gateway.token, 200) for _ in range(ROUNDS))


@pytest.fixture(scope="module")
def strict_gateway(provider: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One whose limits let one call a second pass."""
    with gateway(provider, tmp_path_factory.mktemp("strict"), "--aibridge-rate-limit", "1") as running:
        yield running


def test_a_call_over_its_rate_costs_a_fraction_of_a_served_one(
    strict_gateway: Running, served: float, scorecard: Told
) -> None:
    refused = min(each(strict_gateway, strict_gateway.token, 429) for _ in range(ROUNDS))
    share = refused / served
    scorecard(16, f"a refusal costs {refused:.0f} us of CPU, a served call {served:.0f} us: {share:.0%} (target 10 %)")
    assert share <= MOST


def test_so_does_a_call_to_a_full_house(provider: Running, served: float, tmp_path: Path) -> None:
    with gateway(provider, tmp_path, "--aibridge-max-concurrency", "1") as running, connected(running) as unfinished:
        unfinished.sendall(head(running.token))  # holds the one permit until its body is here
        sleep(HELD_BY)
        refused = min(each(running, running.token, 503) for _ in range(ROUNDS))
    assert refused / served <= MOST


def test_so_does_a_stranger(strict_gateway: Running, served: float) -> None:
    refused = min(each(strict_gateway, "aib_unknown", 401, 429) for _ in range(ROUNDS))
    assert refused / served <= MOST


def test_so_does_one_of_many_calls_at_once(open_gateway: Running, strict_gateway: Running, scorecard: Told) -> None:
    """The least of each in as many rounds as it takes: other processes make both dearer, the shorter one more so."""
    served = refused = inf
    for _ in range(MOST_ROUNDS):
        served = min(served, each_of_many(open_gateway, open_gateway.token, 200))
        refused = min(refused, each_of_many(strict_gateway, strict_gateway.token, 429))
        if refused / served <= TARGET_UNDER_LOAD:
            break
    share = refused / served
    load = f"with {CONNECTIONS} connections under load"
    scorecard(16, f"{load}: {refused:.0f} us for a refusal, {served:.0f} us for a call: {share:.0%} (target 25 %)")
    assert share <= MOST_UNDER_LOAD
