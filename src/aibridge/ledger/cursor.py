"""How far the shipper is, kept beside the segments."""

import logging
import os
from pathlib import Path

import msgspec

from aibridge.ledger import segments

_NAME = "cursor"
_log = logging.getLogger(__name__)


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before byte `offset` of segment number `segment` is in the database."""

    segment: int = 0
    offset: int = 0


def load(directory: Path) -> Cursor:
    """Return the saved cursor; the very beginning when there is none or it cannot be read.

    Beginning again repeats batches, which costs time and nothing else.
    """
    path = directory / _NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Cursor)
    except FileNotFoundError:
        return Cursor()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        _log.warning("%s cannot be read; the journal is shipped again from its oldest segment", path)
        return Cursor()


def save(directory: Path, cursor: Cursor) -> None:
    """Replace the saved cursor; it is on the disk when this returns. Raises OSError, and then the old one stands."""
    unfinished = directory / f"{_NAME}.new"
    with unfinished.open("wb") as file:
        file.write(msgspec.json.encode(cursor))
        file.flush()
        os.fdatasync(file.fileno())
    unfinished.rename(directory / _NAME)
    segments.sync_directory(directory)
