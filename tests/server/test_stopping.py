"""An orderly stop: nothing new is taken, what runs comes to its end, and all of it is written down."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from clients.running import PATIENCE, eventually

from server.asking import CHAT, MESSAGES, Answer, ask, asked, asking, connection_to, question
from server.life import Server, aibridge, free_port, serving

QUICK = 2.0
"""Seconds within which a server ends that has nothing to wait for. On a machine of one's own it is 0.3."""
TWO_SECONDS = "demo?tokens=40&rate=20"
A_WHILE = "demo?tokens=2000&rate=50"
NARROW = 4096
"""Bytes that a narrow socket takes, or what the kernel makes of that: a few times as much."""
both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def told_to_stop(server: Server, number: signal.Signals = signal.SIGTERM) -> None:
    """Tell a server to stop, and wait until it says so."""
    server.process.send_signal(number)
    eventually(lambda: ask(server.url, "/readyz").status == 503, "a server that is not ready")


def ledger(data_dir: Path) -> list[dict[str, Any]]:
    """What is in the ledger of a server that has ended, the oldest first."""
    done = aibridge(data_dir, "interceptions", "list", "--output", "json")
    records: list[dict[str, Any]] = json.loads(done.stdout)
    return records[::-1]


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


@dataclass(frozen=True, kw_only=True)
class Stop:
    """What was seen of a stop."""

    seconds_until_unready: float
    readiness: Answer
    health: Answer
    new_calls: list[Answer]
    streams: list[Answer]
    code: int
    seconds: float
    records: list[dict[str, Any]]


@pytest.fixture(scope="module")
def drained(tmp_path_factory: pytest.TempPathFactory) -> Stop:
    """A server told to stop while two streams of two seconds run."""
    return stop(tmp_path_factory.mktemp("drained") / "data", model=TWO_SECONDS)


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Stop:
    """A server that waits half a second for streams that would last much longer."""
    return stop(tmp_path_factory.mktemp("cut") / "data", "--aibridge-drain-timeout", "500ms", model=A_WHILE)


def stop(data_dir: Path, *arguments: str, model: str) -> Stop:
    with serving(data_dir, *arguments) as server, ExitStack() as calls:
        streams = [
            calls.enter_context(asking(server.url, path, token=server.token, model=model, stream=True))
            for path in (CHAT, MESSAGES)
        ]
        since = time.monotonic()
        told_to_stop(server)
        seconds_until_unready = time.monotonic() - since
        readiness = ask(server.url, "/readyz")
        health = ask(server.url, "/healthz")
        new_calls = [ask(server.url, path, token=server.token, model="demo") for path in (CHAT, MESSAGES)]
        answers = [stream.rest() for stream in streams]
        code = server.process.wait(PATIENCE)
        seconds = time.monotonic() - since
    return Stop(
        seconds_until_unready=seconds_until_unready,
        readiness=readiness,
        health=health,
        new_calls=new_calls,
        streams=answers,
        code=code,
        seconds=seconds,
        records=ledger(data_dir),
    )


def test_it_is_not_ready_at_once(drained: Stop) -> None:
    assert drained.seconds_until_unready < 0.5
    assert drained.readiness.json["detail"] == "server: shutting down"
    assert 1 <= int(drained.readiness.headers["retry-after"]) <= 60


def test_it_is_alive_until_it_ends(drained: Stop) -> None:
    assert drained.health.status == 200


def test_new_calls_are_refused_and_told_when_to_come_back(drained: Stop) -> None:
    for answer in drained.new_calls:
        assert answer.status == 503
        assert answer.json["message"] == "AI Bridge is shutting down. Please try again later."
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["connection"] == "close"


def test_running_streams_come_to_their_end(drained: Stop) -> None:
    chat, messages = drained.streams

    assert chat.whole
    assert chat.text.endswith("data: [DONE]\n\n")
    assert messages.whole
    assert messages.text.count('"type":"text_delta"') == 40
    assert messages.text.rstrip().endswith('data: {"type":"message_stop"}')


def test_it_ends_well_when_the_last_stream_has_ended(drained: Stop) -> None:
    assert drained.code == 0
    assert drained.seconds < 2 + QUICK


def test_the_ledger_has_the_streams_and_not_what_was_refused(drained: Stop) -> None:
    assert [(record["status"], record["route"]) for record in drained.records] == [
        ("completed", "/v1/chat/completions"),
        ("completed", "/v1/messages"),
    ]
    assert drained.records[1]["output_tokens"] == 40


def test_a_stream_that_is_not_waited_for_gets_an_error_event_and_no_end(cut_short: Stop) -> None:
    chat, messages = cut_short.streams
    message = "AI Bridge is shutting down. Please try again later."

    assert (chat.status, messages.status) == (200, 200)
    assert not chat.whole
    assert not messages.whole
    assert message in chat.text.rstrip().splitlines()[-1]
    assert "[DONE]" not in chat.text
    assert messages.text.rstrip().splitlines()[-2] == "event: error"
    assert json.loads(messages.text.rstrip().splitlines()[-1].removeprefix("data: "))["error"]["message"] == message


def test_it_ends_well_when_its_patience_does(cut_short: Stop) -> None:
    assert cut_short.code == 0
    assert cut_short.seconds < 0.5 + QUICK


def test_streams_that_are_not_waited_for_are_recorded_as_interrupted(cut_short: Stop) -> None:
    assert [(record["status"], record["error"]) for record in cut_short.records] == [("interrupted", "interrupted")] * 2


def test_what_a_cut_stream_has_used_is_recorded(cut_short: Stop) -> None:
    assert cut_short.records[1]["input_tokens"] > 0


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
        told_to_stop(server, first)
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
