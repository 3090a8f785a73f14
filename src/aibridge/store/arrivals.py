"""The ledger as a record of who came when: read in the order of time, a page at a time, for a rehearsal of limits."""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, select

from aibridge.limits.arrivals import Arrival
from aibridge.store import schema
from aibridge.store.database import Database
from aibridge.store.interceptions import earliest_id

PAGE = 5000
"""How many calls are read in one transaction. What the server writes meanwhile waits for none of them."""

_INTERCEPTIONS = schema.interceptions.c
_USAGES = schema.token_usages.c
_USERS = schema.users.c


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that began at `since` or later, and before `until`; both in UTC microseconds."""

    since: int
    until: int


def count(database: Database, period: Period) -> int:
    """How many calls began in a period.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    query = select(func.count()).select_from(schema.interceptions).where(*_within(period, earliest_id(period.since)))
    with database.reading() as connection:
        return connection.execute(query).scalar_one()


def arrivals(database: Database, period: Period) -> Iterator[Arrival]:
    """The calls of a period in the order of their ids, which is that of time to the millisecond.

    A call that has not ended is taken to last until the end of the period. One whose usage is unknown used nothing.
    The ledger knows neither organizations nor addresses.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    after = earliest_id(period.since)
    while True:
        with database.reading() as connection:
            rows = connection.execute(_page(period, after)).all()
        for row in rows:
            yield _arrival(row, period)
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def _page(period: Period, after: str) -> Select[Any]:
    columns = (
        _INTERCEPTIONS.id,
        _INTERCEPTIONS.actor_id,
        _INTERCEPTIONS.token_id,
        _INTERCEPTIONS.provider,
        _INTERCEPTIONS.model,
        _INTERCEPTIONS.started_at,
        _INTERCEPTIONS.ended_at,
        _USERS.username,
        _USAGES.input_tokens,
        _USAGES.output_tokens,
        _USAGES.cache_read_input_tokens,
        _USAGES.cache_write_input_tokens,
    )
    return (
        select(*columns)
        .select_from(schema.interceptions)
        .outerjoin(schema.users, _USERS.id == _INTERCEPTIONS.actor_id)
        .outerjoin(schema.token_usages, _USAGES.interception_id == _INTERCEPTIONS.id)
        .where(*_within(period, after))
        .order_by(_INTERCEPTIONS.id)
        .limit(PAGE)
    )


def _within(period: Period, after: str) -> Iterator[ColumnElement[bool]]:
    yield _INTERCEPTIONS.started_at >= period.since
    yield _INTERCEPTIONS.started_at < period.until
    # Where the reading begins and ends. One bound each way: given two, SQLite may begin at the lower.
    yield _INTERCEPTIONS.id > after
    yield _INTERCEPTIONS.id < earliest_id(period.until + 1000)  # an id knows milliseconds


def _arrival(row: Row[Any], period: Period) -> Arrival:
    """A row as an arrival. Where a person is gone, the id stands for the name."""
    cache_read, cache_write = row.cache_read_input_tokens or 0, row.cache_write_input_tokens or 0
    ended_at = period.until if row.ended_at is None else row.ended_at
    return Arrival(
        at=row.started_at / 1e6,
        actor=row.username or row.actor_id,
        token=row.token_id,
        provider=row.provider,
        model=row.model,
        input_tokens=(row.input_tokens or 0) + cache_read + cache_write,
        output_tokens=row.output_tokens or 0,
        duration=max(0, ended_at - row.started_at) / 1e6,
        cache_read_input_tokens=cache_read,
        cache_write_input_tokens=cache_write,
    )
