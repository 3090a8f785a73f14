"""What the supervisor and a worker say to each other, but for counts: orders, how far the start is, the metrics.

It goes over the worker's standard input, which is one end of a pair of sockets. So what a worker is told, the secrets
among it, is in no command line, no environment and no file; and when one side dies, the other hears it at once.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, Self, TypeVar, cast

import msgspec

from aibridge.limits.host_frames import Batches
from aibridge.options import Settings
from aibridge.options_kinds import Address

_LENGTH: Final = 4
_Heard = TypeVar("_Heard")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The first word: what a worker is to be. Secret, since the settings are."""

    number: int
    """Which of the workers it is, from 0."""
    settings: bytes
    counts: int
    """The descriptor that it has inherited, over which it asks for counts."""
    address: Address
    """Where to listen; other workers do, too."""
    prometheus_address: Address | None
    url: str
    """Where people find the server."""
    demo_url: str | None
    """Where the demo provider is, where one stands in for providers."""

    def decided(self) -> Settings:
        """The settings."""
        return msgspec.json.decode(self.settings, type=Settings, dec_hook=lambda kind, text: kind(text))


def encoded(settings: Settings) -> bytes:
    """The settings as they travel; paths are text on the way."""
    return msgspec.json.encode(settings, enc_hook=str)


class Go(msgspec.Struct, frozen=True, tag="go"):
    """Serve: all who start at the same time are ready, and the first token exists."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """The supervisor was told to stop by this signal: begin the drain, or, the next time, end it."""

    signal: int
    again: bool


class Show(msgspec.Struct, frozen=True, tag="show"):
    """Tell your own metrics."""

    number: int


class Whole(msgspec.Struct, frozen=True, tag="whole"):
    """The metrics of all workers, those of the dead included, to be merged by the worker that asked."""

    number: int
    expositions: list[bytes]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Everything is built, the listener included."""


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """Calls are answered."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It cannot start, for a reason that its operator can mend."""

    problem: str


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """A worker's own metrics, as asked."""

    number: int
    exposition: bytes


class Gather(msgspec.Struct, frozen=True, tag="gather"):
    """Somebody scrapes this worker: what do all show?"""

    number: int


ToWorker = Go | Stop | Show | Whole
ToSupervisor = Ready | Serving | Failed | Shown | Gather


class Channel(asyncio.Protocol, Generic[_Heard]):
    """One end. `hear` is called with each word of the other side, `lost` once it is gone."""

    def __init__(self, heard: object, hear: Callable[[_Heard], object], lost: Callable[[], object]) -> None:
        self._hear = hear
        self._lost = lost
        self._batches: Batches[_Heard] = Batches(heard)
        self._transport: asyncio.Transport

    @classmethod
    async def open(
        cls, end: socket.socket, heard: object, hear: Callable[[_Heard], object], lost: Callable[[], object]
    ) -> Self:
        """Speak over one end of a pair of sockets."""
        _, channel = await asyncio.get_running_loop().create_connection(partial(cls, heard, hear, lost), sock=end)
        return channel

    def say(self, word: Any) -> None:  # noqa: ANN401 (any of the structs above)
        """Say it, unless nobody is there to hear."""
        if not self._transport.is_closing():
            self._transport.write(self._batches.written([word]))

    def close(self) -> None:
        """Say nothing more, once what was said is sent."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """The other side has said something."""
        for word in self._batches.read(data):
            self._hear(word)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """The other side is gone, or we have closed."""
        self._lost()


def first_word(end: socket.socket) -> Order | None:
    """Wait for the order, which comes before anything else; None when the supervisor is gone."""
    head = _exactly(end, _LENGTH)
    orders = [*Batches[Order](Order).read(head + _exactly(end, int.from_bytes(head, "big")))]
    return orders[0] if orders else None


def _exactly(end: socket.socket, size: int) -> bytes:
    """So many bytes, and none of what follows; fewer when there are no more."""
    data = b""
    while len(data) < size and (more := end.recv(size - len(data))):
        data += more
    return data
