"""Server-sent events as the API speaks them: a line with the type, a line with JSON, a blank line.

    event: data
    data: {"status": "open"}

A ping has a type only. What writes them and what reads them stand side by side, so that they cannot come apart: the
server encodes with `encode`, clients decode with `Decoder`.

Grammar: WHATWG HTML, section 9.2.6 "Interpreting an event stream". Deviations: an event without data counts, because a
ping is one; a type that is not ours is an error, because nobody could act on it; and so is half an event at the end,
because half an answer is none.
"""

import enum
from collections.abc import Iterator

import msgspec

MEDIA_TYPE = "text/event-stream"
"""The content type of a stream of events."""

HEARTBEAT = 15.0
"""Seconds between pings, so that nothing between server and client takes a quiet stream for a dead one."""

LINE_LIMIT = 1024 * 1024
"""Bytes of one line at most, and of one event's data: what never ends must not fill the memory of who reads it."""

_BOM = b"\xef\xbb\xbf"


class EventType(enum.Enum):
    """What an event is for."""

    PING = "ping"
    DATA = "data"
    ERROR = "error"


class Event(msgspec.Struct, frozen=True):
    """One event. `data` is JSON, encoded; empty where there is none, as in a ping."""

    type: EventType
    data: bytes = b""


class MalformedEvents(ValueError):  # noqa: N818 - it names what was met
    """What came is no stream of events as the API speaks them."""


PING = Event(EventType.PING)
"""The event that only says that the stream is alive."""


def encode(event: Event) -> bytes:
    """Write an event, its blank line included. Line breaks in the data become lines of data."""
    lines = b"".join(b"data: %b\n" % line for line in event.data.splitlines())
    return b"event: %b\n%b\n" % (event.type.value.encode(), lines)


class Decoder:
    """Finds whole events in pieces cut anywhere. Holds at most twice `limit` bytes and one piece."""

    __slots__ = ("_data", "_limit", "_rest", "_size", "_start", "_type")

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._rest = b""
        self._start = True
        self._type: EventType | None = None
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next piece; give the events that it completes.

        Raises:
            MalformedEvents: a line or an event is longer than the limit, or of no type that the API has.
        """
        return [event for line in self._lines(piece) if (event := self._after(line)) is not None]

    def finish(self) -> None:
        """Say that nothing follows.

        Raises:
            MalformedEvents: the stream ends within an event.
        """
        if self._rest.strip(b"\r") or self._type is not None or self._data:
            raise MalformedEvents("the stream ends within an event")

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        """The lines that are complete, without their ends."""
        text = self._rest + piece
        if self._start and not _BOM.startswith(text):
            text = text.removeprefix(_BOM)
            self._start = False
        *lines, self._rest = text.splitlines(keepends=True) or [b""]
        # A CR at the very end waits for its LF: the two are one line end.
        if self._rest.endswith(b"\n"):
            lines.append(self._rest)
            self._rest = b""
        if len(self._rest) > self._limit:
            raise self._too_long("a line")
        for line in lines:
            yield line.rstrip(b"\r\n")

    def _after(self, line: bytes) -> Event | None:
        """Take in one line; give the event that it ends, if it does."""
        if not line:
            return self._ended()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._type = _type_of(value)
        elif field == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._limit:
                raise self._too_long("an event")
        # A line without a name is a comment; other fields are for browsers that come back.
        return None

    def _ended(self) -> Event | None:
        """What a blank line ends. Nothing at all is ended by the second of two."""
        if self._type is None:
            if self._data:
                raise MalformedEvents(f"an event has no type: one of {_TYPES} is allowed")
            return None
        event = Event(self._type, b"\n".join(self._data))
        self._type = None
        self._data = []
        self._size = 0
        return event

    def _too_long(self, what: str) -> MalformedEvents:
        return MalformedEvents(f"{what} is longer than {self._limit} bytes")


_TYPES = ", ".join(kind.value for kind in EventType)


def _type_of(value: bytes) -> EventType:
    try:
        return EventType(value.decode("ascii", "backslashreplace"))
    except ValueError:
        shown = value[:64].decode("ascii", "backslashreplace")
        raise MalformedEvents(f"an event has the type {shown!r}: one of {_TYPES} is allowed") from None
