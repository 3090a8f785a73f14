"""Where the server listens."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn

from aibridge.control.metrics import metrics_app
from aibridge.options_kinds import Address

BACKLOG = 2048
"""Connections that the kernel holds until they are accepted."""
SEND_BUFFER = 128 * 1024
"""Bytes that the kernel holds for a client that does not read; left to itself, Linux holds megabytes."""


class CannotStart(Exception):  # noqa: N818 (what it says)
    """The server cannot start, for a reason its operator can mend."""


def listener(address: Address) -> socket.socket:
    """A socket that listens.

    Raises:
        CannotStart: the address is taken, unknown or not ours.
    """
    host = address.host or "::"
    try:
        family = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        dualstack = family is socket.AF_INET6 and not address.host and socket.has_dualstack_ipv6()
        bound = socket.create_server((host, address.port), family=family, backlog=BACKLOG, dualstack_ipv6=dualstack)
    except OSError as error:
        raise CannotStart(f"cannot listen on {address}: {error.strerror or error}") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # accepted sockets inherit it
    return bound


def reachable(bound: socket.socket) -> Address:
    """Where people on this machine find a listener."""
    host, port = bound.getsockname()[:2]
    return Address("127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host, port)  # noqa: S104 (compared)


@contextlib.asynccontextmanager
async def metrics_server(address: Address, metrics: Callable[[], bytes]) -> AsyncIterator[None]:
    """A second listener that serves nothing but the metrics."""
    config = uvicorn.Config(
        metrics_app(metrics), ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # the first server's
    task = asyncio.create_task(server.serve([listener(address)]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
