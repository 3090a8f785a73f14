"""Several processes behind one port: they look like one, and none of them is missed when it dies."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients.running import AIBRIDGE, PATIENCE, eventually

from server.asking import CHAT, ask, asking
from server.crews import command_line, ended, kill, replaced, workers_of
from server.life import Server, aibridge, demo_provider, environment, free_port, ledger, provided_by, serving

WORKERS = 3
TWO = ("--workers", "2")
QUICK = 3.0
"""Seconds within which a server with nothing to wait for ends."""
A_WHILE = "demo?tokens=2000&rate=50"


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with workers on a directory that did not exist."""
    with serving(tmp_path_factory.mktemp("crew") / "data", "--workers", str(WORKERS)) as server:
        yield server


def test_the_first_token_is_accepted_by_every_worker_once_it_is_shown(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--workers", str(WORKERS)) as server:
        statuses = {ask(server.url, CHAT, token=server.token, model="demo").status for _ in range(30)}
        count = len(workers_of(server))

    assert statuses == {200}
    assert count == WORKERS
    assert server.said().count("aib_") > 1
    assert server.said().count("It is shown once") == 1


def test_calls_are_shared_out(crew: Server) -> None:
    with ExitStack() as connections:
        streams = [
            connections.enter_context(asking(crew.url, CHAT, token=crew.token, model=A_WHILE, stream=True))
            for _ in range(24)
        ]
        busy = {pid: _sockets(pid) for pid in workers_of(crew)}
        answered = [stream.status for stream in streams]

    assert answered == [200] * 24
    assert min(busy.values()) > 0


def _sockets(pid: int) -> int:
    """How many sockets a process has beyond those that each worker has."""
    return sum(str(link.readlink()).startswith("socket:") for link in Path(f"/proc/{pid}/fd").iterdir()) - 3


def test_no_secret_is_in_a_workers_command_line_or_environment(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": ""}
    key = tmp_path / "key"
    key.write_text("sk-canary")
    with serving(tmp_path / "data", *TWO, "--aibridge-openai-key-file", str(key), env=env) as server:
        seen = [command_line(pid) + Path(f"/proc/{pid}/environ").read_text() for pid in workers_of(server)]

    assert len(seen) == 2
    assert not [text for text in seen if "canary" in text]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_with_workers_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "data", *TWO) as server:
        pids = workers_of(server)
        since = time.monotonic()
        code = server.stop(number)
        seconds = time.monotonic() - since

    assert code == 0
    assert seconds < QUICK
    assert server.logged() == ""
    assert all(ended(pid) for pid in pids)


def test_running_calls_of_all_workers_come_to_their_end(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *TWO) as server, ExitStack() as connections:
        streams = [
            connections.enter_context(
                asking(server.url, CHAT, token=server.token, model="demo?tokens=100&rate=100", stream=True)
            )
            for _ in range(12)
        ]
        server.drain()
        refused = ask(server.url, CHAT, token=server.token, model="demo").status
        answers = [stream.rest() for stream in streams]
        code = server.process.wait(PATIENCE)

    assert refused == 503
    assert all(answer.whole for answer in answers)
    assert code == 0
    assert [record["status"] for record in ledger(tmp_path / "data")] == ["completed"] * 12


def test_signals_that_reach_every_process_are_one_wish(tmp_path: Path) -> None:
    """A terminal's Ctrl-C goes to the whole group; a service manager's SIGTERM goes to every process."""
    with (
        serving(tmp_path / "data", *TWO) as server,
        asking(server.url, CHAT, token=server.token, model="demo?tokens=100&rate=100", stream=True) as stream,
    ):
        pids = workers_of(server)
        os.killpg(server.process.pid, signal.SIGTERM)
        for pid in pids:
            kill(pid, signal.SIGTERM)
        answer = stream.rest()
        code = server.process.wait(PATIENCE)

    assert answer.whole
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_all_workers_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "data", *TWO) as server, ExitStack() as connections:
        streams = [
            connections.enter_context(asking(server.url, CHAT, token=server.token, model=A_WHILE, stream=True))
            for _ in range(8)
        ]
        server.drain(number)
        since = time.monotonic()
        code = server.stop(number)
        seconds = time.monotonic() - since
        cut = [not stream.rest().whole for stream in streams]

    assert code == 0
    assert seconds < QUICK
    assert all(cut)
    assert {record["status"] for record in ledger(tmp_path / "data")} == {"interrupted"}


