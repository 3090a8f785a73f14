"""The shipping process at work: what it does, what is known of it, and what it lets nobody see or disturb."""

import fcntl
import os
import signal
from pathlib import Path

import msgspec
import uvloop

from aibridge.ledger.shipper import Progress
from aibridge.server.shipping import Shipping, pause_after
from server.shipping_samples import (
    eventually,
    pid_of,
    record,
    runs,
    shipped,
    started,
    statuses,
)


def shown_of(pid: int) -> bytes:
    """What others on the machine may see of a process, and what its user may."""
    return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


def test_records_reach_the_database_and_the_lag_returns_to_zero(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with shipped(tmp_path) as (journal, parent):
            record(journal, "a", "b")
            assert parent.lag() == 4
            assert parent.lag_seconds() > 0.0
            await eventually(lambda: parent.lag() == 0)
            assert parent.lag_seconds() == 0.0
            assert statuses(tmp_path / "secret.db") == {"a": "completed", "b": "completed"}
            record(journal, "c")
            journal.sync()
            pid = pid_of(parent)
            assert await parent.stop()
            assert not runs(pid)
        assert set(statuses(tmp_path / "secret.db")) == {"a", "b", "c"}

    uvloop.run(scenario())


def test_the_database_is_named_on_no_command_line(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with shipped(tmp_path) as (journal, parent):
            record(journal, "a")
            await eventually(lambda: parent.lag() == 0)
            assert b"aibridge.shipping" in shown_of(pid_of(parent))
            assert b"secret.db" not in shown_of(pid_of(parent))

    uvloop.run(scenario())


def test_signals_to_the_group_leave_the_end_to_the_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with shipped(tmp_path) as (journal, parent):
            record(journal, "a")
            await eventually(lambda: parent.lag() == 0)
            pid = pid_of(parent)
            assert os.getsid(pid) != os.getsid(0)
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(pid, number)
            record(journal, "b")
            await eventually(lambda: parent.lag() == 0)
            assert pid_of(parent) == pid
            assert await parent.stop()

    uvloop.run(scenario())


def test_two_never_ship_one_directory_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with shipped(tmp_path) as (journal, parent):
            with (tmp_path / "journal" / "shipper.lock").open("w") as other:
                fcntl.flock(other, fcntl.LOCK_EX)
                record(journal, "a")
                waiting = f"-> FLOCK  ADVISORY  WRITE {pid_of(parent)} " if await started(parent) else ""
                await eventually(lambda: waiting in Path("/proc/locks").read_text())
                assert statuses(tmp_path / "secret.db") == {}
            await eventually(lambda: parent.lag() == 0)
            assert statuses(tmp_path / "secret.db") == {"a": "completed"}

    uvloop.run(scenario())


def test_how_far_it_is_follows_from_what_is_written_and_what_is_told() -> None:
    now = 100.0
    parent = Shipping(Path("journal"), "sqlite:///x.db", clock=lambda: now)
    seen: list[tuple[int, float]] = []

    def see(change: Progress | int) -> None:
        if isinstance(change, int):
            parent.notify(change)
        else:
            parent._hear(msgspec.json.encode(change))
        seen.append((parent.lag(), parent.lag_seconds()))

    see(Progress(behind=0, since=None))
    see(2)
    now = 107.0
    see(1)
    see(Progress(behind=5, since=None))
    see(Progress(behind=4, since=106.0))
    see(Progress(behind=0, since=107.0))
    now = 200.0
    see(Progress(behind=9, since=None))
    assert seen == [(0, 0.0), (2, 0.0), (3, 7.0), (5, 7.0), (4, 1.0), (0, 0.0), (9, 0.0)]


def test_pauses_double_from_a_fifth_of_a_second_to_ten() -> None:
    assert [pause_after(deaths) for deaths in range(1, 9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert pause_after(10_000) == 10.0
