"""One page of a listing: which, and how many rows there are on all pages together."""

from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, Select, func, or_, select

from aibridge.store.names import check_text, lowered

LONGEST_SEARCH = 256
"""Characters of a search. SQLite calls a LIKE pattern too complex from 50,000 bytes on, and nobody types that many."""


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """At most `limit` rows: those after the row `after_id`, less the first `offset` of these."""

    limit: int = 100
    offset: int = 0
    after_id: str | None = None


def counted(connection: Connection, matching: Select[Any]) -> int:
    """How many rows match, on whatever page."""
    return connection.execute(select(func.count()).select_from(matching.order_by(None).subquery())).scalar_one()


def paged(matching: Select[Any], paging: Paging) -> Select[Any]:
    """One page of what matches; `after_id` is the listing's own to see to, which knows its order."""
    return matching.limit(paging.limit).offset(paging.offset)


def searched(text: str, *columns: Column[Any]) -> ColumnElement[bool]:
    """The condition that a text is somewhere in one of the columns, in any case of ASCII letters.

    It has no wildcards: `%a%b%c%...` costs a database more than it can spend on one who types.

    Raises:
        Invalid: it is too long, or has control characters in it.
    """
    check_text("q", text, LONGEST_SEARCH)
    return or_(*(func.lower(column).contains(lowered(text), autoescape=True) for column in columns))
