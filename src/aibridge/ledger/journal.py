"""The journal: where the data plane writes down each interception before its response ends.

One process, one directory, one thread (the event loop's) that calls. Nothing here waits for the disk.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.row import end_of, start_of
from aibridge.ledger import cursor, entry, segments
from aibridge.ledger.commit import GroupCommit
from aibridge.ledger.segments import Disk

SEGMENT_BYTES: Final = 16 << 20
"""About 85,000 records. Recovery reads at most two segments, at about 150 MB/s."""
MOST_HELD: Final = 100_000
"""How many records are held in memory while the disk refuses them: about 20 MB."""

_log: Final = logging.getLogger(__name__)


class JournalLocked(Exception):  # noqa: N818 - a word of the domain
    """Another process writes to this journal."""


class Journal:
    """Appends interceptions to the newest segment of a directory.

    `notify` is told how many records were just written.

    The head of each segment holds the start of every interception that is open at that moment. So any earlier segment
    may be deleted once it is shipped, and recovery need not read it. A segment is followed by the next only when its
    head is on the disk, so a power failure takes at most one head.
    """

    def __init__(  # noqa: PLR0913 - the parts `open` puts together; nobody else calls it
        self,
        directory: Path,
        lock: int,
        number: int,
        descriptor: int,
        *,
        segment_bytes: int,
        most_held: int,
        notify: Callable[[int], object],
        disk: Disk,
    ) -> None:
        self.dropped = 0
        """How many records were refused because `most_held` were waiting already."""
        self._directory = directory
        self._lock = lock
        self._number = number
        self._descriptor = descriptor
        self._segment_bytes = segment_bytes
        self._most_held = most_held
        self._notify = notify
        self._disk = disk
        self._commit = GroupCommit(directory, descriptor, disk)
        self._open: dict[str, Interception] = {}
        self._pending: list[bytes] = []
        self._waiting = 0
        """How many records the pending lines hold."""
        self._written = 0
        """How many bytes of the pending lines the kernel has taken already, after a short write."""
        self._size = 0
        self._full_at = segment_bytes
        self._problem = ""

    @classmethod
    def open(  # noqa: PLR0913 - the last three are for tests, and for those who know better
        cls,
        directory: Path,
        *,
        now: int,
        segment_bytes: int = SEGMENT_BYTES,
        most_held: int = MOST_HELD,
        notify: Callable[[int], object] = lambda _: None,
        disk: Disk = Disk(),  # noqa: B008 - immutable
    ) -> Self:
        """Open the journal in `directory`, made if need be, and close what an earlier process left open.

        Interceptions without an end become `interrupted` at `now` (UTC microseconds), on the disk before this returns.
        Raises JournalLocked when another process has the directory, OSError when the disk refuses.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(directory)
        try:
            segments.remove_unfinished(directory)
            left = segments.unfinished(directory)
            # The cursor counts too: a power failure may take a segment's name but not the memory of having shipped it.
            number = max([cursor.load(directory).segment, *segments.numbers(directory)]) + 1
            head = entry.encode((), [end_of(_interruption(interception_id, now)) for interception_id in left])
            descriptor = segments.create(directory, number, head, disk, synced=True)
        except BaseException:
            os.close(lock)
            raise
        if left:
            _log.warning("%d interceptions of an earlier run had no end: recorded as interrupted", len(left))
            notify(len(left))
        return cls(
            directory,
            lock,
            number,
            descriptor,
            segment_bytes=segment_bytes,
            most_held=most_held,
            notify=notify,
            disk=disk,
        )

    @property
    def healthy(self) -> bool:
        """Whether the disk takes what is written. While it does not, no new call should be accepted."""
        return not (self._problem or self._commit.problem)

    @property
    def problem(self) -> str:
        """What is wrong, in one line that names the directory; empty when healthy."""
        return self._problem or self._commit.problem

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> bool:
        """Write down, now and in one go, what began and what ended; return whether the kernel has all of it.

        False means that it waits in memory for the disk (see `problem`), or that some of it is past `most_held` and
        lost: an interception that loses its ending so is closed as interrupted by the next process.
        """
        room = max(0, self._most_held - self._waiting - self._commit.held)
        refused = len(started) + len(ended) - room
        if refused > 0:
            self._refuse(refused)
            started = started[:room]
            ended = ended[: room - len(started)]
        if lines := entry.encode([start_of(each) for each in started], [end_of(each) for each in ended]):
            self._pending.append(lines)
            self._waiting += len(started) + len(ended)
        for interception in started:
            self._open[interception.id] = interception
        for ending in ended:
            self._open.pop(ending.id, None)
        return self.flush() and refused <= 0

    def flush(self) -> bool:
        """Write everything that waits, in order; return whether nothing waits any more."""
        while self._pending:
            data = b"".join(self._pending)
            try:
                self._written += self._disk.write(self._descriptor, data[self._written :])
            except OSError as error:
                self._failed(error)
                return False
            if self._written == len(data):  # otherwise the rest is next, exactly behind what was taken
                records, self._waiting = self._waiting, 0
                self._pending.clear()
                self._written = 0
                self._size += len(data)
                self._commit.wrote(data, records)
                self._notify(records)
        if self._problem:
            _log.warning("the journal in %s is written again", self._directory)
            self._problem = ""
        if self._size >= self._full_at and not self._commit.behind:
            self._follow()
        return True

    def retry(self) -> bool:
        """Try again what the disk refused, if it did; to be called about once a second. Return whether all is well."""
        if self._commit.broken:
            self._replace()
        return self.flush() and self.healthy

    def sync(self) -> bool:
        """Write everything and wait until it is on the disk; return whether it is. Blocks: for the shutdown."""
        if self._commit.broken:
            self._replace()
        return self.flush() and self._commit.sync()

    def close(self) -> bool:
        """Sync, end the background thread and let go of the directory; return what `sync` returned."""
        synced = self.sync()
        self._commit.close()
        os.close(self._lock)
        self._descriptor = -1  # the number may soon be another file's
        return synced

    def _refuse(self, records: int) -> None:
        self.dropped += records
        self._problem = self._problem or f"journal directory {self._directory}: {self._most_held} records wait already"

    def _failed(self, error: OSError) -> None:
        if not self._problem:
            _log.error("the journal in %s cannot be written: %s", self._directory, error)
        self._problem = f"journal directory {self._directory}: {error.strerror}"

    def _follow(self) -> None:
        """Begin the next segment."""
        try:
            descriptor = self._create_next(b"", 0)
        except OSError as error:
            # No reason to stop: this segment goes on, and the next attempt comes when it has grown by a sixteenth.
            _log.warning("no new segment in %s yet: %s", self._directory, error)
            self._full_at = self._size + self._segment_bytes // 16
            return
        self._commit.follow(descriptor)

    def _replace(self) -> None:
        """Begin the next segment with everything that the present one may not keep."""
        try:
            descriptor = self._create_next(self._commit.unsynced(), self._commit.held)
        except OSError as error:
            self._failed(error)
            return
        self._written = 0  # what was begun in the old file is written whole into the new one
        self._commit.replace(descriptor)

    def _create_next(self, lines: bytes, records: int) -> int:
        """Make the next segment, with a head of all that is open and the given lines, which hold so many records."""
        head = entry.encode([*map(start_of, self._open.values())], ()) + lines
        descriptor = segments.create(self._directory, self._number + 1, head, self._disk)
        self._number += 1
        self._descriptor = descriptor
        self._size = 0
        self._full_at = self._segment_bytes
        self._notify(len(self._open) + records)
        return descriptor


def _interruption(interception_id: str, now: int) -> Ending:
    return Ending(id=interception_id, status=Status.INTERRUPTED, error="interrupted", ended_at=now)


def _locked(directory: Path) -> int:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalLocked(f"journal directory {directory} is in use by another process") from None
    return descriptor
