"""The connection to Redis or Valkey, and the patience with it."""

import asyncio

from valkey.asyncio.connection import AbstractConnection, ConnectionPool
from valkey.exceptions import NoScriptError, ValkeyError

from aibridge.limits import redis_server
from aibridge.limits.redis_script import DIGEST, SCRIPT
from aibridge.limits.redis_server import Unreachable


class Link:
    """One connection over which one request is said at a time. Connects when it is used.

    A request that got no answer closes the connection, so no later one is given its answer. So does one that was
    answered with an error: the server may be a primary no more, and its address may lead to another by now.
    """

    def __init__(self, url: str) -> None:
        """`url` as valkey-py reads it (redis://, rediss://, valkey://, valkeys://, unix://); else a ValueError."""
        # No timeouts of the library's own: on a loop that is late they run out before what has arrived is read.
        pool: ConnectionPool = ConnectionPool.from_url(url, socket_timeout=None)
        try:
            self._connection: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
        except TypeError as error:
            raise ValueError(f"the URL's query holds what valkey-py does not know: {error}") from None

    async def say(self, request: bytes) -> bytes:
        """The script's reply to a request; `Unreachable` without one, after `PATIENCE` and `GRACE` at the latest."""
        saying = asyncio.ensure_future(self._evaluate(request))
        try:
            done, _ = await asyncio.wait((saying,), timeout=redis_server.PATIENCE)
            if not done:
                done, _ = await asyncio.wait((saying,), timeout=redis_server.GRACE)
            if not done:
                raise Unreachable(f"no answer within {(redis_server.PATIENCE + redis_server.GRACE) * 1000:g} ms")
            return saying.result()
        except (ValkeyError, OSError) as error:
            await self.close()
            raise Unreachable(str(error)) from error
        finally:
            saying.cancel()

    async def close(self) -> None:
        """Hang up."""
        await self._connection.disconnect(nowait=True)

    async def _evaluate(self, request: bytes) -> bytes:
        connection = self._connection
        await connection.send_command("EVALSHA", DIGEST, 0, request)
        try:
            reply = await connection.read_response()
        except NoScriptError:  # a server that is new, or forgot: it remembers the script it is shown
            await connection.send_command("EVAL", SCRIPT, 0, request)
            reply = await connection.read_response()
        return bytes(reply)
