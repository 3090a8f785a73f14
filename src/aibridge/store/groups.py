"""Groups of an organization's members. Instants are UTC microseconds.

A group is kept by hand (`user`), or by what an OpenID provider says of those who sign in (`oidc`).
"""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select

from aibridge.store import changes, directory, names, organizations, schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.directory import User
from aibridge.store.paging import Paging, counted, paged, searched

BY_HAND = "user"
BY_OIDC = "oidc"

_GROUPS = schema.groups.c
_GROUP_MEMBERS = schema.group_members.c
_USERS = schema.users.c
_ORDER = (_GROUPS.name, _GROUPS.id)


class GroupMember(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a group."""

    id: str
    username: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group. `source` says who keeps its members; these are in the order of their usernames."""

    id: str
    organization_id: uuid.UUID
    name: str
    display_name: str
    source: str
    members: tuple[GroupMember, ...]
    created_at: int
    updated_at: int

    @property
    def member_ids(self) -> tuple[str, ...]:
        """The ids of its members, in the same order."""
        return tuple(member.id for member in self.members)


class Query(Paging, frozen=True, kw_only=True):
    """Which groups to list; absent conditions do not count.

    `search` is looked for in both names, `user_id` is of somebody who is in it.
    """

    organization_ids: tuple[uuid.UUID, ...] | None = None
    search: str | None = None
    user_id: str | None = None
    ids: tuple[str, ...] | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the groups that match, in the order of their names, and how many match in all."""

    groups: tuple[Group, ...]
    count: int


def insert(  # noqa: PLR0913 (what a group is, each by name)
    connection: Connection,
    organization_id: uuid.UUID,
    *,
    name: str,
    display_name: str = "",
    source: str = BY_HAND,
    now: int,
) -> Group:
    """Add a group without members.

    Raises:
        Conflict: the organization has a group of that name.
        Invalid: a value is not allowed.
        LookupError: there is no such organization.
    """
    organizations.one(connection, organization_id)
    _check(connection, organization_id, {"name": name, "display_name": display_name})
    group_id = str(uuid.uuid4())
    row = {
        "id": group_id,
        "organization_id": str(organization_id),
        "name": name,
        "display_name": display_name,
        "source": source,
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(schema.groups.insert(), row)
    changes.note(connection)
    return one(connection, group_id)


def one(connection: Connection, group: str, *, organization_id: uuid.UUID | None = None) -> Group:
    """Find a group by id; with an organization, which it then is of, by id or by name.

    Raises:
        LookupError: there is none.
    """
    whose = _GROUPS.id == group.lower()
    if organization_id is not None:
        whose = and_(or_(whose, _GROUPS.name == group), _GROUPS.organization_id == str(organization_id))
    found = _listed(connection, select(schema.groups).where(whose)) if names.can_be_kept(group) else ()
    if not found:
        raise LookupError(f"there is no group {group!r}")
    return found[0]


def page(connection: Connection, query: Query) -> Page:
    """List groups in the order of their names.

    Raises:
        LookupError: `after_id` is no group's.
        Invalid: the search is too long.
    """
    matching = select(schema.groups).where(*_conditions(query)).order_by(*_ORDER)
    listed = paged(matching, query)
    if query.after_id is not None:
        last = one(connection, query.after_id)
        same_name = and_(_GROUPS.name == last.name, _GROUPS.id > last.id)  # in another organization
        listed = listed.where(or_(_GROUPS.name > last.name, same_name))
    return Page(groups=_listed(connection, listed), count=counted(connection, matching))


def of_user(connection: Connection, user_id: str) -> tuple[Group, ...]:
    """The groups that somebody is in, in the order of their names."""
    return _listed(connection, select(schema.groups).where(*_conditions(Query(user_id=user_id))).order_by(*_ORDER))


def update(  # noqa: PLR0913 (what can be changed, each by name)
    connection: Connection,
    group_id: str,
    *,
    name: str | None = None,
    display_name: str | None = None,
    add_users: Iterable[str] = (),
    remove_users: Iterable[str] = (),
    now: int,
) -> Group:
    """Change what is given. To add somebody who is in it, or remove somebody who is not, changes nothing.

    Users are given by id or name.

    Raises:
        Conflict: the organization has another group of that name.
        Invalid: a value is not allowed; or somebody is to be added who is no member of the organization, or is to be
            removed as well; or there is nobody of the id or name.
        LookupError: there is no such group.
    """
    group = one(connection, group_id)
    given = {"name": name, "display_name": display_name}
    values = {field: value for field, value in given.items() if value is not None}
    _check(connection, group.organization_id, values, except_id=group.id)
    joining, leaving = _users(connection, "add_users", add_users), _users(connection, "remove_users", remove_users)
    for user_id, user in sorted(joining.items()):
        if user_id in leaving:
            raise Invalid("remove_users", f"{user.username!r} cannot be added and removed at once")
        if group.organization_id not in user.organization_ids:
            raise Invalid("add_users", f"{user.username!r} is no member of the group's organization")
        if user_id not in group.member_ids:
            join(connection, group.id, user_id)
    for user_id in sorted(leaving):
        leave(connection, group.id, user_id)
    connection.execute(schema.groups.update().where(_GROUPS.id == group.id).values({**values, "updated_at": now}))
    changes.note(connection)
    return one(connection, group.id)


def delete(connection: Connection, group_id: str) -> None:
    """Delete a group. Its members stay what they are.

    Raises:
        LookupError: there is no such group.
    """
    group = one(connection, group_id)
    connection.execute(schema.group_members.delete().where(_GROUP_MEMBERS.group_id == group.id))
    connection.execute(schema.groups.delete().where(_GROUPS.id == group.id))
    changes.note(connection)


def join(connection: Connection, group_id: str, user_id: str) -> None:
    """Let a member of the organization into a group that they are not in."""
    connection.execute(schema.group_members.insert(), {"group_id": group_id, "user_id": user_id})


def leave(connection: Connection, group_id: str, user_id: str) -> None:
    """Let somebody out of a group, if they are in it."""
    membership = (_GROUP_MEMBERS.group_id == group_id, _GROUP_MEMBERS.user_id == user_id)
    connection.execute(schema.group_members.delete().where(*membership))


def _users(connection: Connection, field: str, given: Iterable[str]) -> dict[str, User]:
    try:
        found = [directory.one(connection, user) for user in given]
    except LookupError as error:
        raise Invalid(field, str(error)) from None
    return {user.id: user for user in found}


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.organization_ids is not None:
        yield _GROUPS.organization_id.in_([str(each) for each in query.organization_ids])
    if query.search:
        yield searched(query.search, _GROUPS.name, _GROUPS.display_name)
    if query.user_id is not None:
        yield _GROUPS.id.in_(select(_GROUP_MEMBERS.group_id).where(_GROUP_MEMBERS.user_id == query.user_id))
    if query.ids is not None:
        yield _GROUPS.id.in_(query.ids)


def _listed(connection: Connection, listed: Select[Any]) -> tuple[Group, ...]:
    rows = connection.execute(listed).all()
    whose = listed.with_only_columns(_GROUPS.id).subquery()
    theirs = (
        select(_GROUP_MEMBERS.group_id, _GROUP_MEMBERS.user_id, _USERS.username)
        .join_from(schema.group_members, schema.users, _USERS.id == _GROUP_MEMBERS.user_id)
        .where(_GROUP_MEMBERS.group_id.in_(select(whose.c.id)))
        .order_by(directory.NAME_ORDER)
    )
    inside: dict[str, list[GroupMember]] = {row.id: [] for row in rows}
    for row in connection.execute(theirs):
        inside[row.group_id].append(GroupMember(id=row.user_id, username=row.username))
    return tuple(_group(row, inside[row.id]) for row in rows)


def _group(row: Row[Any], inside: list[GroupMember]) -> Group:
    return Group(
        id=row.id,
        organization_id=uuid.UUID(row.organization_id),
        name=row.name,
        display_name=row.display_name,
        source=row.source,
        members=tuple(inside),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _check(connection: Connection, organization_id: uuid.UUID, values: dict[str, str], *, except_id: str = "") -> None:
    if "name" in values:
        name = values["name"]
        names.check_text("name", name, names.NAME_LENGTH)
        if not name or name != name.strip() or names.looks_like_id(name):
            raise Invalid(
                "name",
                f"{name!r} cannot be the name of a group: it is empty, has blanks around it, or looks like an id",
            )
        taken = select(_GROUPS.id).where(_GROUPS.organization_id == str(organization_id), _GROUPS.name == name)
        if connection.execute(taken.where(_GROUPS.id != except_id)).first() is not None:
            raise Conflict("name", f"there is a group {name!r} in the organization already")
    names.check_text("display_name", values.get("display_name", ""), names.NAME_LENGTH)
