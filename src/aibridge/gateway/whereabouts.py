"""Which addresses a provider's host has, and whether they are any that the gateway connects to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aibridge.domain.errors import UpstreamForbidden
from aibridge.domain.provider import Origin
from aibridge.domain.upstream_address import forbidden, insecure

Whereabouts = Callable[[Origin], Awaitable[list[str]]]
"""Answers the addresses of an origin's host, those to try first in front."""
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Answers all addresses of a host, at a port."""


async def resolved(host: str, port: int) -> list[str]:
    """Ask the resolver of this machine, which knows its hosts file as well.

    Raises:
        OSError: there is no such name, or nobody who knows.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def public(resolve: Resolve = resolved) -> Whereabouts:
    """The addresses of hosts on the public internet.

    Who asks connects to the addresses it is given, and does not resolve the name again: a name that leads elsewhere a
    moment later (DNS rebinding) leads nobody there. That is all of the protection, so it holds for every connection.
    """

    async def addresses(origin: Origin) -> list[str]:
        objection = insecure(tls=origin.tls)
        if objection is not None:
            raise UpstreamForbidden.caller(objection)
        found = await resolve(origin.host, origin.port)
        objection = forbidden(found)
        if objection is not None:
            raise UpstreamForbidden.caller(objection)
        return found

    return addresses


async def anywhere(origin: Origin) -> list[str]:
    """The host as it is: for providers of which an administrator says that they may be anywhere."""
    return [origin.host]
