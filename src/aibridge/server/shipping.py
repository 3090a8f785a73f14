"""The shipping process as its parent sees it: started, listened to, started again when it dies, told to end."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from aibridge.ledger.shipper import Progress
from aibridge.shipping import SECONDS_TO_END, Order

_ARGUMENTS: Final = ("-P", "-m", "aibridge.shipping")
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
_SECONDS_TO_KILL: Final = SECONDS_TO_END + 1.0
"""The process ends itself in time; this is for one that was stopped from outside."""

_log = logging.getLogger("aibridge")


class Shipping:
    """Keeps the shipping process alive and knows how far it is.

    Make it before the journal is opened (`Journal.open(notify=shipping.notify)`), so that `lag` misses nothing; `start`
    it afterwards, when the directory is known to be ours. A process that died costs time and nothing else, since its
    place is on the disk.
    """

    def __init__(self, directory: Path, database: str, clock: Callable[[], float] = monotonic) -> None:
        self._order = msgspec.json.encode(Order(directory=str(directory), database=database)) + b"\n"
        self._clock = clock
        self._behind = 0
        self._behind_since: float | None = None
        self._process: Process | None = None
        self._keeper: asyncio.Task[bool] | None = None
        self._stopping = asyncio.Event()
        self._missed = False

    def start(self) -> None:
        """Begin to ship, soon: nothing waits for the process."""
        self._keeper = asyncio.create_task(self._keep())

    def notify(self, records: int) -> None:
        """Take note that records were written. Cheap: it is called with every write."""
        self._behind += records
        if self._behind_since is None:
            self._behind_since = self._clock()

    def lag(self) -> int:
        """Return how many records are written and not in the database; an estimate unless it is 0."""
        return self._behind

    def lag_seconds(self) -> float:
        """Return for how long there has been something to ship without a moment of being done, 0.0 when done."""
        return 0.0 if self._behind_since is None else self._clock() - self._behind_since

    async def stop(self) -> bool:
        """Let the process ship what is there, for a few seconds (`SECONDS_TO_END`); return whether that was all."""
        self._stopping.set()
        self._end_input()
        if self._keeper is None:
            return self._behind == 0
        try:
            return await asyncio.wait_for(asyncio.shield(self._keeper), _SECONDS_TO_KILL)
        except TimeoutError:
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            return await self._keeper

    async def _keep(self) -> bool:
        """Run one process after the other until told to stop; return whether everything was shipped."""
        deaths = 0
        while not self._stopping.is_set():
            began = self._clock()
            outcome = await self._run()
            if self._stopping.is_set():
                return outcome == 0
            deaths = deaths + 1 if self._clock() - began < _LONGEST_PAUSE else 1
            if deaths == 1:
                _log.error("the shipping process has ended (%s); another one is started", outcome)
                self._missed = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_after(deaths))
        return self._behind == 0

    async def _run(self) -> int | str:
        """Run a process to its end; return its exit code, or why it could not be started."""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                # Away from our session: a Ctrl-C while it is starting would end it before it can say no.
                *(sys.executable, *_ARGUMENTS),
                stdin=PIPE,
                stdout=PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return str(error)
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 (they are pipes)
        process.stdin.write(self._order)
        if self._stopping.is_set():
            self._end_input()
        async for line in process.stdout:
            self._hear(line)
        return await process.wait()

    def _hear(self, line: bytes) -> None:
        try:
            progress = msgspec.json.decode(line, type=Progress)
        except msgspec.MsgspecError:
            return  # half a line: the process died over it
        if self._missed:
            _log.warning("the shipping process is at work again")
            self._missed = False
        self._behind = progress.behind
        if not progress.behind:
            self._behind_since = None
        elif progress.since is not None:
            self._behind_since = progress.since
        elif self._behind_since is None:
            self._behind_since = self._clock()

    def _end_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()


def pause_after(deaths: int) -> float:
    """Return the seconds to wait after that many deaths in a row: 0.2, 0.4, ... and never more than 10."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(deaths - 1, 10))
