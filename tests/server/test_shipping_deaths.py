"""Processes that die: nothing acknowledged is lost, nothing is doubled and nobody is left behind."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import uvloop

from aibridge.ledger.journal import Journal
from aibridge.server import shipping
from aibridge.server.shipping import Shipping
from aibridge.shipping import Order
from server.shipping_samples import (
    NOW,
    PATIENCE,
    eventually,
    pid_of,
    record,
    runs,
    shipped,
    started,
    statuses,
)

TESTS = Path(__file__).parent.parent
SEED = 20_260_102


def process(tmp_path: Path, code: str) -> "subprocess.Popen[bytes]":
    """The shipping process alone, with something changed."""
    order = Order(directory=str(tmp_path / "journal"), database=f"sqlite:///{tmp_path}/secret.db")
    child = subprocess.Popen(
        [sys.executable, "-c", f"import sys; from aibridge import shipping; {code}; sys.exit(shipping.main())"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdin is not None
    child.stdin.write(msgspec.json.encode(order) + b"\n")
    child.stdin.flush()
    return child


def test_a_killed_process_is_followed_by_another_that_loses_and_doubles_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chance = random.Random(SEED)
        names: list[str] = []
        killed: list[int] = []
        async with shipped(tmp_path) as (journal, parent):
            for turn in range(3):
                await eventually(lambda: parent._process is not None and parent._process.returncode is None)
                killed.append(pid_of(parent))
                until = time.monotonic() + chance.uniform(0.3, 0.9)
                while time.monotonic() < until:
                    names.append(f"{turn}-{len(names)}")
                    record(journal, names[-1])
                    await asyncio.sleep(0.001)
                os.kill(killed[-1], signal.SIGKILL)
                await eventually(lambda: pid_of(parent) not in killed)
            await eventually(lambda: parent.lag() == 0)
            journal.sync()
            assert await parent.stop()
        assert statuses(tmp_path / "secret.db") == dict.fromkeys(names, "completed")
        assert caplog.text.count("has ended (-9)") == 1
        assert caplog.text.count("at work again") == 1

    uvloop.run(scenario())


def test_a_killed_server_leaves_no_process_and_nothing_behind(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    directory, url = tmp_path / "journal", f"sqlite:///{tmp_path}/secret.db"
    acknowledged: list[str] = []
    for turn in range(2):
        with subprocess.Popen(
            [sys.executable, "-m", "server.shipping_child", str(directory), url, f"r{turn}"],
            cwd=TESTS,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None
            acknowledged.append(server.stdout.readline().strip())
            (child,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            time.sleep(chance.uniform(0.3, 0.8))
            server.kill()
            acknowledged += server.stdout.read().split()
        until = time.monotonic() + 5.0
        while runs(int(child)):
            assert time.monotonic() < until
            time.sleep(0.01)

    async def ship_the_rest() -> None:
        async with shipped(tmp_path) as (_, parent):
            assert await started(parent)
            assert await parent.stop()

    uvloop.run(ship_the_rest())
    found = statuses(tmp_path / "secret.db")
    assert {name for name, status in found.items() if status == "completed"} >= set(acknowledged)
    assert set(found.values()) == {"completed", "interrupted"}
    assert len(acknowledged) > 100


def test_a_process_that_cannot_ship_ends_in_time_all_the_same(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", now=NOW)
    record(journal, "a")
    journal.close()
    with process(tmp_path, "shipping.SECONDS_TO_END = 0.3") as child:
        assert child.stdout is not None
        assert child.stdout.readline()  # at work
        with contextlib.closing(sqlite3.connect(tmp_path / "secret.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            journal = Journal.open(tmp_path / "journal", now=NOW)
            record(journal, "b")
            journal.close()
            began = time.monotonic()
            child.communicate(timeout=PATIENCE)
            assert time.monotonic() - began < 3.0
        assert child.returncode == 1
    assert statuses(tmp_path / "secret.db") == {"a": "completed"}


def test_one_that_nobody_listens_to_ships_the_rest(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", now=NOW)
    with process(tmp_path, "0") as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline()  # at work
        child.stdout.close()
        record(journal, "a")
        journal.close()
        child.stdin.close()
        assert child.wait(PATIENCE) == 0
    assert statuses(tmp_path / "secret.db") == {"a": "completed"}


def test_a_database_that_cannot_be_opened_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "secret.db").write_bytes(b"not a database, and long enough to be seen as none" * 100)
    _, said = process(tmp_path, "0").communicate(timeout=PATIENCE)
    assert said.count(b"\n") == 1
    assert b"the ledger's records wait in" in said


def test_a_process_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_SECONDS_TO_KILL", 0.1)

    async def scenario() -> None:
        async with shipped(tmp_path) as (_, parent):
            assert await started(parent)
            pid = pid_of(parent)
            os.kill(pid, signal.SIGSTOP)
            assert not await parent.stop()
            assert not runs(pid)

    uvloop.run(scenario())


@pytest.mark.parametrize(
    "arguments", [("-c", "raise SystemExit(3)"), ("-c", "print('{', flush=True); raise SystemExit(3)")]
)
def test_one_that_dies_again_and_again_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(shipping, "_ARGUMENTS", arguments)
    pauses: list[int] = []

    def no_pause(deaths: int) -> float:
        pauses.append(deaths)
        return 0.0

    monkeypatch.setattr(shipping, "pause_after", no_pause)

    async def scenario() -> None:
        async with shipped(tmp_path) as (journal, parent):
            record(journal, "a")
            await eventually(lambda: len(pauses) > 3)
            assert parent.lag() == 2
            assert not await parent.stop()

    uvloop.run(scenario())
    assert pauses[:4] == [1, 2, 3, 4]
    assert caplog.text.count("has ended (3)") == 1


def test_one_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(sys, "executable", str(tmp_path / "nothing"))
            parent = Shipping(tmp_path, f"sqlite:///{tmp_path}/x.db")
            parent.start()
            await eventually(lambda: "has ended ([Errno 2]" in caplog.text)
        await eventually(lambda: parent._process is not None)
        assert await parent.stop()

    uvloop.run(scenario())
