"""The ways in which a server is told to stop, what must not delay it, and what must not be lost over it."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from clients.running import PATIENCE, eventually

from server.asking import CHAT, ask, asked, asking, connection_to, question
from server.life import free_port, ledger, serving

QUICK = 2.0
"""Seconds within which a server ends that has nothing to wait for. On a machine of one's own it is 0.3."""
A_WHILE = "demo?tokens=2000&rate=50"
NARROW = 4096
"""Bytes that a narrow socket takes, or what the kernel makes of that: a few times as much."""
both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def reluctant_reader(url: str) -> socket.socket:
    """A socket that takes little at a time."""
    where = urlsplit(url)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
    reader.settimeout(PATIENCE)
    reader.connect((where.hostname, where.port))
    return reader


def is_listening(url: str) -> bool:
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname, where.port)).close()
    except OSError:
        return False
    return True


def test_a_call_without_an_answer_is_told_to_come_back_when_patience_ends(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--aibridge-drain-timeout", "0s") as server:
        connection = connection_to(server.url)
        connection.request("POST", CHAT, question("demo?latency=60"), {"Authorization": f"Bearer {server.token}"})
        eventually(lambda: server.metric("calls_inflight") == 1, "a call in flight")
        code = server.stop()
        answer = connection.getresponse()
    connection.close()

    assert code == 0
    assert answer.status == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)],
)
def test_a_second_signal_ends_it_at_once(tmp_path: Path, first: signal.Signals, second: signal.Signals) -> None:
    with (
        serving(tmp_path / "data") as server,
        asking(server.url, CHAT, token=server.token, model=A_WHILE, stream=True) as stream,
    ):
        server.drain(first)
        since = time.monotonic()
        code = server.stop(second)
        seconds = time.monotonic() - since
        answer = stream.rest()

    assert code == 0
    assert seconds < QUICK
    assert not answer.whole
    assert [record["status"] for record in ledger(tmp_path / "data")] == ["interrupted"]


@both_signals
def test_an_idle_server_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "data") as server:
        ask(server.url, "/healthz")  # it has long begun
        since = time.monotonic()
        code = server.stop(number)

    assert code == 0
    assert time.monotonic() - since < QUICK
    assert server.logged() == ""


def test_ctrl_c_reaches_all_its_processes_and_is_an_orderly_stop(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        statuses = [ask(server.url, CHAT, token=server.token, model="demo").status for _ in range(5)]
        os.killpg(server.process.pid, signal.SIGINT)
        code = server.process.wait(PATIENCE)

    assert code == 0
    assert server.logged() == ""
    assert len(ledger(tmp_path / "data")) == len(statuses)


def test_idle_connections_do_not_delay_the_end(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server, ExitStack() as connections:
        where = urlsplit(server.url)
        for begun in (b"", b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost:"):
            idle = connections.enter_context(socket.create_connection((where.hostname, where.port)))
            idle.sendall(begun)
        for path, model in ((CHAT, "demo"), ("/healthz", "")):
            used = connection_to(server.url)
            connections.callback(used.close)
            asked(used, path, token=server.token, model=model).rest()
        seconds = server.seconds_to_stop()

    assert seconds < QUICK


NARROW_SOCKETS = """
import socket
from aibridge import cli

def create_server(*where, made=socket.create_server, **more):
    listener = made(*where, **more)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return listener

socket.create_server = create_server
cli.main()
"""
"""The command, but that the kernel takes little of an answer which its client does not read."""


def test_an_answer_that_is_still_on_its_way_is_not_cut_off(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", program=NARROW_SOCKETS) as server,
        closing(connection_to(server.url)) as connection,
    ):
        connection.sock = reluctant_reader(server.url)
        answering = asked(connection, CHAT, token=server.token, model="demo?tokens=9000")
        eventually(lambda: server.metric("calls_inflight") == 0, "a call that has ended, but for its client")
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not is_listening(server.url), "a server that is about to end")
        answer = answering.rest()
        code = server.process.wait(PATIENCE)

    assert answer.whole
    assert len(answer.body) == int(answer.headers["content-length"]) > 2 * NARROW
    assert code == 0


def test_idle_connections_to_the_metrics_do_not_delay_the_end(tmp_path: Path) -> None:
    metrics = f"http://127.0.0.1:{free_port()}"
    with serving(tmp_path / "data", "--prometheus-address", metrics.removeprefix("http://")) as server:
        used = connection_to(metrics)
        assert asked(used, "/metrics").rest().status == 200
        seconds = server.seconds_to_stop()
        used.close()

    assert seconds < QUICK


STOPPED_AT_THE_WELCOME = """
import builtins, os, signal
from aibridge import cli

def say(*words, say=print, **more):
    if "listens on" in str(words):
        os.kill(os.getpid(), signal.SIGTERM)
    say(*words, **more)

builtins.print = say
cli.main()
"""
"""The command, but that SIGTERM comes in the moment in which a supervisor may first take the server for started."""


def test_a_signal_is_heeded_from_the_welcome_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED_AT_THE_WELCOME, "server", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run([*command, "--http-address", "127.0.0.1:0"], check=False, timeout=PATIENCE)

    assert done.returncode == 0
