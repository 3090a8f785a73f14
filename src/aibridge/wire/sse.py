"""Server-Sent Events, split on the way past.

The stream is forwarded elsewhere, so nobody waits for what is found here. That buys the speed: pieces are only
collected, and looked at a batch at a time. A batch with nothing of interest in it costs one join and one substring
search for each needle, about a fifth of a nanosecond a byte each, however finely the stream was cut.

Grammar: WHATWG HTML, section 9.2.6 "Interpreting an event stream". Two deviations, both for the sake of usage: `finish`
gives a last event that lacks its blank line, and only events of interest are given at all.
"""

from collections.abc import Callable

from aibridge.wire.event import Event

BATCH = 4096
"""Bytes collected before looking: about twenty deltas, and little enough to hold for every open stream."""

STRIDE = 256 * 1024
"""Bytes collected at most before looking again, when a large event is being held."""

LIMIT = 4 * 1024 * 1024
"""Bytes of one event; a larger one is skipped and counted, not kept."""

_PIECE_OVERHEAD = 33
"""Bytes a piece costs beside its content (`sys.getsizeof(b"")`): a flood of empty pieces is bounded too."""

_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = b"\n\n"


class EventScanner:
    """Finds whole events that hold one of `needles`, in pieces cut anywhere, and gives them to `found` in their order.

    The first event with data is given whether it holds a needle or not, because it names the response. Holds at most
    LIMIT + STRIDE bytes and one piece. `oversized` counts the events that were skipped for their size.
    """

    __slots__ = ("_first", "_found", "_left", "_needles", "_pieces", "_rest", "_skipping", "oversized")

    def __init__(self, needles: tuple[bytes, ...], found: Callable[[Event], None]) -> None:
        self._needles = needles
        self._found = found
        self._pieces: list[bytes] = []
        # Bytes to collect before looking. The first piece is looked at on its own: with the first event out of the way,
        # batches can be passed over.
        self._left = 1
        # What follows the last blank line, its line ends already made LF.
        self._rest = b""
        self._first = True
        self._skipping = False
        self.oversized = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next piece; give the events that became visible with it."""
        self._pieces.append(chunk)
        self._left -= len(chunk) + _PIECE_OVERHEAD
        if self._left <= 0:
            self._look()

    def finish(self) -> None:
        """Give what is left when no more pieces come, a last event without its blank line included."""
        self._pieces.append(_BLANK_LINE)
        self._look()

    def _look(self) -> None:
        fresh = b"".join(self._pieces)
        self._pieces.clear()
        if b"\r" in fresh:
            fresh = self._with_line_feeds(fresh)
        rest = self._rest
        text = rest + fresh
        # What is held was searched before: only a blank line across the seam, or after it, can be new.
        end = text.rfind(_BLANK_LINE, len(rest) - 1 if rest else 0)
        whole, self._rest = (text[: end + 2], text[end + 2 :]) if end >= 0 else (b"", text)
        if whole and self._skipping:
            whole = whole.partition(_BLANK_LINE)[2]
            self._skipping = False
        self._bound_rest()
        if whole:
            self._give_events_in(whole)

    def _with_line_feeds(self, fresh: bytes) -> bytes:
        """Make every line end LF. A CR at the very end waits for its LF: the two are one line end."""
        if fresh.endswith(b"\r"):
            self._pieces.append(b"\r")
            fresh = fresh[:-1]
        return fresh.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _bound_rest(self) -> None:
        """Let go of an event that grew too large, and say when to look again.

        Looking again only once as much came as is held keeps the copying linear in the length of the stream.
        """
        if len(self._rest) > LIMIT:
            self.oversized += not self._skipping
            self._skipping = True
        if self._skipping:
            self._rest = self._rest[-1:]  # may be the first half of a blank line
        held = len(self._rest)
        self._left = BATCH if held <= BATCH else min(held, STRIDE)

    def _give_events_in(self, whole: bytes) -> None:
        if not self._first and len(whole) <= LIMIT:
            whole = self._from_first_needle(whole)
            if not whole:
                return
        for block in whole.split(_BLANK_LINE):
            if len(block) > LIMIT:
                self.oversized += 1
            elif self._first or self._counts(block):
                event = _parsed(block.removeprefix(_BOM) if self._first else block)
                if event is not None:
                    self._first = False
                    self._found(event)

    def _counts(self, block: bytes) -> bool:
        """Whether there is a needle in an event."""
        for needle in self._needles:  # noqa: SIM110 (a generator costs more than the search)
            if needle in block:
                return True
        return False

    def _from_first_needle(self, whole: bytes) -> bytes:
        """Leave out the events before the first that holds a needle; mostly that leaves none."""
        end = first = len(whole)
        for needle in self._needles:
            # `in` costs a tenth more and `rfind` a quarter, measured on 4 KiB of each protocol's deltas (CPython 3.11).
            place = whole.find(needle, 0, first)
            if place >= 0:
                first = place
        return whole[max(0, whole.rfind(_BLANK_LINE, 0, first)) :] if first < end else b""


def _parsed(block: bytes) -> Event | None:
    """Read the lines of one event; None when it has no data, which the grammar says is no event."""
    name = b""
    data = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return Event(name, b"\n".join(data)) if data else None
