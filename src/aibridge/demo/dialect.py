"""What every protocol module offers: how to read a request and how to put an answer."""

from typing import Protocol

from aibridge.demo.answer import Answer, Script
from aibridge.demo.conversation import Ask
from aibridge.demo.vendor import Vendor

FAILURE = "The demo provider was asked to fail here."
"""The message of every error that was asked for."""


class Dialect(Protocol):
    """One protocol."""

    @property
    def vendor(self) -> Vendor:
        """Whose protocol it is."""
        ...

    def read(self, body: bytes) -> Ask:
        """Understand a request.

        Raises:
            msgspec.DecodeError: the body is not JSON, or not of this protocol.
        """
        ...

    def whole(self, answer: Answer) -> bytes:
        """The body of an answer that is not streamed."""
        ...

    def script(self, answer: Answer) -> Script:
        """The events of a streamed answer."""
        ...
