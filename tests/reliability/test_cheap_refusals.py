"""Refusing must be the cheapest thing a gateway does: its CPU, all threads and children, beside serving a call."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import pytest
from clients.running import Running, running_server
from conftest import Told

from bench.processes import cpu_at_rest

CALLS = 1500
ROUNDS = 3
MOST = 0.3
"""Of what a served call costs. The target is a quarter; on a machine that does other things it may be a little more."""
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
def served(provider: Running, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Microseconds for a call that the same limits let pass."""
    with gateway(provider, tmp_path_factory.mktemp("open"), "--aibridge-rate-limit", "1000000") as running:
        return min(each(running, running.token, 200) for _ in range(ROUNDS))


def test_a_call_over_its_rate_costs_a_fraction_of_a_served_one(
    provider: Running, served: float, tmp_path: Path, scorecard: Told
) -> None:
    with gateway(provider, tmp_path, "--aibridge-rate-limit", "1") as running:
        refused = min(each(running, running.token, 429) for _ in range(ROUNDS))
    share = refused / served
    scorecard(16, f"a refusal costs {refused:.0f} us of CPU, a served call {served:.0f} us: {share:.0%} (target 25 %)")
    assert share <= MOST


def test_so_does_a_call_to_a_full_house(provider: Running, served: float, tmp_path: Path) -> None:
    with gateway(provider, tmp_path, "--aibridge-max-concurrency", "1") as running, connected(running) as unfinished:
        unfinished.sendall(head(running.token))  # holds the one permit until its body is here
        sleep(HELD_BY)
        refused = min(each(running, running.token, 503) for _ in range(ROUNDS))
    assert refused / served <= MOST
