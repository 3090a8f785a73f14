"""Groups as an OpenID provider knows them: with each sign-in, somebody is put where the provider says they belong."""

import uuid
from collections.abc import Iterable

from sqlalchemy import Connection, select

from aibridge.store import changes, groups, members, schema
from aibridge.store.conflict import Invalid

_GROUPS = schema.groups.c


def set_memberships(  # noqa: PLR0913 (each by name)
    connection: Connection,
    user_id: str,
    organization_id: uuid.UUID,
    wanted: Iterable[str],
    *,
    source: str = groups.BY_OIDC,
    now: int,
) -> tuple[str, ...]:
    """Put a member into the groups of these names and out of all others of that source; answer the names passed over.

    Groups that are missing are made. Those of another source are left alone, whoever is in them: a name that a provider
    lets people choose must not lead into a group that somebody keeps by hand. Such names are passed over, and those
    that no group can have.

    Raises:
        LookupError: there is no such member.
    """
    member = members.one(connection, organization_id, user_id)
    query = select(_GROUPS.id, _GROUPS.name, _GROUPS.source).where(_GROUPS.organization_id == str(organization_id))
    known = {row.name: row for row in connection.execute(query)}
    present = {group.id for group in groups.of_user(connection, member.user_id)}
    passed_over: list[str] = []
    entered: set[str] = set()
    for name in sorted(set(wanted)):
        if name in known:
            group_id = known[name].id if known[name].source == source else None
        else:
            group_id = _made(connection, organization_id, name, source, now)
        if group_id is None:
            passed_over.append(name)
        else:
            entered.add(group_id)
    kept_so = {row.id for row in known.values() if row.source == source}
    joining, leaving = entered - present, (present & kept_so) - entered
    for group_id in sorted(joining):
        groups.join(connection, group_id, member.user_id)
    for group_id in sorted(leaving):
        groups.leave(connection, group_id, member.user_id)
    if joining or leaving:  # most sign-ins change nothing, and need no new snapshot
        changes.note(connection)
    return tuple(passed_over)


def _made(connection: Connection, organization_id: uuid.UUID, name: str, source: str, now: int) -> str | None:
    try:
        return groups.insert(connection, organization_id, name=name, source=source, now=now).id
    except Invalid:
        return None
