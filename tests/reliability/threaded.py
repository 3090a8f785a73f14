"""A provider of a test's own: it serves on a thread of its own, where the test can look on and have a say."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from clients.running import PATIENCE


class ThreadedProvider:
    """Serves HTTP at `url` while `serving`. What it answers on a connection is said by those who inherit from it."""

    def __init__(self) -> None:
        self.url = ""
        self.loop: asyncio.AbstractEventLoop

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection. Whoever calls may end it at any time."""
        raise NotImplementedError

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Serve while the block lasts."""
        listening, ending = threading.Event(), asyncio.Event()
        thread = threading.Thread(target=asyncio.run, args=(self._serve(listening, ending),))
        thread.start()
        assert listening.wait(PATIENCE), "it does not listen"
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(ending.set)
            thread.join(PATIENCE)

    async def _serve(self, listening: threading.Event, ending: asyncio.Event) -> None:
        self.loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        listening.set()
        await ending.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.converse(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> None:
    """Read the next request to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
