"""Who is in which organization, and with which roles. Instants are UTC microseconds."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, select

from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import ORGANIZATION_MEMBER, ORGANIZATION_ROLES
from aibridge.store import changes, directory, held_roles, organizations, schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.paging import Paging, counted, paged, searched

_MEMBERS = schema.organization_members.c
_USERS = schema.users.c
_GROUPS = schema.groups.c
_ROLES = schema.custom_roles.c
_TOKENS = schema.tokens.c

_EVERYTHING = select(
    _MEMBERS.organization_id,
    _MEMBERS.user_id,
    _USERS.username,
    _USERS.name,
    _USERS.email,
    _MEMBERS.roles,
    _MEMBERS.created_at,
    _MEMBERS.updated_at,
).join_from(schema.organization_members, schema.users, _USERS.id == _MEMBERS.user_id)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One membership. `roles` are those in the organization, in order, without `organization-member`."""

    organization_id: uuid.UUID
    user_id: str
    username: str
    name: str
    email: str | None
    roles: tuple[RoleIdentifier, ...]
    created_at: int
    updated_at: int


class Query(Paging, frozen=True, kw_only=True):
    """Which members of an organization to list; absent conditions do not count. `after_id` is a user's.

    `search` is looked for in usernames, addresses and full names.
    """

    search: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the members that match, in the order of their usernames, and how many match in all."""

    members: tuple[Member, ...]
    count: int


def add(
    connection: Connection, organization_id: uuid.UUID, user: str, *, roles: Iterable[RoleIdentifier] = (), now: int
) -> Member:
    """Let somebody join, given by id or name.

    Raises:
        Conflict: they are a member already.
        Invalid: there is no such role in the organization, or they are the service account of another.
        LookupError: there is no such organization or user.
    """
    organization = organizations.one(connection, organization_id)
    joining = directory.one(connection, user)
    if joining.service_account_of not in (None, organization_id):
        raise Invalid("user", f"{joining.username!r} is a service account of another organization, and stays in it")
    if organization_id in joining.organization_ids:
        raise Conflict("user", f"{joining.username!r} is a member of {organization.name!r} already")
    row = {
        "organization_id": str(organization_id),
        "user_id": joining.id,
        "roles": held_roles.written(_checked(connection, organization_id, roles)),
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(schema.organization_members.insert(), row)
    changes.note(connection)
    return one(connection, organization_id, joining.id)


def one(connection: Connection, organization_id: uuid.UUID, user: str) -> Member:
    """Find a member by the user's id or name.

    Raises:
        LookupError: there is no such user, or they are no member.
    """
    asked = directory.one(connection, user)
    found = _listed(connection, _EVERYTHING.where(*_membership(organization_id, asked.id)))
    if not found:
        raise LookupError(f"{asked.username!r} is no member of the organization {str(organization_id)!r}")
    return found[0]


def page(connection: Connection, organization_id: uuid.UUID, query: Query) -> Page:
    """List the members of an organization in the order of their usernames.

    Raises:
        LookupError: there is no such organization, or `after_id` is nobody's.
        Invalid: the search is too long.
    """
    organizations.one(connection, organization_id)
    matching = _EVERYTHING.where(_MEMBERS.organization_id == str(organization_id), *_conditions(query)).order_by(
        directory.NAME_ORDER
    )
    listed = paged(matching, query)
    if query.after_id is not None:
        listed = listed.where(directory.name_of(connection, query.after_id) < directory.NAME_ORDER)
    return Page(members=_listed(connection, listed), count=counted(connection, matching))


def set_roles(
    connection: Connection, organization_id: uuid.UUID, user: str, roles: Iterable[RoleIdentifier], *, now: int
) -> Member:
    """Give a member these roles in place of those they have. `organization-member` may be among them, for nothing.

    Raises:
        Invalid: there is no such role in the organization.
        LookupError: there is no such member.
    """
    member = one(connection, organization_id, user)
    kept = held_roles.written(_checked(connection, organization_id, roles))
    whose = _membership(organization_id, member.user_id)
    connection.execute(schema.organization_members.update().where(*whose).values(roles=kept, updated_at=now))
    changes.note(connection)
    return one(connection, organization_id, member.user_id)


def remove(connection: Connection, organization_id: uuid.UUID, user: str, *, now: int) -> None:
    """Let a member go: out of the organization's groups, their tokens for it revoked.

    Raises:
        Conflict: they are a service account of it.
        LookupError: there is no such member.
    """
    member = one(connection, organization_id, user)
    if directory.one(connection, member.user_id).service_account_of == organization_id:
        raise Conflict("user", f"{member.username!r} is a service account of this organization: delete it instead")
    its_groups = select(_GROUPS.id).where(_GROUPS.organization_id == str(organization_id))
    theirs = schema.group_members.c
    connection.execute(
        schema.group_members.delete().where(theirs.user_id == member.user_id, theirs.group_id.in_(its_groups))
    )
    in_force = (_TOKENS.user_id == member.user_id, _TOKENS.organization_id == str(organization_id))
    connection.execute(schema.tokens.update().where(*in_force, _TOKENS.revoked_at.is_(None)).values(revoked_at=now))
    connection.execute(schema.organization_members.delete().where(*_membership(organization_id, member.user_id)))
    changes.note(connection)


def _membership(organization_id: uuid.UUID, user_id: str) -> tuple[ColumnElement[bool], ...]:
    return _MEMBERS.organization_id == str(organization_id), _MEMBERS.user_id == user_id


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.search:
        yield searched(query.search, _USERS.username, _USERS.email, _USERS.name)


def _listed(connection: Connection, listed: Select[Any]) -> tuple[Member, ...]:
    return tuple(_member(row) for row in connection.execute(listed))


def _member(row: Row[Any]) -> Member:
    organization_id = uuid.UUID(row.organization_id)
    return Member(
        organization_id=organization_id,
        user_id=row.user_id,
        username=row.username,
        name=row.name,
        email=row.email,
        roles=held_roles.read(row.roles, organization_id),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _checked(
    connection: Connection, organization_id: uuid.UUID, roles: Iterable[RoleIdentifier]
) -> tuple[RoleIdentifier, ...]:
    """Those of the roles that are kept.

    Raises:
        Invalid: one is not of this organization, or there is none of its name.
    """
    kept = tuple(sorted(set(roles)))
    custom = select(_ROLES.name).where(_ROLES.organization_id == str(organization_id))
    known = {*ORGANIZATION_ROLES, *connection.execute(custom).scalars()}
    for role in kept:
        if role.organization_id != organization_id:
            raise Invalid("roles", f"{str(role)!r} is no role in the organization {str(organization_id)!r}")
        if role.name not in known:
            raise Invalid("roles", f"there is no role {role.name!r} here: there are {', '.join(sorted(known))}")
    return tuple(role for role in kept if role.name != ORGANIZATION_MEMBER.name)
