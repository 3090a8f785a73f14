"""What began and ended in one turn of the event loop, written with one system call."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from aibridge.domain.interception import Ending, Interception

_log: Final = logging.getLogger(__name__)


class Writer(Protocol):
    """Where a turn's records are written. See `ledger.journal`."""

    @property
    def healthy(self) -> bool:
        """Whether the disk takes what is written."""

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> bool:
        """Write down, now and in one go, what began and what ended; return whether all of it is written."""


class Turn:
    """Gathers records until the turn of the loop is over, writes them together, and then says so.

    While the disk refuses, the records wait in memory (`Journal`), and whoever waits for them is told all the same.

    `soon` runs a function when the turn is over: `loop.call_soon`. The more calls end together, the fewer
    writes each of them costs; a call alone costs one, as it would without this.
    """

    def __init__(self, journal: Writer, soon: Callable[[Callable[[], None]], object]) -> None:
        self._journal = journal
        self._soon = soon
        self._started: list[Interception] = []
        self._ended: list[Ending] = []
        self._waiting: list[Callable[[], None]] = []
        self._scheduled = False

    @property
    def healthy(self) -> bool:
        """Whether the disk takes what is written. While it does not, no new call should be accepted."""
        return self._journal.healthy

    def begin(self, interception: Interception) -> None:
        """Write down, at the end of this turn, that an interception began."""
        self._started.append(interception)
        if not self._scheduled:
            self._schedule()

    def end(self, ending: Ending) -> None:
        """Write down, at the end of this turn, that an interception ended."""
        self._ended.append(ending)
        if not self._scheduled:
            self._schedule()

    def written(self, then: Callable[[], None]) -> None:
        """Call `then` when all that was said so far is in the kernel, or waits in memory for a disk that refuses it."""
        self._waiting.append(then)
        if not self._scheduled:
            self._schedule()

    def close(self) -> None:
        """Write what is left."""
        self._write()

    def _schedule(self) -> None:
        self._scheduled = True
        self._soon(self._write)

    def _write(self) -> None:
        self._scheduled = False
        started, self._started = self._started, []
        ended, self._ended = self._ended, []
        waiting, self._waiting = self._waiting, []
        try:
            self._journal.write(started, ended)
        except Exception:  # noqa: BLE001 (a record that cannot be written must not hold up those who wait)
            _log.exception("%d records could not be written", len(started) + len(ended))
        for then in waiting:
            try:
                then()
            except Exception:  # noqa: BLE001 (nor may one of them hold up the others)
                _log.exception("what was to follow a record failed; the others of its turn go on")
