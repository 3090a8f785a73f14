"""What is expected of a server that keeps shared counts, and for how long it is waited for."""

from typing import Protocol

PATIENCE = 0.040
"""Seconds that a request may take."""

GRACE = 0.005
"""Seconds more, in case it was this process that was late: what has arrived by then is read.

Both together leave some of the 50 ms that a server which falls silent may cost a call.
"""


class Unreachable(Exception):  # noqa: N818 - a state of affairs, named as such
    """No answer, or not one to go by. The request may have been heeded all the same."""


class Server(Protocol):
    """Who is spoken to, one request at a time."""

    async def say(self, request: bytes) -> bytes:
        """The reply to a request; `Unreachable` without one, after `PATIENCE` and `GRACE` at the latest."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...
