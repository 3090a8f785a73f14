"""What the workers of one host and their supervisor say to each other about counts, and how it is framed.

A batch is four bytes of length, big-endian, and a MessagePack array of frames: all that one side had to say in one turn
of its event loop. One batch is one write, one decoding and, nearly always, one read.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec

from aibridge.domain.rule import Rule
from aibridge.limits.counts import Ask, Place, Present, Refusal
from aibridge.overload.outcome import Outcome

_LENGTH: Final = 4
_Frame = TypeVar("_Frame")


class Take(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=0):
    """Take what is asked for. `number` names the call on this connection: in the answer, and as long as it is held."""

    number: int
    asks: tuple[Ask, ...]
    place: Place | None = None


class Cancel(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """Nobody waits for this take any more. What it holds, or will hold, comes back unused."""

    number: int


class Settle(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2):
    """Give back what a call holds; `costs` are the true ones of what was taken, None for those of the asks."""

    number: int
    costs: tuple[float, ...] | None
    outcome: Outcome


class Tripped(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=3):
    """A breaker opened, for so many seconds; 0.0 for a reset. Said by a worker, and to all of them, in one order."""

    breaker: str
    seconds: float


class Look(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=4):
    """Tell the present use of each rule, of each the `most` subjects that use it most."""

    number: int
    most: int


class Took(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=5):
    """A take is held. `asks` are those that were counted, None when all of them were."""

    number: int
    waited: float = 0.0
    shadows: tuple[int, ...] = ()
    asks: tuple[Ask, ...] | None = None


class Refused(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=6):
    """A take is refused, and holds nothing."""

    number: int
    refusal: Refusal


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=7):
    """The answer to a look."""

    number: int
    present: list[Present]


class Replace(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=8):
    """The rules by which this worker goes from now on, by their numbers: all that its later takes may name."""

    rules: dict[int, Rule]


class Probe(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=9):
    """Take one of the `most` places of a half-open breaker, for `lease` seconds. `number` is as in `Take`."""

    number: int
    breaker: str
    most: int
    lease: float


class Placed(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=10):
    """The answer to a probe; there is no place if it says after how many seconds there may be one."""

    number: int
    wait: float | None = None


class Probed(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=11):
    """Give the place of a probe back, or do not give it any more."""

    number: int
    succeeded: bool


FromWorker = Take | Cancel | Settle | Tripped | Look | Replace | Probe | Probed
FromService = Took | Refused | Seen | Tripped | Placed


class Batches(Generic[_Frame]):
    """Writes and reads the batches of one connection. `heard` is the type of the frames that the other side sends."""

    def __init__(self, heard: object) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[list[_Frame]] = msgspec.msgpack.Decoder(list[heard])  # type: ignore[valid-type]
        self._pending = b""

    def written(self, frames: list[FromWorker] | list[FromService]) -> bytes:
        """Return the bytes of a batch."""
        payload = self._encoder.encode(frames)
        return len(payload).to_bytes(_LENGTH, "big") + payload

    def read(self, data: bytes) -> Iterator[_Frame]:
        """Return the frames of every batch that is complete with `data`.

        Raises:
            msgspec.MsgspecError: the other side does not speak this protocol.
        """
        data = self._pending + data if self._pending else data
        start, end = 0, len(data)
        while end - start >= _LENGTH:
            after = start + _LENGTH + int.from_bytes(data[start : start + _LENGTH], "big")
            if after > end:
                break
            yield from self._decoder.decode(memoryview(data)[start + _LENGTH : after])
            start = after
        self._pending = data[start:]
