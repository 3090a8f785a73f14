"""The files of a journal: numbered segments in one directory, of which only the newest is written to.

    0000000007.journal        closed: a later one exists, so it will never grow again
    0000000008.journal        the newest
    cursor                    how far the shipper is (`cursor`)
    lock                      held by the process that writes

Each segment begins with a head: what a reader of this file alone must know about earlier ones. It gets its name only
when its head is complete, so whoever sees a segment sees its head. A segment never continues one of an earlier
process: what a killed process left half-written stays the harmless last line of a closed file.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aibridge.ledger import entry

_SUFFIX = ".journal"
_UNFINISHED_SUFFIX = ".new"
_CHUNK = 1 << 20
_SEGMENTS_TO_RECOVER = 2


class Disk(NamedTuple):
    """The two system calls whose failing is part of the ledger's contract."""

    write: Callable[[int, bytes], int] = os.write
    fdatasync: Callable[[int], None] = os.fdatasync


def path_of(directory: Path, number: int) -> Path:
    """Return the path of a segment."""
    return directory / f"{number:010d}{_SUFFIX}"


def numbers(directory: Path) -> list[int]:
    """Return the numbers of the segments there are, oldest first."""
    return sorted(int(path.stem) for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal())


def create(directory: Path, number: int, head: bytes, disk: Disk, *, synced: bool = False) -> int:
    """Make a segment that begins with the lines of `head` and return a descriptor to append to it.

    With `synced`, head and name are on the disk before this returns. Raises OSError, and then there is no segment.
    """
    path = path_of(directory, number)
    unfinished = path.with_name(path.name + _UNFINISHED_SUFFIX)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        while head:
            head = head[disk.write(descriptor, head) :]
        if synced:
            disk.fdatasync(descriptor)
        unfinished.rename(path)
        if synced:
            sync_directory(directory)
    except OSError:
        os.close(descriptor)
        unfinished.unlink(missing_ok=True)
        raise
    return descriptor


def remove_unfinished(directory: Path) -> None:
    """Remove segments that never got their name."""
    for path in directory.glob(f"*{_SUFFIX}{_UNFINISHED_SUFFIX}"):
        path.unlink()


def sync_directory(directory: Path) -> None:
    """Put the names of the directory on the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, offset: int) -> bytes:
    """Return about a megabyte of a segment from `offset` on: at least one finished line, where there is one.

    Nothing for a segment that is not there.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(_CHUNK)
            while data and b"\n" not in data and (more := file.read(_CHUNK)):
                data += more
            return data
    except FileNotFoundError:
        return b""


def sync(path: Path) -> None:
    """Put a segment on the disk, from whichever process or thread. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def unfinished(directory: Path) -> list[str]:
    """Return the ids of the interceptions that began and did not end, as the segments tell it.

    The head of the newest segment names all that were open when it was made, so older ones need not be read. One more
    is read because a power failure may take the newest head; it cannot take two, see `Journal`.
    """
    opened: dict[str, None] = {}
    for number in numbers(directory)[-_SEGMENTS_TO_RECOVER:]:
        path, offset = path_of(directory, number), 0
        while (reading := entry.read(read(path, offset))).lines:
            offset += reading.end
            opened.update((interception_id, None) for interception_id, *_ in reading.started)
            for interception_id, *_ in reading.ended:
                opened.pop(interception_id, None)
    return [*opened]
