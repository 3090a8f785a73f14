"""The workers as the supervisor sees them: started, listened to, started again when they die, told to stop."""

import asyncio
import contextlib
import logging
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Final

from aibridge.limits.host_service import HostService
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
    ToSupervisor,
    Whole,
)
from aibridge.server.exposition import merged
from aibridge.server.listeners import CannotStart
from aibridge.server.shipping import pause_after
from aibridge.telemetry_kinds import PREFIX

_ARGUMENTS: Final = ("-P", "-m", "aibridge.server.worker")
_OLD: Final = 10.0
"""Seconds: a worker that lived as long did not die of its start."""
_SECONDS_TO_SHOW: Final = 1.0
"""How long a scrape waits for a worker that is busy; then what it showed last counts."""
_SECONDS_TO_END: Final = 15.0
"""How long a worker may take to end beyond the drain: to tell its clients, to close, to ship the ledger."""

_log = logging.getLogger("aibridge")


class Worker:
    """One place in the crew: a process, and the next one when that has ended."""

    def __init__(self, number: int, crew: "Crew", order: Callable[[int, int], Order]) -> None:
        self.number = number
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the first process is ready; fails with CannotStart when it cannot be."""
        self.serving = asyncio.Event()
        self.shown = b""
        """The metrics of the process that runs, when they were last asked for."""
        self._crew = crew
        self._order = order
        self._process: Process | None = None
        self._channel: Channel[ToSupervisor] | None = None
        self._showing: dict[int, asyncio.Future[None]] = {}
        self._problem = ""
        self._missed = False

    async def keep(self) -> None:
        """Run one process after the other until the crew stops."""
        deaths = 0
        while not self._crew.stopping.is_set():
            began = monotonic()
            outcome = await self._run()
            if self._crew.stopping.is_set():
                return
            if not self.ready.done():
                self.ready.set_exception(CannotStart(self._problem or f"worker {self.number} cannot start: {outcome}"))
                return
            deaths = deaths + 1 if monotonic() - began < _OLD else 1
            if deaths == 1 or self._problem:
                _log.error("worker %d has ended (%s); another one is started", self.number, self._problem or outcome)
                self._missed = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._crew.stopping.wait(), pause_after(deaths))

    def say(self, word: Go | Stop | Whole) -> None:
        """Say it to the process, if there is one."""
        if self._channel is not None:
            self._channel.say(word)

    async def show(self, number: int) -> None:
        """Have the process tell its metrics, which are `shown` afterwards; a number is used once."""
        if self._channel is None or not self.serving.is_set():
            return
        future = self._showing[number] = asyncio.get_running_loop().create_future()
        self._channel.say(Show(number=number))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(future, _SECONDS_TO_SHOW)
        finally:
            del self._showing[number]

    async def kill_after(self, seconds: float) -> None:
        """End the process if it has not ended by then."""
        await asyncio.sleep(seconds)
        if self._process is not None and self._process.returncode is None:
            _log.error("worker %d does not end: it is killed", self.number)
            self._process.kill()

    async def _run(self) -> str:
        """Run a process to its end; return what that was."""
        self._problem = ""
        try:
            self._process, self._channel = await self._start()
        except OSError as error:
            return str(error)
        if self._crew.stopping.is_set():
            self._channel.say(self._crew.stop_word)
        code = await self._process.wait()
        self._gone()
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    async def _start(self) -> tuple[Process, Channel[ToSupervisor]]:
        """Start a process and give it its order.

        Raises:
            OSError: the system has no room for it.
        """
        words, its_words = socket.socketpair()
        counts, its_counts = socket.socketpair()
        with its_words, its_counts:
            process = await asyncio.create_subprocess_exec(
                # Away from our session: a Ctrl-C is told to it in words, once.
                *(sys.executable, *_ARGUMENTS),
                stdin=its_words.fileno(),
                pass_fds=(its_counts.fileno(),),
                start_new_session=True,
            )
            order = self._order(self.number, its_counts.fileno())
        await self._crew.service.serve(counts)
        channel = await Channel[ToSupervisor].open(words, ToSupervisor, self._hear, lambda: None)
        channel.say(order)
        return process, channel

    def _hear(self, word: ToSupervisor) -> None:
        match word:
            case Ready():
                if not self.ready.done():
                    self.ready.set_result(None)
                if self._crew.gone:
                    self.say(Go())
            case Serving():
                self.serving.set()
                if self._missed:
                    _log.warning("worker %d is at work again", self.number)
                    self._missed = False
            case Failed(problem=problem):
                self._problem = problem
            case Shown(number=number, exposition=exposition):
                self.shown = exposition
                future = self._showing.get(number)
                if future is not None and not future.done():
                    future.set_result(None)
            case Gather(number=number):
                self._crew.gather(self, number)

    def _gone(self) -> None:
        """The process has ended. What it counted stays counted, as far as anybody has seen it."""
        self.serving.clear()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        for future in self._showing.values():
            if not future.done():
                future.set_result(None)
        self._crew.bury(self.shown)
        self.shown = b""


class Crew:
    """All workers. `order` makes the order of the worker of a number, which inherits a descriptor for counts."""

    def __init__(self, size: int, service: HostService, order: Callable[[int, int], Order], drain: float) -> None:
        self.service = service
        self.stopping = asyncio.Event()
        self.stop_word: Stop
        self.gone = False
        """Whether who is ready may go and serve."""
        self._drain = drain
        self._workers = [Worker(number, self, order) for number in range(size)]
        self._keepers: list[asyncio.Task[None]] = []
        self._numbers = count(1)
        self._departed = b""
        self._deaths = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all of them, and wait until they are ready to serve.

        Raises:
            CannotStart: one of them is not.
        """
        self._keepers = [asyncio.create_task(worker.keep()) for worker in self._workers]
        await asyncio.gather(*(worker.ready for worker in self._workers))

    async def go(self) -> None:
        """Let them serve, and wait until they do."""
        self.gone = True
        for worker in self._workers:
            worker.say(Go())
        await asyncio.gather(*(worker.serving.wait() for worker in self._workers))

    def stop(self, signal: int) -> None:
        """Pass a signal on: the first begins the drain, a second one ends it."""
        self.stop_word = Stop(signal=signal, again=self.stopping.is_set())
        self.stopping.set()
        for worker in self._workers:
            worker.say(self.stop_word)

    async def end(self) -> None:
        """Wait until all have ended, which have been told to; who does not is killed."""
        killers = [asyncio.create_task(worker.kill_after(self._drain + _SECONDS_TO_END)) for worker in self._workers]
        await asyncio.gather(*self._keepers)
        for killer in (*killers, *self._tasks):
            killer.cancel()

    def bury(self, shown: bytes) -> None:
        """A process has ended that showed these numbers: those that only grow must not shrink for it."""
        self._deaths += self.gone and not self.stopping.is_set()
        self._departed = merged((self._departed, shown), growing_only=True)

    def gather(self, asker: Worker, number: int) -> None:
        """A worker is scraped: tell it what all of them show."""
        task = asyncio.create_task(self._gather(asker, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gather(self, asker: Worker, number: int) -> None:
        shows = next(self._numbers)
        await asyncio.gather(*(worker.show(shows) for worker in self._workers))
        expositions = [*(worker.shown for worker in self._workers), self._departed, self._exposition()]
        asker.say(Whole(number=number, expositions=[shown for shown in expositions if shown]))

    def _exposition(self) -> bytes:
        """What only the supervisor knows. Workers call counts healthy while they reach it, so it adds its own word."""
        serving = sum(worker.serving.is_set() for worker in self._workers)
        return (
            f"# HELP {PREFIX}workers Workers that serve.\n"
            f"# TYPE {PREFIX}workers gauge\n"
            f"{PREFIX}workers {serving}\n"
            f"# HELP {PREFIX}worker_deaths_total Workers that ended unasked.\n"
            f"# TYPE {PREFIX}worker_deaths_total counter\n"
            f"{PREFIX}worker_deaths_total {self._deaths}\n"
            f"# TYPE {PREFIX}counts_healthy gauge\n"
            f"{PREFIX}counts_healthy {int(self.service.counts.healthy)}\n"
        ).encode()
