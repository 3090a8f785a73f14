"""Group commit: what the journal wrote is put on the disk in the background, many records with one fdatasync."""

import logging
import os
import threading
from pathlib import Path
from typing import Final

from aibridge.ledger import segments
from aibridge.ledger.segments import Disk

GROUP_SECONDS: Final = 0.005
GROUP_RECORDS: Final = 100

_log = logging.getLogger(__name__)


class GroupCommit:
    """Calls fdatasync at most 5 ms after the first record that needs it, or at the hundredth, in a thread of its own.

    The thread starts with the first record. `wrote`, `follow` and `replace` belong to the thread that writes and never
    wait for the disk; `sync` and `close` do.

    After a failed fdatasync the kernel may have dropped the pages and will report success the next time, so such a
    file is not trusted again: the lines not known to be on the disk are kept, `broken` is true, and nothing is synced
    until the journal has written them into another file (`replace`).
    """

    def __init__(self, directory: Path, descriptor: int, disk: Disk) -> None:
        self.problem = ""
        """What the disk said last, empty when all is well."""
        self.broken = False
        """Whether the file must be replaced."""
        self._directory = directory
        self._descriptor = descriptor
        self._fdatasync = disk.fdatasync
        self._unsynced: list[bytes] = []
        self._records = 0
        """How many the unsynced lines hold."""
        self._retired: list[int] = []
        self._new_name = False
        self._closing = threading.Event()
        self._state = threading.Lock()
        """Guards the fields above; held for moments."""
        self._one_at_a_time = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> int:
        """How many records are kept because they are not known to be on the disk."""
        return self._records

    @property
    def behind(self) -> bool:
        """Whether the newest segment's head is not known to be on the disk."""
        return self._new_name

    def unsynced(self) -> bytes:
        """Return the lines that are not known to be on the disk, oldest first."""
        with self._state:
            return b"".join(self._unsynced)

    def wrote(self, lines: bytes, records: int) -> None:
        """Take note of lines that were just written, and of how many records they hold."""
        with self._state:
            before = self._records
            self._unsynced.append(lines)
            after = self._records = before + records
        if before == 0 or before < GROUP_RECORDS <= after:
            self._ask()

    def follow(self, descriptor: int) -> None:
        """Go on with another file; the present one is synced a last time and closed."""
        with self._state:
            self._retired.append(self._descriptor)
            self._descriptor = descriptor
            self._new_name = True
        self._ask()

    def replace(self, descriptor: int) -> None:
        """Go on with a file that holds again everything in `unsynced`; the broken one is closed."""
        with self._state:
            for stale in (*self._retired, self._descriptor):
                os.close(stale)
            self._retired.clear()
            self._descriptor = descriptor
            self._new_name = True
            self.broken = False
        self._ask()

    def sync(self) -> bool:
        """Put everything written so far on the disk; return whether that worked."""
        with self._one_at_a_time:
            with self._state:
                if self.broken:
                    return False
                lines, self._unsynced = self._unsynced, []
                records, self._records = self._records, 0
                retired, self._retired = self._retired, []
                descriptor, new_name = self._descriptor, self._new_name
            try:
                for each in (*retired, descriptor):
                    self._fdatasync(each)
                if new_name:
                    segments.sync_directory(self._directory)
            except OSError as error:
                with self._state:
                    self._unsynced = lines + self._unsynced
                    self._records += records
                    self._retired = retired + self._retired
                    self.broken = True
                if not self.problem:
                    _log.error("the disk does not keep the journal in %s: %s", self._directory, error)
                self.problem = f"journal directory {self._directory}: fdatasync: {error.strerror}"
                return False
            for each in retired:
                os.close(each)
            with self._state:
                self._new_name = self._descriptor != descriptor
            if self.problem:
                _log.warning("the disk keeps the journal in %s again", self._directory)
                self.problem = ""
            return True

    def close(self) -> None:
        """End the thread and close the files. What is not synced by then is left to the kernel."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        for descriptor in (*self._retired, self._descriptor):
            os.close(descriptor)

    def _ask(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger-commit", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()  # for the first record of a group
            self._wake.clear()
            self._wake.wait(GROUP_SECONDS)  # for the hundredth
            self._wake.clear()
            self.sync()
