"""A primary with a replica behind one address, as whoever runs Redis or Valkey for others has it, and its failovers."""

import asyncio
import contextlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from valkey_server import BINARY

_HOST = "127.0.0.1"
_PATIENCE = 10.0
_SENTINEL = """
sentinel monitor counts {host} {port} 1
sentinel down-after-milliseconds counts 300
sentinel failover-timeout counts 3000
"""


class Node:
    """A server on a port of its own: a primary, a replica, or a sentinel."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.port = _free_port()
        self._process = subprocess.Popen(
            [BINARY, *words, "--port", str(self.port), "--bind", _HOST, "--dir", str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def says(self, *words: str) -> str:
        """What it answers to a command, as it comes; nothing if it does not."""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(_HOST, self.port)
            try:
                writer.write(b"%s\r\n" % " ".join(words).encode())
                return (await reader.read(65536)).decode()
            finally:
                writer.close()
        return ""

    async def number(self, *words: str) -> int:
        """The integer that a command answers."""
        return int((await self.says(*words))[1:])

    async def follow(self, primary: "Node") -> None:
        """Be a replica of this primary, and have all that it has."""
        await self.says("REPLICAOF", _HOST, str(primary.port))
        await self.until_it_says("master_link_status:up", "INFO", "replication")

    async def lead(self) -> None:
        """Be a primary."""
        assert await self.says("REPLICAOF", "NO", "ONE") == "+OK\r\n"

    async def hand_over(self, replica: "Node") -> None:
        """Be the replica of this one, which is the primary from now on and has heard of everything."""
        assert await self.says("FAILOVER", "TO", _HOST, str(replica.port)) == "+OK\r\n"
        await replica.until_it_says("role:master", "INFO", "replication")

    async def until_it_says(self, what: str, *words: str) -> None:
        """Wait until this is in its answer to a command."""
        deadline = time.monotonic() + _PATIENCE
        while what not in await self.says(*words):
            assert time.monotonic() < deadline, f"no {what} in any answer to {words}"
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Nodes:
    """Those of one test, with nothing on disk that outlives it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[Node] = []

    async def server(self) -> Node:
        """A primary, empty."""
        return await self._start("--save", "", "--repl-diskless-sync-delay", "0")

    async def replica(self, primary: Node) -> Node:
        """One that has all that this primary has."""
        replica = await self.server()
        await replica.follow(primary)
        return replica

    async def sentinel(self, primary: Node) -> Node:
        """One that watches this primary, and promotes a replica when it is gone."""
        settings = self._directory / "sentinel.conf"
        settings.write_text(_SENTINEL.format(host=_HOST, port=primary.port))
        return await self._start(str(settings), "--sentinel")

    def kill(self) -> None:
        for node in self._started:
            node.kill()

    async def _start(self, *words: str) -> Node:
        node = Node(self._directory, *words)
        self._started.append(node)
        await node.until_it_says("PONG", "PING")
        return node


@contextlib.contextmanager
def nodes() -> Iterator[Nodes]:
    directory = Path(tempfile.mkdtemp(prefix="valkey-"))
    made = Nodes(directory)
    try:
        yield made
    finally:
        made.kill()
        shutil.rmtree(directory)


class Address:
    """The one address: passes each connection on to the node that is the primary when it is made."""

    def __init__(self, primary: Node) -> None:
        self.primary = primary
        self.port = 0
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://{_HOST}:{self.port}"

    def hang_up(self) -> None:
        """End all present connections."""
        for passing in self._passing:
            passing.cancel()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.create_task(self._pass(reader, writer))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)
        await asyncio.wait((passing,))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            to_reader, to_writer = await asyncio.open_connection(_HOST, self.primary.port)
            with contextlib.closing(to_writer):
                ways = [asyncio.create_task(_copy(*way)) for way in ((reader, to_writer), (to_reader, writer))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while some := await reader.read(65536):
            writer.write(some)


@contextlib.asynccontextmanager
async def address(primary: Node) -> AsyncIterator[Address]:
    """An address that leads to this primary, until told otherwise."""
    made = Address(primary)
    server = await asyncio.start_server(made.take, _HOST, 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.hang_up()
        await server.wait_closed()


def _free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody who asks for any: those are from 32768 on."""
    while True:
        port = random.randrange(16_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server((_HOST, port)):
            return port
