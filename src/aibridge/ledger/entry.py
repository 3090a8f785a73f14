r"""The lines of a journal file: one record each, with a checksum of its own.

    5f0c1a9e {"type":"ended","ending":{...}}\n

Eight hexadecimal digits of CRC-32 (zlib's), a space, the payload as JSON, a newline. JSON holds no raw newline, so a
newline always ends a record, and a reader finds its way again after any damage. Two kinds of damage are told apart: a
last line without its newline is a record that was never finished (or is being written right now) and is left alone; a
finished line that fails its checksum is skipped and counted.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import msgspec

from aibridge.domain.interception import Ending, Interception


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started", gc=False):
    """An interception began."""

    interception: Interception


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended", gc=False):
    """An interception ended."""

    ending: Ending


Entry = Started | Ended

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
_CHECKSUM_LENGTH = len("5f0c1a9e ")
# Inside a JSON string a quote is escaped, so no text of a client's can look like the beginning of a record.
_BEGINNING = re.compile(rb'[0-9a-f]{8} \{"')


class Reading(NamedTuple):
    """What `read` found."""

    entries: list[Entry]
    lines: int
    """How many finished lines were passed, damaged ones included."""
    end: int
    """The offset just behind the last of them."""
    damaged: int
    """How many records could not be read."""


def encode(entry: Entry) -> bytes:
    """Return the line that holds the entry."""
    payload = _ENCODER.encode(entry)
    return b"%08x %b\n" % (crc32(payload), payload)


def read(data: bytes, most: int | None = None) -> Reading:
    """Read the finished lines of `data`, which begins where a line begins; at most `most` lines if that is given.

    Never raises, whatever the bytes are, and never returns an entry that was not written.
    """
    entries: list[Entry] = []
    lines = end = damaged = 0
    while most is None or lines < most:
        newline = data.find(b"\n", end)
        if newline < 0:
            break
        line = data[end:newline]
        entry = _decoded(line)
        if entry is not None:
            entries.append(entry)
        else:
            salvaged = [found for piece in _pieces(line) if (found := _decoded(piece)) is not None]
            entries += salvaged
            damaged += not salvaged
        lines += 1
        end = newline + 1
    return Reading(entries, lines, end, damaged)


def _decoded(line: bytes) -> Entry | None:
    payload = line[_CHECKSUM_LENGTH:]
    if line[:_CHECKSUM_LENGTH] != b"%08x " % crc32(payload):
        return None
    try:
        return _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # whole, but of a kind this version does not know


def _pieces(line: bytes) -> Iterator[bytes]:
    """Cut a damaged line where records begin: when its newline is damaged, a record seems to run into the next."""
    starts = [match.start() for match in _BEGINNING.finditer(line)]
    for start, following in pairwise([*starts, len(line) + 1]):
        yield line[start : following - 1]
