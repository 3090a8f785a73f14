r"""The lines of a journal file: what began and ended in a turn of the event loop, with a checksum.

    5f0c1a9e [[["0198c2f0...","u1",...]],[["0198c2ef...",["completed",...],["0198c2ef...",120,64,...]]]]\n

Eight hexadecimal digits of CRC-32 (zlib's), a space, the payload, a newline. The payload is JSON: the rows (see
`domain.row`) of what began, then of what ended. JSON holds no raw newline, so a newline always ends a line, and a
reader finds its way again after any damage. Two kinds of damage are told apart: a last line without its newline was
never finished (or is being written right now) and is left alone; a finished line that fails its checksum is skipped and
counted. Damage to a line costs all of its records, so it holds no more than 64.

Earlier versions wrote an object for each record, `5f0c1a9e {"type":"ended","ending":{...}}\n`, which is still read.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from aibridge.domain.interception import Ending, Interception
from aibridge.domain.row import End, Start, end_of, start_of

MOST_IN_LINE: Final = 64
"""How many records a line may hold."""

_Rows: TypeAlias = tuple[list[Start], list[End]]


class Reading(NamedTuple):
    """What `read` found."""

    started: list[Start]
    ended: list[End]
    lines: int
    """How many finished lines were passed, damaged ones included."""
    end: int
    """The offset just behind the last of them."""
    damaged: int
    """How many lines could not be read."""


class _Started(msgspec.Struct, tag="started"):
    interception: Interception


class _Ended(msgspec.Struct, tag="ended"):
    ending: Ending


_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[_Rows] = msgspec.json.Decoder(_Rows)
_EARLIER: msgspec.json.Decoder[_Started | _Ended] = msgspec.json.Decoder(_Started | _Ended)
_CHECKSUM_LENGTH = len("5f0c1a9e ")
# Inside a JSON string a quote is escaped, so no text of a client's looks like the beginning of a line, but for one that
# ends like it: that can cost the line it is in, if the newline before that line is damaged.
_BEGINNING = re.compile(rb'[0-9a-f]{8} (?:\[\[(?:\],\[)?\[|\{)"')


def encode(started: Sequence[Start], ended: Sequence[End]) -> bytes:
    """Return the lines that hold the rows, no ending before its start: one as a rule, none where there are no rows."""
    if len(started) + len(ended) <= MOST_IN_LINE:
        return _line(started, ended) if started or ended else b""
    lines = [_line(started[at : at + MOST_IN_LINE], ()) for at in range(0, len(started), MOST_IN_LINE)]
    lines += [_line((), ended[at : at + MOST_IN_LINE]) for at in range(0, len(ended), MOST_IN_LINE)]
    return b"".join(lines)


def read(data: bytes) -> Reading:
    """Read the finished lines of `data`, which begins where a line begins.

    Never raises, whatever the bytes are, and never returns a record that was not written.
    """
    started: list[Start] = []
    ended: list[End] = []
    passed = end = damaged = 0
    while (newline := data.find(b"\n", end)) >= 0:
        line = data[end:newline]
        whole = _decoded(line)
        found = [whole] if whole else [rows for piece in _pieces(line) if (rows := _decoded(piece))]
        for begun, over in found:
            started += begun
            ended += over
        damaged += not found
        passed += 1
        end = newline + 1
    return Reading(started, ended, passed, end, damaged)


def _line(started: Sequence[Start], ended: Sequence[End]) -> bytes:
    payload = _ENCODER.encode((started, ended))
    return b"%08x %b\n" % (crc32(payload), payload)


def _decoded(line: bytes) -> _Rows | None:
    payload = line[_CHECKSUM_LENGTH:]
    if line[:_CHECKSUM_LENGTH] != b"%08x " % crc32(payload):
        return None
    try:
        return _earlier(payload) if payload.startswith(b"{") else _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # whole, but of a kind this version does not know


def _earlier(payload: bytes) -> _Rows:
    record = _EARLIER.decode(payload)
    return ([start_of(record.interception)], []) if isinstance(record, _Started) else ([], [end_of(record.ending)])


def _pieces(line: bytes) -> Iterator[bytes]:
    """Cut a damaged line where lines begin: when its newline is damaged, a line seems to run into the next."""
    starts = [match.start() for match in _BEGINNING.finditer(line)]
    for start, following in pairwise([*starts, len(line) + 1]):
        yield line[start : following - 1]
