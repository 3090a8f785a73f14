"""The database's instants as the API writes them."""

from datetime import UTC, datetime, timedelta
from typing import overload

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def instant(microseconds: int) -> datetime: ...
@overload
def instant(microseconds: int | None) -> datetime | None: ...
def instant(microseconds: int | None) -> datetime | None:
    """An instant of the database, UTC microseconds, as a time with its zone; exact, as a float would not be."""
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


def microseconds(moment: datetime) -> int:
    """A time with its zone as the database keeps it."""
    return (moment - EPOCH) // timedelta(microseconds=1)
