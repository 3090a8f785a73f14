"""The journal on a disk that refuses: nothing is acknowledged falsely, damaged, doubled or out of order."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_samples import (
    NOW,
    begin,
    end,
    ended,
    ending,
    endings_in,
    interception,
    line,
    names_of,
    records_in,
    started,
)

from aibridge.ledger import entry, segments
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
        begin(ledger, name)
    assert len(segments.numbers(tmp_path)) == 2
    disk.keeps = True
    ledger.close()


def test_a_full_disk_acknowledges_nothing_and_gets_everything_in_order_when_it_has_room(tmp_path: Path) -> None:
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, disk=disk.calls)
    begin(ledger, "a")
    disk.room = 100
    assert not end(ledger, "a")
    assert not healthy(ledger)
    assert str(tmp_path) in ledger.problem
    assert "No space left" in ledger.problem
    begin(ledger, "b")
    assert not ledger.retry()
    assert records_in(tmp_path) == [started("a")]
    disk.room = None
    assert ledger.retry()
    assert healthy(ledger)
    assert ledger.problem == ""
    # Byte for byte: what the short write left is completed, not begun again.
    lines = line(started("a")) + line(ended("a")) + line(started("b"))
    assert segments.path_of(tmp_path, 1).read_bytes() == lines
    ledger.close()


def test_dev_full_is_reported_and_left_behind(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    full, true = os.open("/dev/full", os.O_WRONLY), ledger._descriptor
    ledger._descriptor = full
    assert not end(ledger, "a")
    assert "No space left" in ledger.problem
    ledger._descriptor = true
    os.close(full)
    assert ledger.retry()
    assert records_in(tmp_path) == [ended("a")]
    ledger.close()


def test_records_in_memory_are_bounded_and_a_refused_one_is_counted(tmp_path: Path) -> None:
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, most_held=3, disk=disk.calls)
    begin(ledger, "a")
    assert ledger.sync()
    disk.room = 0
    for name in "bcdef":
        begin(ledger, name)
    assert not end(ledger, "a")
    assert ledger.dropped == 3
    disk.room = None
    assert ledger.retry()
    assert ledger.sync()
    assert end(ledger, "b")
    assert names_of(records_in(tmp_path)) == ["a", "b", "c", "d", "b"]
    ledger.close()
    assert segments.unfinished(tmp_path) == ["a", "c", "d"]


def test_of_what_comes_at_once_as_much_is_kept_as_there_is_room_for(tmp_path: Path) -> None:
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, most_held=5, disk=disk.calls)
    disk.room = 0
    assert not ledger.write([interception("a"), interception("b")], [ending("a")])
    assert not ledger.write([interception("c")], [ending("b"), ending("c")])
    assert not ledger.write([interception("d")], [ending("d")])
    assert ledger.dropped == 3
    disk.room = None
    assert ledger.retry()
    assert names_of(records_in(tmp_path)) == ["a", "b", "a", "c", "b"]
    assert ledger.close()
    assert segments.unfinished(tmp_path) == ["c"]


def test_what_the_disk_may_not_keep_counts_as_held_in_memory(tmp_path: Path) -> None:
    disk = MoodyDisk()
    ledger = Journal.open(tmp_path, now=NOW, most_held=3, disk=disk.calls)
    disk.keeps = False
    assert begin(ledger, "a", "b")
    assert not ledger.sync()
    assert not ledger.write([interception("c"), interception("d")], [])
    assert ledger.dropped == 1
    disk.keeps = True
    assert ledger.sync()
    assert segments.unfinished(tmp_path) == ["a", "b", "c"]
    ledger.close()


def test_a_failed_fdatasync_moves_everything_not_yet_safe_into_a_new_file(tmp_path: Path) -> None:
    disk = MoodyDisk()
    told: list[int] = []
    ledger = Journal.open(tmp_path, now=NOW, notify=told.append, disk=disk.calls)
    begin(ledger, "safe")
    assert ledger.sync()
    disk.keeps = False
    begin(ledger, "b")
    end(ledger, "b")
    assert not ledger.sync()
    assert not healthy(ledger)
    assert "Input/output" in ledger.problem
    disk.room = 50
    end(ledger, "safe")
    disk.room, disk.keeps = None, True
    ledger.retry()
    assert ledger.sync()
    assert healthy(ledger)
    newest = segments.path_of(tmp_path, segments.numbers(tmp_path)[-1])
    reading = entry.read(newest.read_bytes())
    assert (reading.started, reading.ended) == ([started("b")], [ended("b"), ended("safe")])
    assert told[-2:] == [2, 1]
    ledger.close()


def test_a_segment_that_cannot_be_begun_leaves_the_present_one_in_use(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=3 * len(line(started("a"))))
    blocker = segments.path_of(tmp_path, 2).with_name("0000000002.journal.new")
    blocker.mkdir()
    for name in "abcd":
        begin(ledger, name)
    assert healthy(ledger)
    blocker.rmdir()
    begin(ledger, "e")
    assert segments.numbers(tmp_path) == [1, 2]
    assert names_of(records_in(tmp_path)) == [*"abcde", *"abcde"]
    ledger.close()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.sampled_from(["begin", "end", "retry", "heal", "sync", "spoil"]),
            st.integers(0, 600),
        ),
        max_size=40,
    ),
    segment_bytes=st.sampled_from([1, 1000, 1 << 20]),
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
            begin(ledger, begun[-1])
        elif step == "end" and len(over) < len(begun):
            over.append(begun[len(over)])
            if end(ledger, over[-1]):
                acknowledged.append(over[-1])
        elif step == "retry":
            ledger.retry()
        elif step == "heal":
            disk.room, disk.keeps = None, True
        elif step == "spoil":
            disk.keeps = False
        elif step == "sync":
            ledger.sync()
        assert set(acknowledged) <= set(names_of(endings_in(directory)))
    disk.room, disk.keeps = None, True
    ledger.sync()  # meets whatever failure is still under way in the background
    ledger.retry()
    assert ledger.close()
    assert set(names_of(endings_in(directory))) == set(over)
    in_order = list(dict.fromkeys(names_of(records_in(directory))))
    assert in_order == begun
    assert set(segments.unfinished(directory)) == set(begun) - set(over)
