"""When people were last seen, and who falls dormant. Instants are UTC microseconds."""

from collections.abc import Iterable

from sqlalchemy import Connection, and_, bindparam, or_

from aibridge.domain.user import UserStatus
from aibridge.store import changes, schema

SEEN_RESOLUTION = 600_000_000
"""`last_seen_at` is kept to ten minutes, in microseconds: it is for people, and for who falls dormant after weeks."""

_USERS = schema.users.c
_PRESENT = _USERS.deleted_at.is_(None)
_THEY = _USERS.id == bindparam("user_id")
_LATER = or_(_USERS.last_seen_at.is_(None), _USERS.last_seen_at <= bindparam("stale_at"))
_SEEN = schema.users.update().where(_PRESENT, _THEY, _LATER).values(last_seen_at=bindparam("seen_at"))
_AWAKE = (
    schema.users.update()
    .where(_PRESENT, _THEY, _USERS.status == UserStatus.DORMANT.value, _USERS.updated_at <= bindparam("seen_at"))
    .values(status=UserStatus.ACTIVE.value, updated_at=bindparam("seen_at"), last_seen_at=bindparam("seen_at"))
)


def seen(connection: Connection, sightings: Iterable[tuple[str, int]]) -> None:
    """Note when users were seen, as pairs of id and instant. Unknown ids are passed over.

    Within ten minutes of the instant that is kept nothing changes. Who was dormant before is active from then on;
    who is suspended stays so.
    """
    rows = [{"user_id": user_id, "seen_at": at, "stale_at": at - SEEN_RESOLUTION} for user_id, at in sightings]
    if rows:
        if connection.execute(_AWAKE, rows).rowcount:
            changes.note(connection)
        connection.execute(_SEEN, rows)


def fall_dormant(connection: Connection, before: int, now: int) -> int:
    """Make dormant who is active and was neither seen nor changed since `before`; answer how many.

    Service accounts do not fall dormant: nobody misses one until it is needed.
    """
    # Who was made, or activated, a moment ago had no time to be seen.
    unseen = and_(_USERS.updated_at < before, or_(_USERS.last_seen_at.is_(None), _USERS.last_seen_at < before))
    active = and_(_PRESENT, _USERS.status == UserStatus.ACTIVE.value, _USERS.organization_id.is_(None))
    change = schema.users.update().where(active, unseen).values(status=UserStatus.DORMANT.value, updated_at=now)
    fallen = connection.execute(change).rowcount
    if fallen:
        changes.note(connection)
    return fallen
