"""Real processes, really killed: nothing acknowledged is lost, nothing is doubled."""

import random
import subprocess
import sys
import threading
from pathlib import Path

from ledger_samples import NOW, SqliteSink

from aibridge.ledger import segments
from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Shipper

CHILD = Path(__file__).with_name("ledger_child.py")
SEED = 20_260_101
ROUNDS = 6
"""About half a second each."""


def acknowledged_before_being_killed(seconds: float, *arguments: str) -> list[str]:
    """Let a child write for `seconds`, kill it, and return what it had printed."""
    child = subprocess.Popen([sys.executable, str(CHILD), *arguments], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    killer = threading.Timer(seconds, child.kill)
    killer.start()
    printed = child.stdout.read()  # drains the pipe, so the child never waits for us
    killer.join()
    child.stdout.close()
    assert child.wait() == -9
    whole = printed[: printed.rfind(b"\n") + 1]
    return whole.decode().split()


def reopen_and_ship(directory: Path, sink: SqliteSink) -> None:
    Journal.open(directory, now=NOW).close()
    ship = Shipper(directory, sink)
    while ship.ship():
        pass


def check(sink: SqliteSink, acknowledged: list[str]) -> None:
    statuses = sink.statuses()
    completed = {name for name, status in statuses.items() if status == "completed"}
    assert len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= completed
    assert set(statuses.values()) <= {"completed", "interrupted"}
    assert sink.usages() == sorted(completed)


def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    sink = SqliteSink(tmp_path / "sqlite")
    directory = tmp_path / "journal"
    acknowledged: list[str] = []
    for count in range(ROUNDS):
        acknowledged += acknowledged_before_being_killed(chance.uniform(0, 0.06), str(directory), f"r{count}")
        reopen_and_ship(directory, sink)
        check(sink, acknowledged)
    assert len(acknowledged) > 100 * ROUNDS
    assert "interrupted" in sink.statuses().values()
    assert len(segments.numbers(directory)) == 1


def test_a_killed_shipper_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    database = tmp_path / "sqlite"
    sink = SqliteSink(database)
    directory = tmp_path / "journal"
    acknowledged: list[str] = []
    for count in range(ROUNDS):
        acknowledged += acknowledged_before_being_killed(
            chance.uniform(0, 0.15), str(directory), f"r{count}", str(database)
        )
    reopen_and_ship(directory, sink)
    check(sink, acknowledged)
    assert len(acknowledged) > 20 * ROUNDS
