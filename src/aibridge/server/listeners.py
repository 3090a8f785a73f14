"""Where the server listens."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette

from aibridge.options_kinds import Address

BACKLOG = 2048
"""Connections that the kernel holds until they are accepted."""
SEND_BUFFER = 128 * 1024
"""Bytes that the kernel holds for a client that does not read; left to itself, Linux holds megabytes."""


class CannotStart(Exception):  # noqa: N818 (what it says)
    """The server cannot start, for a reason its operator can mend."""


def listener(address: Address, *, shared: bool = False) -> socket.socket:
    """A socket that listens, alone or as one of several processes among which the kernel shares out connections.

    Raises:
        CannotStart: the address is taken, unknown or not ours.
    """
    host = address.host or "::"
    try:
        family = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        dualstack = family is socket.AF_INET6 and not address.host and socket.has_dualstack_ipv6()
        bound = socket.create_server(
            (host, address.port), family=family, backlog=BACKLOG, reuse_port=shared, dualstack_ipv6=dualstack
        )
    except OSError as error:
        raise CannotStart(f"cannot listen on {address}: {error.strerror or error}") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # accepted sockets inherit it
    return bound


@contextlib.contextmanager
def reserved(address: Address) -> Iterator[tuple[Address, Address]]:
    """Keep an address for listeners that share it, while none of them listens; port 0 becomes a free one.

    Answers the address to listen on and where people on this machine find it. The address is asked for alone first:
    sharing would succeed beside another server of the same user, and each would get a part of the calls. What is kept
    is a socket that does not listen, so no connection waits for it.

    Raises:
        CannotStart: see `listener`.
    """
    with listener(address) as alone:
        family, name, found = alone.family, alone.getsockname(), reachable(alone)
        dualstack = family is socket.AF_INET6 and not address.host
    with socket.socket(family, socket.SOCK_STREAM) as kept:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            kept.setsockopt(socket.SOL_SOCKET, option, 1)
        if family is socket.AF_INET6:
            kept.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dualstack)
        try:
            kept.bind(name)
        except OSError as error:
            raise CannotStart(f"cannot listen on {address}: {error.strerror or error}") from error
        yield Address(address.host, name[1]), found


def reachable(bound: socket.socket) -> Address:
    """Where people on this machine find a listener."""
    host, port = bound.getsockname()[:2]
    return Address("127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host, port)  # noqa: S104 (compared)


@contextlib.asynccontextmanager
async def metrics_server(bound: socket.socket, app: Starlette) -> AsyncIterator[None]:
    """A second listener, whose application serves the metrics and nothing else."""
    config = uvicorn.Config(
        app, ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # the first server's
    task = asyncio.create_task(server.serve([bound]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