def test_a_killed_worker_is_replaced_and_said_to_be(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *TWO) as server:
        before = workers_of(server)
        kill(before[0])
        replaced(server, before[:1], 2)
        after = workers_of(server)
        statuses = {ask(server.url, CHAT, token=server.token, model="demo").status for _ in range(20)}
        deaths = server.metric("worker_deaths_total")
        assert server.stop() == 0

    assert before[1] in after
    assert statuses == {200}
    assert deaths == 1
    assert "has ended (signal 9); another one is started" in server.logged()
    assert "is at work again" in server.logged()


def test_the_permits_of_workers_that_were_all_killed_are_free_again(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *TWO, "--aibridge-max-concurrency", "4") as server, ExitStack() as connections:
        streams = [
            connections.enter_context(asking(server.url, CHAT, token=server.token, model=A_WHILE, stream=True))
            for _ in range(4)
        ]
        refused = ask(server.url, CHAT, token=server.token, model="demo").status
        for pid in workers_of(server):
            kill(pid)
        eventually(lambda: _status(server) == 200, "a permit that is free")
        cut = [not stream.rest().whole for stream in streams]

    assert refused == 503
    assert all(cut)


def _status(server: Server) -> int:
    try:
        return ask(server.url, CHAT, token=server.token, model="demo").status
    except OSError:
        return 0


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *TWO, "--aibridge-drain-timeout", "1s") as server:
        pids = workers_of(server)
        server.kill()
        eventually(lambda: all(ended(pid) for pid in pids), "workers that have ended")


def test_a_killed_supervisors_calls_come_to_their_end(tmp_path: Path) -> None:
    with (
        demo_provider() as url,
        serving(tmp_path / "data", *TWO, *provided_by(url)) as server,
        asking(server.url, CHAT, token=server.token, model="demo?tokens=50&rate=100", stream=True) as stream,
    ):
        token = server.token
        server.kill()
        answer = stream.rest()
    with serving(tmp_path / "data", token=token) as server:
        (record,) = server.interceptions(1)

    assert answer.whole
    assert record["status"] == "completed"


@pytest.mark.parametrize("flag", ["--http-address", "--prometheus-address"])
def test_a_port_that_is_taken_is_said(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = aibridge(tmp_path / "data", "server", *TWO, "--http-address", "127.0.0.1:0", flag, address)

    assert done.returncode == 1
    assert done.stderr.startswith(f"aibridge: cannot listen on {address}: Address already in use")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_workers_share_their_port_with_no_other_server(tmp_path: Path, crew: Server, workers: str) -> None:
    address = crew.url.removeprefix("http://")
    done = aibridge(tmp_path / "data", "server", "--workers", workers, "--http-address", address)

    assert done.returncode == 1
    assert done.stderr.startswith(f"aibridge: cannot listen on {address}: Address already in use")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_data_directory_has_one_server_however_many_workers(crew: Server, workers: str) -> None:
    done = aibridge(crew.data_dir, "server", "--workers", workers, "--http-address", "127.0.0.1:0")

    assert done.returncode == 1
    assert "/data/journal is in use by another process" in done.stderr


def test_what_keeps_workers_from_starting_is_said_once_and_keeps_the_token(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nonsense")
    files = ("--tls-cert-file", str(tmp_path / "cert.pem"), "--tls-key-file", str(tmp_path / "key.pem"))
    command = [AIBRIDGE, "server", "--data-dir", str(tmp_path / "data"), "--http-address", "127.0.0.1:0", *TWO, *files]
    done = subprocess.run(
        command,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE,  # five processes begin and end
    )
    with serving(tmp_path / "data", *TWO) as server:
        status = ask(server.url, CHAT, token=server.token, model="demo").status

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "cert.pem" in done.stderr
    assert status == 200


def test_a_signal_during_the_start_is_an_orderly_stop(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), serving(tmp_path / "data", *TWO, program=STOPPED_WHILE_STARTING) as server:
        pytest.fail(f"it serves: {server.said()}")

    assert (tmp_path / "data.stderr").read_text() == ""
    assert (tmp_path / "data.stdout").read_text() == ""


STOPPED_WHILE_STARTING = """
import asyncio, os, signal
from aibridge import cli
from aibridge.server import crew

async def open(*rest, opened=crew.Channel.open):
    os.kill(os.getpid(), signal.SIGTERM)
    return await opened(*rest)

crew.Channel.open = open
cli.main()
"""
"""The command, but that SIGTERM comes while the first worker is on its way up."""


def test_an_ipv6_address_is_shared_too(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *TWO, address="[::1]:0") as server:
        statuses = {ask(server.url, "/healthz").status for _ in range(10)}

    assert statuses == {200}


def test_a_port_of_ones_own_is_kept_while_no_worker_lives(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path / "data", *TWO, address=f"127.0.0.1:{port}") as server:
        pids = workers_of(server)
        for pid in pids:
            kill(pid)
        replaced(server, pids, 2)
        status = _status(server)

    assert status == 200
