"""The ledger's directories: which process writes to which, and what becomes of those that nobody writes to any more.

    data_dir/journal             the one process's; held by the supervisor where there are workers
    data_dir/journal/worker-3    worker 3's

Whoever holds the first is the only server of the data directory, and may take the others over. Each process ships its
own directory. What an earlier run with other workers left is shipped at the start, and the directory then removed:
interceptions without an end become `interrupted`, and nothing is lost or doubled, since the database knows each by id.
"""

import asyncio
import contextlib
import logging
import re
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

from aibridge.ledger import cursor, segments
from aibridge.ledger.journal import Journal, JournalLocked
from aibridge.options import Settings
from aibridge.server.shipping import Shipping

PATIENCE: Final = 10.0
"""Seconds that a worker waits for a directory which the one before it has not let go of yet."""
_LOOK_EVERY: Final = 0.1
_WORKER: Final = re.compile(r"worker-([0-9]+)")

_log = logging.getLogger("aibridge")


def directory_of(settings: Settings, worker: int | None = None) -> Path:
    """Where a worker's journal is, or that of the one process."""
    root = settings.data_dir / "journal"
    return root if worker is None else root / f"worker-{worker}"


def left_over(settings: Settings, workers: int) -> list[Path]:
    """The directories of workers that a run with so many has no use for."""
    found = []
    for path in directory_of(settings).glob("worker-*"):
        match = _WORKER.fullmatch(path.name)
        if match and int(match[1]) >= workers:
            found.append(path)
    return sorted(found)


@contextlib.asynccontextmanager
async def ledger(directory: Path, database: str, *, patience: float = 0.0) -> AsyncIterator[tuple[Journal, Shipping]]:
    """The journal and the process that ships it; at the end everything is on the disk and, if it may be, shipped.

    Raises:
        JournalLocked: another process has the directory, and still has it after `patience` seconds.
        OSError: the disk refuses.
    """
    shipping = Shipping(directory, database)
    journal = await _opened(directory, patience, shipping.notify)
    shipping.start()
    try:
        yield journal, shipping
    finally:
        journal.sync()
        if not await shipping.stop():
            _log.warning("about %d records are not in the database yet; the next start ships them", shipping.lag())
        if not journal.close():
            _log.error("the journal could not be written to its end: %s", journal.problem)


@contextlib.asynccontextmanager
async def claimed(settings: Settings) -> AsyncIterator[None]:
    """Be the one server of the data directory, whose workers write; what others left there is shipped meanwhile.

    Raises:
        JournalLocked: another server has it.
        OSError: the disk refuses.
    """
    root = directory_of(settings)

    async def take_over() -> None:
        await _ship(root, settings.database)
        await _take_over(settings, settings.workers)

    journal = await _opened(root, patience=0.0)
    try:
        async with _meanwhile(take_over):
            yield
    finally:
        journal.close()


@contextlib.asynccontextmanager
async def without_workers(settings: Settings) -> AsyncIterator[None]:
    """Ship, while the one process serves, what the workers of an earlier run left. Its journal must be open already."""
    async with _meanwhile(partial(_take_over, settings, 0)):
        yield


async def _take_over(settings: Settings, workers: int) -> None:
    """Ship what stands in the directories of workers that there are no more, and remove these."""
    for directory in left_over(settings, workers):
        try:
            journal = await _opened(directory, patience=inf)  # its process may still be at its last calls
            try:
                await _ship(directory, settings.database)
            finally:
                journal.close()
            await asyncio.to_thread(shutil.rmtree, directory)
        except OSError as problem:
            _log.error("the ledger's records wait in %s: %s", directory, problem)


async def _ship(directory: Path, database: str) -> None:
    """Ship a journal that is open, but not written to, to its end."""
    if not _waiting(directory):
        for number in segments.numbers(directory)[:-1]:  # shipped, and each start adds one
            segments.path_of(directory, number).unlink()
        return
    shipping = Shipping(directory, database)
    shipping.notify(1)  # until the process knows better
    shipping.start()
    try:
        while shipping.lag():  # noqa: ASYNC110 (the process tells it in its own time)
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        await shipping.stop()


def _waiting(directory: Path) -> bool:
    """Whether anything in a journal is not shipped."""
    place = cursor.load(directory)
    sizes = {number: segments.path_of(directory, number).stat().st_size for number in segments.numbers(directory)}
    return any(
        size > (place.offset if number == place.segment else 0)
        for number, size in sizes.items()
        if number >= place.segment
    )


async def _opened(directory: Path, patience: float, notify: Callable[[int], object] = lambda _: None) -> Journal:
    """Open a journal as soon as nobody else has it, within so many seconds."""
    until = monotonic() + patience
    while True:
        try:
            return Journal.open(directory, now=int(time() * 1e6), notify=notify)
        except JournalLocked:
            if monotonic() >= until:
                raise
        await asyncio.sleep(_LOOK_EVERY)


@contextlib.asynccontextmanager
async def _meanwhile(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Do something in the background of the block, as far as it gets."""

    async def do() -> None:
        try:
            await work()
        except Exception:  # noqa: BLE001 (whatever it is: the records are where they were, and the server goes on)
            _log.exception("what an earlier run left in the journal is not shipped")

    task = asyncio.create_task(do())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
