"""How much the gateway is used, counted from its records."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, cast, distinct, func, select
from sqlalchemy.types import BigInteger

from aibridge.store import schema
from aibridge.store.interceptions import earliest_id

_INTERCEPTIONS = schema.interceptions.c
_DAY = 86_400_000_000
_HOUR = 3_600_000_000


def daily_active_users(connection: Connection, since: int, until: int, tz_offset: int) -> list[tuple[str, int]]:
    """How many users made calls on each day that somebody did, the oldest first.

    `since` and `until` are UTC microseconds, both included; `tz_offset` is the zone's, in hours east of UTC.
    """
    shifted = _INTERCEPTIONS.started_at + tz_offset * _HOUR
    day = cast((shifted - shifted % _DAY) / _DAY, BigInteger).label("day")
    query = (
        select(day, func.count(distinct(_INTERCEPTIONS.actor_id)))
        .where(
            _INTERCEPTIONS.id >= earliest_id(since),
            _INTERCEPTIONS.started_at >= since,
            _INTERCEPTIONS.started_at <= until,
        )
        .group_by(day)
        .order_by(day)
    )
    first = datetime.fromtimestamp(0, UTC).date()
    return [((first + timedelta(days=int(number))).isoformat(), users) for number, users in connection.execute(query)]
