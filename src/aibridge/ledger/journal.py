"""The journal: where the data plane writes down each interception before its response ends.

One process, one directory, one thread (the event loop's) that calls. Nothing here waits for the disk.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.ledger import cursor, segments
from aibridge.ledger.commit import GroupCommit
from aibridge.ledger.entry import Ended, Entry, Started, encode
from aibridge.ledger.segments import Disk

SEGMENT_BYTES: Final = 16 << 20
"""About 50,000 records. Recovery reads at most two segments, at about 100 MB/s."""
MOST_HELD: Final = 100_000
"""How many records are held in memory while the disk refuses them: about 70 MB."""
_MOST_AT_ONCE: Final = 512

_log = logging.getLogger(__name__)


class JournalLocked(Exception):  # noqa: N818 - a word of the domain
    """Another process writes to this journal."""


class Journal:
    """Appends interceptions to the newest segment of a directory.

    `schedule` runs a function soon, for example `loop.call_soon`, and gathers the starts of one turn of the loop into
    one write; without it a start is written at once. `notify` is told how many records were just written.

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
        schedule: Callable[[Callable[[], object]], object] | None,
        notify: Callable[[int], object],
        disk: Disk,
    ) -> None:
        self.dropped = 0
        """How many records were refused because `MOST_HELD` were waiting already."""
        self._directory = directory
        self._lock = lock
        self._number = number
        self._descriptor = descriptor
        self._segment_bytes = segment_bytes
        self._schedule = schedule
        self._notify = notify
        self._disk = disk
        self._commit = GroupCommit(directory, descriptor, disk)
        self._open: dict[str, bytes] = {}
        self._pending: list[bytes] = []
        self._written = 0
        """How many bytes of the first pending lines the kernel has taken already, after a short write."""
        self._size = 0
        self._full_at = segment_bytes
        self._flush_scheduled = False
        self._problem = ""

    @classmethod
    def open(  # noqa: PLR0913 - each is a decision of the composition root or a test
        cls,
        directory: Path,
        *,
        now: int,
        segment_bytes: int = SEGMENT_BYTES,
        schedule: Callable[[Callable[[], object]], object] | None = None,
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
            head = [encode(_interruption(interception, now)) for interception in left]
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
            schedule=schedule,
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

    def begin(self, interception: Interception) -> None:
        """Write down, soon, that an interception began."""
        line = encode(Started(interception=interception))
        if not self._hold(line):
            return
        self._open[interception.id] = line
        if self._schedule is None:
            self.flush()
        elif not self._flush_scheduled:
            self._flush_scheduled = True
            self._schedule(self.flush)

    def end(self, ending: Ending) -> bool:
        """Write down, now, that an interception ended; return whether the kernel has it.

        False means that the record waits in memory for the disk (see `problem`), or, past `MOST_HELD`, that it is lost
        and the interception will be closed as interrupted by the next process.
        """
        if not self._hold(encode(Ended(ending=ending))):
            return False
        self._open.pop(ending.id, None)
        return self.flush()

    def write(self, started: Iterable[Interception], ended: Iterable[Ending]) -> bool:
        """Write down, now and in one go, what began and what ended; return what `end` returns."""
        kept = True
        for interception in started:
            line = encode(Started(interception=interception))
            if self._hold(line):
                self._open[interception.id] = line
            else:
                kept = False
        for ending in ended:
            if self._hold(encode(Ended(ending=ending))):
                self._open.pop(ending.id, None)
            else:
                kept = False
        return self.flush() and kept

    def flush(self) -> bool:
        """Write everything that waits, in order; return whether nothing waits any more."""
        self._flush_scheduled = False
        while self._pending:
            lines = self._pending[:_MOST_AT_ONCE]
            data = b"".join(lines)
            try:
                self._written += self._disk.write(self._descriptor, data[self._written :])
            except OSError as error:
                self._failed(error)
                return False
            if self._written == len(data):  # otherwise the rest is next, exactly behind what was taken
                del self._pending[: len(lines)]
                self._written = 0
                self._size += len(data)
                self._commit.wrote(lines)
                self._notify(len(lines))
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

    def _hold(self, line: bytes) -> bool:
        if len(self._pending) + self._commit.held >= MOST_HELD:
            self.dropped += 1
            self._problem = self._problem or f"journal directory {self._directory}: {MOST_HELD} records wait already"
            return False
        self._pending.append(line)
        return True

    def _failed(self, error: OSError) -> None:
        if not self._problem:
            _log.error("the journal in %s cannot be written: %s", self._directory, error)
        self._problem = f"journal directory {self._directory}: {error.strerror}"

    def _follow(self) -> None:
        """Begin the next segment."""
        try:
            descriptor = self._create_next([*self._open.values()])
        except OSError as error:
            # No reason to stop: this segment goes on, and the next attempt comes when it has grown by a sixteenth.
            _log.warning("no new segment in %s yet: %s", self._directory, error)
            self._full_at = self._size + self._segment_bytes // 16
            return
        self._commit.follow(descriptor)

    def _replace(self) -> None:
        """Begin the next segment with everything that the present one may not keep."""
        try:
            descriptor = self._create_next([*self._open.values(), *self._commit.unsynced()])
        except OSError as error:
            self._failed(error)
            return
        self._written = 0  # a line that was begun in the old file is written whole into the new one
        self._commit.replace(descriptor)

    def _create_next(self, head: list[bytes]) -> int:
        descriptor = segments.create(self._directory, self._number + 1, head, self._disk)
        self._number += 1
        self._descriptor = descriptor
        self._size = 0
        self._full_at = self._segment_bytes
        self._notify(len(head))
        return descriptor


def _interruption(interception: Interception, now: int) -> Entry:
    return Ended(ending=Ending(id=interception.id, status=Status.INTERRUPTED, error="interrupted", ended_at=now))


def _locked(directory: Path) -> int:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalLocked(f"journal directory {directory} is in use by another process") from None
    return descriptor
