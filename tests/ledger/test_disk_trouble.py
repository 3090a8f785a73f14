"""The journal on a disk that refuses: nothing is acknowledged falsely, damaged, doubled or out of order."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_samples import NOW, ended, ending, interception, name_of, records_in, started

from aibridge.ledger import entry, journal, segments
from aibridge.ledger.entry import Ended
from aibridge.ledger.journal import Journal
from aibridge.ledger.segments import Disk


class MoodyDisk:
    """A disk that takes what it is allowed to: `room` bytes, then no more."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.keeps = True

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is None:
            return os.write(descriptor, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = os.write(descriptor, data[: self.room])
        self.room -= taken
        return taken

    def fdatasync(self, descriptor: int) -> None:
        if not self.keeps:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(descriptor)

    @property
    def calls(self) -> Disk:
        return Disk(write=self.write, fdatasync=self.fdatasync)


def healthy(ledger: Journal) -> bool:
    """Ask anew: a type checker believes that a property keeps its value."""
    return ledger.healthy


def test_a_segment_waits_for_the_disk_to_have_the_head_of_the_last_one(tmp_path: Path) -> None:
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=1, disk=disk.calls)
    disk.keeps = False
    for name in "abcdef":
        ledger.begin(interception(name))
    assert len(segments.numbers(tmp_path)) == 2
    disk.keeps = True
    ledger.close()


def test_a_full_disk_acknowledges_nothing_and_gets_everything_in_order_when_it_has_room(tmp_path: Path) -> None:
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, disk=disk.calls)
    ledger.begin(interception("a"))
    disk.room = 100
    assert not ledger.end(ending("a"))
    assert not healthy(ledger)
    assert str(tmp_path) in ledger.problem
    assert "No space left" in ledger.problem
    ledger.begin(interception("b"))
    assert not ledger.retry()
    assert records_in(tmp_path) == [started("a")]
    disk.room = None
    assert ledger.retry()
    assert healthy(ledger)
    assert ledger.problem == ""
    # Byte for byte: what the short write left is completed, not begun again.
    lines = [entry.encode(record) for record in (started("a"), ended("a"), started("b"))]
    assert segments.path_of(tmp_path, 1).read_bytes() == b"".join(lines)
    ledger.close()


def test_dev_full_is_reported_and_left_behind(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    full, true = os.open("/dev/full", os.O_WRONLY), ledger._descriptor
    ledger._descriptor = full
    assert not ledger.end(ending("a"))
    assert "No space left" in ledger.problem
    ledger._descriptor = true
    os.close(full)
    assert ledger.retry()
    assert records_in(tmp_path) == [ended("a")]
    ledger.close()


def test_records_in_memory_are_bounded_and_a_refused_one_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_HELD", 3)
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, disk=disk.calls)
    ledger.begin(interception("a"))
    assert ledger.sync()
    disk.room = 0
    for name in "bcdef":
        ledger.begin(interception(name))
    assert not ledger.end(ending("a"))
    assert ledger.dropped == 3
    disk.room = None
    assert ledger.retry()
    assert ledger.sync()
    assert ledger.end(ending("b"))
    assert [name_of(record) for record in records_in(tmp_path)] == ["a", "b", "c", "d", "b"]
    ledger.close()
    assert [each.id for each in segments.unfinished(tmp_path)] == ["a", "c", "d"]


def test_a_failed_fdatasync_moves_everything_not_yet_safe_into_a_new_file(tmp_path: Path) -> None:
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, disk=disk.calls)
    ledger.begin(interception("safe"))
    assert ledger.sync()
    disk.keeps = False
    ledger.begin(interception("b"))
    ledger.end(ending("b"))
    assert not ledger.sync()
    assert not healthy(ledger)
    assert "Input/output" in ledger.problem
    disk.room = 50
    ledger.end(ending("safe"))
    disk.room, disk.keeps = None, True
    ledger.retry()
    assert ledger.sync()
    assert healthy(ledger)
    newest = segments.path_of(tmp_path, segments.numbers(tmp_path)[-1])
    assert entry.read(newest.read_bytes()).entries == [started("b"), ended("b"), ended("safe")]
    ledger.close()


def test_a_segment_that_cannot_be_begun_leaves_the_present_one_in_use(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=3 * len(entry.encode(started("a"))))
    blocker = segments.path_of(tmp_path, 2).with_name("0000000002.journal.new")
    blocker.mkdir()
    for name in "abcd":
        ledger.begin(interception(name))
    assert healthy(ledger)
    blocker.rmdir()
    ledger.begin(interception("e"))
    assert segments.numbers(tmp_path) == [1, 2]
    assert [name_of(record) for record in records_in(tmp_path)] == [*"abcde", *"abcde"]
    ledger.close()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.sampled_from(["begin", "end", "retry", "heal", "sync", "spoil"]),
            st.integers(0, 900),
        ),
        max_size=40,
    ),
    segment_bytes=st.sampled_from([1, 1500, 1 << 20]),
)
def test_whatever_the_disk_does_the_acknowledged_is_there_and_nothing_is_invented(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str | int], segment_bytes: int
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    disk = MoodyDisk()
    ledger = Journal.open(directory, now=NOW, segment_bytes=segment_bytes, disk=disk.calls)
    begun: list[str] = []
    over: list[str] = []
    acknowledged: list[str] = []
    for step in steps:
        if isinstance(step, int):
            disk.room = step
        elif step == "begin":
            begun.append(f"i{len(begun)}")
            ledger.begin(interception(begun[-1]))
        elif step == "end" and len(over) < len(begun):
            over.append(begun[len(over)])
            if ledger.end(ending(over[-1])):
                acknowledged.append(over[-1])
        elif step == "retry":
            ledger.retry()
        elif step == "heal":
            disk.room, disk.keeps = None, True
        elif step == "spoil":
            disk.keeps = False
        elif step == "sync":
            ledger.sync()
        endings = [name_of(record) for record in records_in(directory) if isinstance(record, Ended)]
        assert set(acknowledged) <= set(endings)
    disk.room, disk.keeps = None, True
    ledger.sync()  # meets whatever failure is still under way in the background
    ledger.retry()
    assert ledger.close()
    found = records_in(directory)
    assert {name_of(record) for record in found if isinstance(record, Ended)} == set(over)
    assert {name_of(record) for record in found} == set(begun)
    in_order = list(dict.fromkeys(name_of(record) for record in found))
    assert in_order == begun
    assert {each.id for each in segments.unfinished(directory)} == set(begun) - set(over)
