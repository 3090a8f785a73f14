"""The server of one process: uvicorn's, with an end that cuts nobody off."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from time import monotonic
from types import FrameType

import uvicorn

from aibridge.ledger.journal import Journal
from aibridge.server.data_plane import DataPlane


class Server(uvicorn.Server):
    """uvicorn's server with an orderly end: told to stop, it refuses what is new and lets run what is running."""

    def __init__(self, config: uvicorn.Config, plane: DataPlane, journal: Journal, *, drain_timeout: float) -> None:
        super().__init__(config)
        self._plane = plane
        self._journal = journal
        self._drain_timeout = drain_timeout
        self._drained_by = 0.0
        self.announce: Callable[[], object] = lambda: None
        """Called once calls are answered and signals are heeded."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self.announce()

    def handle_exit(self, sig: int, frame: FrameType | None = None) -> None:  # noqa: ARG002 (uvicorn's signature)
        """The first signal begins the drain, a second one ends it. The exit code is that of an orderly stop."""
        if self._plane.draining:
            self._drained_by = monotonic()
            self.force_exit = sig == signal.SIGINT
        else:
            self.drain()

    def drain(self) -> None:
        """Begin to stop, unless that has begun."""
        if not self._plane.draining:
            self._plane.draining = True
            self._drained_by = monotonic() + self._drain_timeout

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second, and answer whether it is time to go."""
        if counter % 10 == 0 and not self._journal.healthy:
            self._journal.retry()
        if await super().on_tick(counter):
            return True
        if not self._plane.draining or (self._plane.gateway.calls and monotonic() < self._drained_by):
            return False
        await self._plane.interrupt()
        return True


class Worker(Server):
    """One of several: signals come from the supervisor, as words, and one of its own only begins the drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Heed SIGTERM and SIGINT while the block lasts.

        They may reach every process of the server at once, so a second one need not mean a second wish.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
