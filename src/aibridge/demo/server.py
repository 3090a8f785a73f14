"""Running the demo provider: inside another program, or as one."""

import asyncio
import signal
from collections.abc import Callable

import uvloop

from aibridge.demo.behaviour import Behaviour
from aibridge.demo.connection import Connection
from aibridge.demo.provider import DemoProvider

_DEFAULT = Behaviour()


class DemoServer:
    """A demo provider that listens. `start` makes one."""

    def __init__(self, server: asyncio.Server, connections: set[Connection]) -> None:
        self._server = server
        self._connections = connections
        self.host, self.port = server.sockets[0].getsockname()[:2]

    @property
    def url(self) -> str:
        """Where it listens, without a path: Anthropic's base URL, and with `/v1` OpenAI's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def close(self) -> None:
        """Stop at once: what is being answered is cut off."""
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._server.wait_closed()


async def start(host: str, port: int, behaviour: Behaviour = _DEFAULT, *, record: bool = True) -> DemoServer:
    """Serve on the running event loop; port 0 takes a free one.

    `record` keeps the last calls for `GET /demo/calls`; a load test switches it off.

    Raises:
        OSError: the address cannot be listened on.
    """
    provider = DemoProvider(behaviour, record=record)
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(provider, connections), host, port, backlog=4096)
    return DemoServer(server, connections)


def run(
    host: str,
    port: int,
    behaviour: Behaviour = _DEFAULT,
    *,
    record: bool = True,
    announce: Callable[[DemoServer], None] = lambda server: None,  # noqa: ARG005 - nobody listens by default
) -> None:
    """Serve until SIGTERM or SIGINT, on an event loop of its own; `announce` is told once it listens.

    Raises:
        OSError: the address cannot be listened on.
    """

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = await start(host, port, behaviour, record=record)
        announce(server)
        await stop.wait()
        await server.close()

    uvloop.run(serve())
