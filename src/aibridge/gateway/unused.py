"""The connections of a pool that no exchange is on. `pool` opens them; every call comes by here."""

from collections import deque

from aibridge.gateway.upstream import Connection


class Unused:
    """They are open. The most recently used is taken first, so that the rest go idle and are closed."""

    __slots__ = ("_connections", "_retired")

    def __init__(self) -> None:
        self._connections: deque[Connection] = deque()
        self._retired = False

    def __len__(self) -> int:
        return len(self._connections)

    def take(self) -> Connection | None:
        """One of them, or None."""
        while self._connections:
            connection = self._connections.pop()
            if not connection.closed:
                return connection
        return None

    def give_back(self, connection: Connection) -> None:
        """Return a connection after an exchange, whatever became of it."""
        if not connection.release():
            return
        if self._retired:
            connection.abort()
        else:
            self._connections.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection is gone, which may have been one of them."""
        if connection in self._connections:
            self._connections.remove(connection)

    def retire(self) -> None:
        """Close all of them, and from now on each that is given back."""
        self._retired = True
        while self._connections:
            self._connections.pop().abort()
