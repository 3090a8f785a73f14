"""The connections to one origin: bounded, and kept alive (see `unused`)."""

import asyncio
import ssl

from aibridge.domain.errors import AtCapacity, UpstreamUnreachable
from aibridge.domain.provider import Origin
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.unused import Unused
from aibridge.gateway.upstream import Connection
from aibridge.gateway.whereabouts import Whereabouts
from aibridge.overload.outcome import Rejection


class Pool:
    """The connections to one origin; those that may be taken are `unused`, and whatever is taken is given back there.

    `whereabouts` says which addresses are connected to; the name that TLS verifies is the origin's host all the same.
    """

    def __init__(
        self,
        origin: Origin,
        deadlines: Deadlines,
        *,
        maximum: int,
        whereabouts: Whereabouts,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.origin = origin
        self.deadlines = deadlines
        self.maximum = maximum
        self._whereabouts = whereabouts
        self._tls = tls
        self.unused = Unused()
        self._open: set[Connection] = set()
        self._connecting = 0

    @property
    def open(self) -> int:
        """Connections that are open or being opened."""
        return len(self._open) + self._connecting

    @property
    def idle(self) -> int:
        """Connections that are open and unused."""
        return len(self.unused)

    async def connect(self) -> Connection:
        """Open a connection.

        Raises:
            UpstreamUnreachable: refused, unresolved, TLS failure, not within the connect deadline, or closed at once.
            UpstreamForbidden: the host is where the provider may not be.
            AtCapacity: there are `maximum` connections already.
        """
        if self.open >= self.maximum:
            raise AtCapacity.caller(
                f"All {self.maximum} connections to the provider are in use.",
                rejection=Rejection("upstream_connections", self.maximum, 0.0, 1.0),
            )
        self._connecting += 1
        try:
            connection = await self._opened_in_task()
        except TimeoutError as error:
            raise UpstreamUnreachable(
                f"The provider did not accept a connection within {self.deadlines.connect:g} s."
            ) from error
        except (OSError, ssl.SSLError) as error:
            # uvloop keeps the error, and its traceback leads to the whole call.
            raise UpstreamUnreachable("No connection to the provider.", _reason(error)) from error.with_traceback(None)
        finally:
            self._connecting -= 1
        if connection.closed:  # before anybody had it: nobody will be told once more
            raise UpstreamUnreachable("The provider closed the connection as soon as it was open.")
        self._open.add(connection)
        return connection

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        self.unused.forget(connection)

    def retire(self) -> None:
        """Keep no connection any more: those that are unused go now, each other one when its call is done.

        Calls that were on their way here still get theirs.
        """
        self.unused.retire()

    def close(self) -> None:
        """Close every connection at once."""
        for connection in tuple(self._open):
            connection.abort()

    async def _opened_in_task(self) -> Connection:
        """The caller may have no task (see `run`), and what opens connections needs one."""
        opening = asyncio.get_running_loop().create_task(self._opened_in_time())
        try:
            return await opening
        except BaseException:
            opening.cancel()
            opening.add_done_callback(_abandon)  # it may be open all the same, and nobody has it
            raise

    async def _opened_in_time(self) -> Connection:
        async with asyncio.timeout(self.deadlines.connect):
            return await self._opened()

    async def _opened(self) -> Connection:
        *others, last = await self._whereabouts(self.origin)
        for address in others:
            try:
                return await self._opened_at(address)
            except ssl.SSLError:  # somebody is there, and is not who it should be: no reason to ask the next
                raise
            except OSError:
                continue
        return await self._opened_at(last)

    async def _opened_at(self, host: str) -> Connection:
        loop = asyncio.get_running_loop()
        origin = self.origin
        if not origin.tls:
            _, connection = await loop.create_connection(self._connection, host, origin.port)
            return connection
        import aiofastnet  # noqa: PLC0415 (0.1 s of import that a gateway without TLS upstream does not owe)

        if self._tls is None:
            self._tls = ssl.create_default_context()
        _, connection = await aiofastnet.create_connection(
            loop, self._connection, host, origin.port, ssl=self._tls, server_hostname=origin.host
        )
        return connection

    def _connection(self) -> Connection:
        return Connection(self.deadlines, self.forget)


def _abandon(opening: asyncio.Task[Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()


def _reason(error: Exception) -> str:
    """Why a connection failed, in words that hold no address: the kernel's, the resolver's or the TLS library's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'handshake failed'}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
