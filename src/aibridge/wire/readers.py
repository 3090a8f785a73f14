"""Readers of answers: streamed, in one body, compressed. What the bytes mean is each protocol's business."""

import zlib
from collections.abc import Callable
from typing import Final, Protocol

from aibridge.domain.usage import Usage, UsageSource
from aibridge.wire.dialect import Reading, UsageReader
from aibridge.wire.event import Event
from aibridge.wire.sse import EventScanner

BODY_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of an answer in one body; the usage of a larger one stays unknown."""

INFLATED_PER_FEED: Final = 8 * 1024 * 1024
INFLATED_IN_TOTAL: Final = 64 * 1024 * 1024
"""Decoded bytes of a compressed answer; more is taken for a decompression bomb, and its usage stays unknown."""

_STEP: Final = 64 * 1024
"""Decoded bytes held at a time."""

# Names of their own, as CPython 3.11 is slow to look up the members of an enumeration.
_UNKNOWN: Final = UsageSource.UNKNOWN
_PARTIAL: Final = UsageSource.PARTIAL
_PROVIDER: Final = UsageSource.PROVIDER

_PLAIN: Final = (b"", b"identity")
_DEFLATED: Final = (b"gzip", b"x-gzip", b"deflate")


class Tally(Protocol):
    """Knows one protocol's streams and adds up what they say."""

    def see_event(self, event: Event) -> None:
        """Take one event of a stream into account."""

    def reading(self) -> Reading:
        """Say what is known so far."""


ReadBody = Callable[[bytes | bytearray], Reading]
"""Says what a whole body says."""


def reader_of(
    read: ReadBody,
    tally: Callable[[], Tally],
    needles: tuple[bytes, ...],
    *,
    streaming: bool,
    content_encoding: bytes | None,
) -> UsageReader:
    """Choose the reader for one answer. `content_encoding` is the header's value; needles are of events that count."""
    encoding = content_encoding.strip().lower() if content_encoding else b""
    if encoding in _PLAIN:
        return StreamReader(tally(), needles) if streaming else BodyReader(read)
    if encoding in _DEFLATED:
        return InflatingReader(StreamReader(tally(), needles) if streaming else BodyReader(read))
    return UnreadableReader()


def source_of(usage: Usage | None, *, final: bool) -> UsageSource:
    """Say how much a count is worth; `final` says that the provider meant it as its last."""
    if usage is None:
        return _UNKNOWN
    return _PROVIDER if final else _PARTIAL


def whole_body(response_id: str | None, error: str | None, usage: Usage | None) -> Reading:
    """Say what was learned from a body that could be decoded; a count in it is the last."""
    return Reading(usage=usage, source=source_of(usage, final=True), response_id=response_id, error=error, whole=True)


class StreamReader:
    """Reads an event stream."""

    __slots__ = ("_scanner", "_tally", "feed")

    def __init__(self, tally: Tally, needles: tuple[bytes, ...]) -> None:
        self._tally = tally
        self._scanner = EventScanner(needles, tally.see_event)
        # Not a method around it: it is called for every piece.
        self.feed = self._scanner.feed

    def finish(self) -> Reading:
        """Say what was learned."""
        self._scanner.finish()
        return self._tally.reading()


class BodyReader:
    """Reads an answer that is one JSON body: collects it, and decodes at the end the few fields that count."""

    __slots__ = ("_body", "_read")

    def __init__(self, read: ReadBody) -> None:
        self._read = read
        # Most bodies come in one piece, which is kept as it is; None is one that was too large.
        self._body: bytes | bytearray | None = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        body = self._body
        if body is None:
            return
        if len(body) + len(chunk) > BODY_LIMIT:
            self._body = None
        elif not body:
            self._body = chunk
        elif isinstance(body, bytes):
            self._body = bytearray().join((body, chunk))
        else:
            body += chunk

    def finish(self) -> Reading:
        """Say what was learned."""
        return Reading() if self._body is None else self._read(self._body)


class InflatingReader:
    """Decodes gzip or deflate for reading only; what is forwarded stays compressed.

    Of several gzip members only the first is read: no provider sends more.
    """

    __slots__ = ("_inflater", "_inner", "_left", "_readable")

    def __init__(self, inner: UsageReader) -> None:
        self._inner = inner
        # 32 more than the window size: zlib tells the gzip wrapper from the zlib one by itself.
        self._inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
        self._left = INFLATED_IN_TOTAL
        self._readable = True

    def feed(self, chunk: bytes) -> None:
        """Take the next compressed bytes."""
        # After its end the inflater would collect what it is fed, without bound.
        if not self._readable or self._inflater.eof:
            return
        left = min(self._left, INFLATED_PER_FEED)
        try:
            while decoded := self._inflater.decompress(chunk, _STEP):
                left -= len(decoded)
                self._left -= len(decoded)
                if left < 0:
                    self._readable = False
                    return
                self._inner.feed(decoded)
                chunk = self._inflater.unconsumed_tail
        except zlib.error:
            self._readable = False

    def finish(self) -> Reading:
        """Say what was learned: nothing at all when a part could not be decoded."""
        reading = self._inner.finish()
        return reading if self._readable else Reading()


class UnreadableReader:
    """Stands in where the encoding is one we cannot decode (br, zstd, several at once)."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> None:
        """Let the bytes pass."""

    def finish(self) -> Reading:
        """Say that nothing was learned."""
        return Reading()
