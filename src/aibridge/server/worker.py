"""A worker: `python -m aibridge.server.worker`, started by the supervisor and of no use to people.

    stdin     one end of a pair of sockets, see `channel`; its end means that the supervisor is gone: drain, and end
    stderr    the log
    exit      0 after an orderly stop

It shares the port with the other workers, asks the supervisor for the limits, and is otherwise a process like the only
one.
"""

import asyncio
import contextlib
import os
import socket
import sys
from itertools import count

import uvloop

from aibridge.ledger.journal import JournalLocked
from aibridge.limits.host import HostCounts
from aibridge.options import Settings
from aibridge.server import data_plane
from aibridge.server.channel import (
    Channel,
    Failed,
    Gather,
    Go,
    Order,
    Ready,
    Serving,
    Show,
    Shown,
    Stop,
    ToWorker,
    Whole,
    first_word,
)
from aibridge.server.exposition import merged
from aibridge.server.ledger import PATIENCE, directory_of
from aibridge.server.listeners import CannotStart, listener
from aibridge.server.opening import log_to_stderr
from aibridge.server.process import Post, Process, prepared
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable
from aibridge.store.sealing import SealingError

SECONDS_TO_GATHER = 2.0
"""How long the numbers of the other workers are waited for; without them, one's own are shown."""


class Supervised:
    """A worker's side of the channel: what it is told, and what it asks."""

    def __init__(self) -> None:
        self.going: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether to serve, once that is known."""
        self._channel: Channel[ToWorker]
        self._process: Process | None = None
        self._numbers = count(1)
        self._gathering: dict[int, asyncio.Future[list[bytes]]] = {}

    async def open(self, end: socket.socket) -> None:
        """Begin to listen to the supervisor."""
        self._channel = await Channel[ToWorker].open(end, ToWorker, self._hear, self.orphaned)

    async def start(self, process: Process) -> bool:
        """Say that everything is built, and wait for the word; answers false when it is to end instead."""
        self._process = process
        self._channel.say(Ready())
        return await self.going

    def serving(self) -> None:
        """Say that calls are answered."""
        self._channel.say(Serving())

    def failed(self, problem: Exception) -> None:
        """Say why it cannot start."""
        self._channel.say(Failed(problem=str(problem)))

    async def metrics(self) -> bytes:
        """The numbers of all workers, as those of one."""
        number = next(self._numbers)
        future = self._gathering[number] = asyncio.get_running_loop().create_future()
        self._channel.say(Gather(number=number))
        try:
            return merged(await asyncio.wait_for(future, SECONDS_TO_GATHER))
        except TimeoutError:
            return self._exposition()
        finally:
            del self._gathering[number]

    def orphaned(self) -> None:
        """The supervisor is gone, and with it the counts: serve what is running, and end."""
        self._drain()

    def close(self) -> None:
        """Say nothing more."""
        self._process = None
        self._channel.close()

    def _hear(self, word: ToWorker) -> None:
        match word:
            case Go():
                self._decide(going=True)
            case Stop(signal=number, again=again):
                self._drain()
                if again and self._process is not None:
                    self._process.server.handle_exit(number)
            case Show(number=number):
                self._channel.say(Shown(number=number, exposition=self._exposition()))
            case Whole(number=number, expositions=expositions):
                future = self._gathering.get(number)
                if future is not None and not future.done():
                    future.set_result(expositions)

    def _drain(self) -> None:
        if self._process is not None:
            self._process.server.drain()
        self._decide(going=False)

    def _decide(self, *, going: bool) -> None:
        if not self.going.done():
            self.going.set_result(going)

    def _exposition(self) -> bytes:
        return b"" if self._process is None else self._process.plane.telemetry.exposition()


async def work(order: Order, settings: Settings, end: socket.socket) -> int:
    """Serve as ordered; answer the exit code."""
    supervised = Supervised()
    await supervised.open(end)
    inherited = socket.socket(fileno=order.counts)
    inherited.set_inheritable(False)  # in a child of ours it would outlive us, and keep what we hold
    counts = await HostCounts.connect(inherited, supervised.orphaned)
    try:
        with contextlib.closing(Database.open(settings.database)) as database:
            await _serve(order, settings, database, supervised, counts)
    except (CannotStart, DatabaseTooNew, DatabaseUnavailable, JournalLocked, SealingError, OSError) as problem:
        supervised.failed(problem)
        return 1
    finally:
        await counts.close()
        supervised.close()
    return 0


async def _serve(
    order: Order, settings: Settings, database: Database, supervised: Supervised, counts: HostCounts
) -> None:
    providers = data_plane.demonstration(order.demo_url) if order.demo_url else data_plane.configured(settings)
    door = listener(order.address, shared=True)
    scraped = order.prometheus_address
    post = Post(
        url=order.url,
        journal=directory_of(settings, order.number),
        patience=PATIENCE,
        counts=counts,
        metrics=supervised.metrics,
        metrics_door=listener(scraped, shared=True) if scraped else None,
        worker=True,
    )
    async with prepared(settings, database, providers, post) as process:
        if await supervised.start(process):
            await process.serve(door, supervised.serving)


def main() -> int:
    """Serve as the supervisor orders; answer the exit code."""
    end = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # nobody who reads from standard input shall read what the supervisor says
    os.close(null)
    order = first_word(end)
    if order is None:
        return 0
    settings = order.decided()
    log_to_stderr(structured=settings.structured_logging)
    return uvloop.run(work(order, settings, end))


if __name__ == "__main__":
    sys.exit(main())
