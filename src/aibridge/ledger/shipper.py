"""The shipper: moves records from the journal's segments into the database, in order and in batches."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from aibridge.domain.row import End, Start
from aibridge.ledger import cursor, entry, segments
from aibridge.ledger.cursor import Cursor

GATHER_SECONDS: Final = 0.5
"""How long records gather before the next batch, whose fixed cost is that of 100 calls: about 1 ms."""
FULL_BATCH_BYTES: Final = 1 << 20
"""When as much waits, a batch is worth its cost at once."""
_RECORD_BYTES: Final = 200
"""What a record is taken for until one was read."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where records end up. The store implements it."""

    def write_rows(self, started: Sequence[Start], ended: Sequence[End]) -> None:
        """Keep all of these, in one transaction, or raise whatever the database raises and keep none.

        May block. Must know a record by its id: whole batches come again after a crash, and a start comes again for as
        long as it is open when a segment begins. The first start and the first ending of an id stand, within a batch
        and beyond. An ending may come in the batch of its start or in a later one; where its start was never seen (it
        was lost with a damaged line) it may be ignored.
        """


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the shipper is."""

    behind: int
    """How many records wait; told from their bytes, so exact only when it is 0."""
    since: float | None
    """When this process last left less than a batch behind, on the monotonic clock; which all processes share."""


class Shipper:
    """Reads the segments of a directory from a saved cursor.

    A batch is committed by the sink first and the cursor moves after, so a crash in between repeats the batch. What is
    handed to the sink is on the disk: the database never knows what the journal might forget. A segment that was
    shipped to its end and has a successor is deleted. There may be one shipper of a directory at a time, in whichever
    process; it shares nothing with the journal but the files.
    """

    def __init__(self, directory: Path, sink: Sink, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._sink = sink
        self._clock = clock
        self._cursor = cursor.load(directory)
        self._since: float | None = None
        self._shipped_bytes = self._shipped_records = 0
        self._failures = 0

    def run(self, stopping: threading.Event, tell: Callable[[Progress], object]) -> bool:
        """Ship until told to stop, and then what is there; return whether that was everything.

        `tell` hears of the progress when there is any. A sink that fails gets the batch again after a pause, and once
        more when told to stop. What is left is shipped by the next process.
        """
        told: tuple[int, int] | None = None
        while True:
            last = stopping.is_set()  # asked before reading: what was written before is shipped
            pause = self._attempt(FULL_BATCH_BYTES if not last else 1)
            progress = self.progress()
            if told != (told := (progress.behind, self._shipped_records)):
                tell(progress)
            if last and pause:
                return not self._failures
            stopping.wait(pause)

    def ship(self) -> bool:
        """Ship one batch; return whether there was one. Raises what the sink raises, and OSError."""
        while True:
            here = self._cursor
            path = segments.path_of(self._directory, here.segment)
            # Looked for before reading: a segment that has a successor now was complete before we read it.
            later = [number for number in segments.numbers(self._directory) if number > here.segment]
            data = segments.read(path, here.offset)
            reading = entry.read(data)
            if reading.lines:
                break
            if not later:
                return False
            if data:
                _log.info("%s: its last record was never finished", path)
            self._enter(later[0])
        if reading.damaged:
            _log.warning("%s: skipped %d damaged lines", path, reading.damaged)
        segments.sync(path)
        self._sink.write_rows(reading.started, reading.ended)
        self._move(Cursor(segment=here.segment, offset=here.offset + reading.end))
        self._shipped_bytes += reading.end
        self._shipped_records += len(reading.started) + len(reading.ended)
        return True

    def progress(self) -> Progress:
        """Return how far this is, as the sizes of the files tell it."""
        waiting = self._waiting()
        each = self._shipped_bytes / self._shipped_records if self._shipped_records else _RECORD_BYTES
        return Progress(behind=max(1, round(waiting / each)) if waiting else 0, since=self._since)

    def _attempt(self, enough: int) -> float:
        """Ship a batch; return the seconds until the next, none when `enough` bytes wait already."""
        try:
            more = self.ship() and self._waiting() >= enough
        except Exception as error:  # noqa: BLE001 - the sink's library decides what it raises; shipping goes on
            if not self._failures:
                _log.error("the ledger's records wait in %s: %s: %s", self._directory, type(error).__name__, error)
            self._failures += 1
            return pause_after(self._failures)
        if self._failures:
            _log.warning("the ledger's records in %s are shipped again", self._directory)
            self._failures = 0
        if more:
            return 0.0
        self._since = self._clock()
        return GATHER_SECONDS

    def _waiting(self) -> int:
        """How many bytes are written and not shipped."""
        here = self._cursor
        waiting = 0
        for number in segments.numbers(self._directory):
            if number >= here.segment:
                size = segments.path_of(self._directory, number).stat().st_size
                waiting += max(0, size - here.offset) if number == here.segment else size
        return waiting

    def _enter(self, number: int) -> None:
        """Go on to a later segment and delete the earlier ones, whose open interceptions its head names."""
        segments.sync(segments.path_of(self._directory, number))
        segments.sync_directory(self._directory)
        self._move(Cursor(segment=number))
        for old in segments.numbers(self._directory):
            if old < number:
                segments.path_of(self._directory, old).unlink(missing_ok=True)

    def _move(self, to: Cursor) -> None:
        self._cursor = to
        try:
            cursor.save(self._directory, to)
        except OSError as error:
            # An old cursor only repeats batches. A full disk gets room again by our going on to delete segments.
            _log.warning("the shipper's place in %s is not saved: %s", self._directory, error)


def pause_after(failures: int) -> float:
    """Return the seconds to wait after that many failures in a row: 1, 2, 4, ... and never more than 30."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
