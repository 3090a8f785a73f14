"""How much the gateway is used, counted from its records."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, distinct, func, select

from aibridge.store import schema
from aibridge.store.interceptions import earliest_id

_INTERCEPTIONS = schema.interceptions.c
_DAY = 86_400_000_000
_HOUR = 3_600_000_000


def daily_active_users(connection: Connection, since: int, until: int, tz_offset: int) -> list[tuple[str, int]]:
    """How many users made calls on each day that somebody did, the oldest first.

    `since` and `until` are UTC microseconds, both included; `tz_offset` is the zone's, in hours east of UTC.
    """
    day = ((_INTERCEPTIONS.started_at + tz_offset * _HOUR) // _DAY).label("day")
    # Within, the day is a column: PostgreSQL takes an expression with parameters for another one each time.
    calls = (
        select(day, _INTERCEPTIONS.actor_id)
        .where(
            _INTERCEPTIONS.id >= earliest_id(since),
            _INTERCEPTIONS.started_at >= since,
            _INTERCEPTIONS.started_at <= until,
        )
        .subquery()
    )
    query = select(calls.c.day, func.count(distinct(calls.c.actor_id))).group_by(calls.c.day).order_by(calls.c.day)
    first = datetime.fromtimestamp(0, UTC).date()
    return [((first + timedelta(days=number)).isoformat(), users) for number, users in connection.execute(query)]
