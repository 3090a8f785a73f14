"""The shipper: moves records from the journal's segments into the database, in order and in batches."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from aibridge.domain.interception import Ending, Interception
from aibridge.ledger import cursor, entry, segments
from aibridge.ledger.cursor import Cursor
from aibridge.ledger.entry import Started

BATCH_RECORDS: Final = 500
"""Few enough that reading a batch keeps the interpreter from the event loop for about a millisecond."""
_IDLE_SECONDS: Final = 0.25
_GATHER_SECONDS: Final = 0.05
_BREATH_SECONDS: Final = 0.01
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where records end up. The store implements it."""

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> None:
        """Keep all of these, in one transaction, or raise whatever the database raises and keep none.

        May block. Must know a record by its id: whole batches come again after a crash, and a start comes again for as
        long as it is open when a segment begins. The first ending of an id stands. An ending may come in the batch of
        its start or in a later one; where its start was never seen (it was lost with a damaged line) it may be ignored.
        Within one batch no id comes twice in `started`, or in `ended`.
        """


class Shipper:
    """Reads the segments of a directory from a saved cursor, in a thread of its own.

    A batch is committed by the sink first and the cursor moves after, so a crash in between repeats the batch. What is
    handed to the sink is on the disk: the database never knows what the journal might forget. A segment that was
    shipped to its end and has a successor is deleted.

    Make it before the journal is opened (`Journal.open(notify=shipper.notify)`), so that `lag` misses nothing; `start`
    it afterwards, when the directory is known to be ours.
    """

    def __init__(self, directory: Path, sink: Sink, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._sink = sink
        self._clock = clock
        self._cursor = cursor.load(directory)
        self._found_sizes = [
            (number, segments.path_of(directory, number).stat().st_size) for number in segments.numbers(directory)
        ]
        self._found = self._noted = self._passed = 0
        self._behind_since: float | None = None
        self._failures = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._abandoned = self._finished = False
        self._thread = threading.Thread(target=self._run, name="ledger-shipper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def notify(self, records: int) -> None:
        """Take note that records were written. Cheap: for the thread that writes them."""
        self._noted += records
        if not self._wake.is_set():
            self._wake.set()

    def lag(self) -> int:
        """Return how many records are written and not shipped."""
        return max(0, self._found + self._noted - self._passed)

    def lag_seconds(self) -> float:
        """Return for how long there has been something to ship without a moment of being done, 0.0 when done."""
        since = self._behind_since
        return 0.0 if since is None else self._clock() - since

    def stop(self, timeout: float) -> bool:
        """Ship what is there and end the thread, within `timeout` seconds; return whether everything was shipped.

        A sink that fails gets one more try. What is left is shipped by the next process.
        """
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout)
        self._abandoned = True
        return self._finished

    def ship(self) -> bool:
        """Ship one batch; return whether there may be more. Raises what the sink raises, and OSError.

        The thread calls it; without `start`, so may anyone.
        """
        here = self._cursor
        path = segments.path_of(self._directory, here.segment)
        # Looked for before reading: a segment that has a successor now was complete before we read it.
        later = [number for number in segments.numbers(self._directory) if number > here.segment]
        data = segments.read(path, here.offset)
        reading = entry.read(data, BATCH_RECORDS)
        if reading.lines:
            if self._behind_since is None:
                self._behind_since = self._clock()
            if reading.damaged:
                _log.warning("%s: skipped %d damaged records", path, reading.damaged)
            segments.sync(path)
            self._write(reading)
            self._move(Cursor(segment=here.segment, offset=here.offset + reading.end))
            self._passed += reading.lines
            return True
        if later:  # and nothing more in this one
            if data:
                _log.info("%s: its last record was never finished", path)
            self._enter(later[0])
            return True
        self._behind_since = None
        return False

    def _run(self) -> None:
        self._found = self._count_found()
        while not self._abandoned:
            self._wake.clear()
            last = self._stopping.is_set()  # asked before reading: what was written before `stop` is shipped
            try:
                more = self.ship()
            except Exception as error:  # noqa: BLE001 - the sink's library decides what it raises; this thread goes on
                self._failed(error)
                if last:
                    return
                self._stopping.wait(pause_after(self._failures))
                continue
            self._worked()
            if more:
                self._stopping.wait(_BREATH_SECONDS)  # the event loop wants the interpreter too
                continue
            if last:
                self._finished = True
                return
            self._stopping.wait(_GATHER_SECONDS)
            self._wake.wait(_IDLE_SECONDS - _GATHER_SECONDS)

    def _write(self, reading: entry.Reading) -> None:
        started: dict[str, Interception] = {}
        ended: dict[str, Ending] = {}
        for found in reading.entries:
            if isinstance(found, Started):
                started.setdefault(found.interception.id, found.interception)
            else:
                ended.setdefault(found.ending.id, found.ending)
        self._sink.write(list(started.values()), list(ended.values()))

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

    def _failed(self, error: Exception) -> None:
        if not self._failures:
            _log.error("the ledger's records wait in %s: %s: %s", self._directory, type(error).__name__, error)
        self._failures += 1

    def _worked(self) -> None:
        if self._failures:
            _log.warning(
                "the ledger's records in %s are shipped again, after %d failures", self._directory, self._failures
            )
            self._failures = 0

    def _count_found(self) -> int:
        lines = 0
        for number, size in self._found_sizes:
            if number >= self._cursor.segment:
                offset = self._cursor.offset if number == self._cursor.segment else 0
                lines += segments.count_lines(segments.path_of(self._directory, number), offset, size)
        return lines


def pause_after(failures: int) -> float:
    """Return the seconds to wait after that many failures in a row: 1, 2, 4, ... and never more than 30."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
