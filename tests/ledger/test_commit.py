"""Group commit: the disk is asked soon and for many records at once, and the writer never waits for it."""

import errno
import os
import threading
from pathlib import Path

import pytest
from ledger_samples import NOW, begin, end

from aibridge.ledger import commit
from aibridge.ledger.commit import GroupCommit
from aibridge.ledger.journal import Journal
from aibridge.ledger.segments import Disk

PATIENCE = 10.0


class SlowDisk:
    """A disk whose fdatasync takes until it is released."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.released = threading.Event()
        self.calls = 0

    def fdatasync(self, descriptor: int) -> None:
        self.calls += 1
        self.asked.set()
        assert self.released.wait(PATIENCE)
        os.fdatasync(descriptor)


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    """A file to write to; whoever is given it closes it."""
    return os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)


def test_a_record_is_put_on_the_disk_without_being_asked_for(tmp_path: Path, descriptor: int) -> None:
    disk = SlowDisk()
    disk.released.set()
    group = GroupCommit(tmp_path, descriptor, Disk(fdatasync=disk.fdatasync))
    group.wrote(b"a", 1)
    assert disk.asked.wait(PATIENCE)
    group.close()
    assert group.held == 0


def test_the_hundredth_record_does_not_wait_for_the_interval(
    tmp_path: Path, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "GROUP_SECONDS", 3600.0)
    disk = SlowDisk()
    disk.released.set()
    group = GroupCommit(tmp_path, descriptor, Disk(fdatasync=disk.fdatasync))
    for records in (1, 32, 32, 34):
        group.wrote(b"a", records)
    assert not disk.asked.wait(0.01)
    group.wrote(b"a", 1)
    assert disk.asked.wait(PATIENCE)
    group.close()


def test_the_writer_never_waits_for_the_disk_and_many_records_share_one_fdatasync(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.released.set()
    ledger = Journal.open(tmp_path, now=NOW, disk=Disk(fdatasync=disk.fdatasync))
    disk.released.clear()
    disk.asked.clear()
    begin(ledger, "first")
    assert disk.asked.wait(PATIENCE)
    calls = disk.calls
    for count in range(500):
        assert end(ledger, f"i{count}")
    assert disk.calls == calls
    disk.released.set()
    assert ledger.close()
    assert disk.calls <= calls + 3


def test_a_writer_of_new_segments_does_not_wait_either(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.released.set()
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=1000, disk=Disk(fdatasync=disk.fdatasync))
    disk.released.clear()
    for count in range(50):
        assert end(ledger, f"i{count}")
    disk.released.set()
    assert ledger.close()


def test_nothing_is_synced_into_a_broken_file_again(tmp_path: Path, descriptor: int) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    group = GroupCommit(tmp_path, descriptor, Disk(fdatasync=refuse))
    group.wrote(b"a", 1)
    group.wrote(b"b", 2)
    assert not group.sync()
    group.wrote(b"c", 3)
    group._fdatasync = os.fdatasync
    assert not group.sync()
    assert (group.unsynced(), group.held) == (b"abc", 6)
    group.replace(os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT))
    assert group.problem
    assert group.sync()
    assert group.problem == ""
    assert group.held == 0
    assert not group.behind
    group.close()


def test_closing_closes_every_file_once(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=1)
    for count in range(20):
        end(ledger, f"i{count}")
        ledger.sync()
    ledger.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
