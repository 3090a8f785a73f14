"""The roles that organizations make. Instants are UTC microseconds."""

import logging
import uuid
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import CustomRole
from aibridge.store import changes, held_roles, names, organizations, schema
from aibridge.store.conflict import Conflict
from aibridge.store.paging import Paging, counted, paged

_ROLES = schema.custom_roles.c
_MEMBERS = schema.organization_members.c
_NOTHING = (Permission(resource=Resource.ANY, action=Action.ANY, negate=True),)
_log = logging.getLogger("aibridge")
_PERMISSIONS = msgspec.json.Decoder(tuple[Permission, ...])


class StoredRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role that an organization made, and what it is shown as."""

    role: CustomRole
    display_name: str
    created_at: int
    updated_at: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of an organization's roles, in the order of their names, and how many it has."""

    roles: tuple[StoredRole, ...]
    count: int


def insert(connection: Connection, role: CustomRole, *, display_name: str = "", now: int) -> StoredRole:
    """Add a role to its organization. What it is shown as is its name, if nothing else is said.

    Whether whoever asks may grant all that it grants is not asked here: see `domain.authorize.beyond`.

    Raises:
        Conflict: the organization has a role of that name, in whatever case of letters.
        Invalid: a value is not allowed.
        LookupError: there is no such organization.
    """
    organization = organizations.one(connection, _organization_of(role.identifier))
    name = role.identifier.name
    names.check_text("display_name", display_name, names.NAME_LENGTH)
    same_name = (_ROLES.organization_id == str(organization.id), func.lower(_ROLES.name) == name.lower())
    if connection.execute(select(_ROLES.name).where(*same_name)).first() is not None:
        raise Conflict("name", f"there is a role {name!r} in {organization.name!r} already")
    row = {
        "organization_id": str(organization.id),
        "name": name,
        "display_name": display_name or name,
        "permissions": msgspec.json.encode(role.permissions).decode(),
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(schema.custom_roles.insert(), row)
    changes.note(connection)
    return one(connection, role.identifier)


def one(connection: Connection, identifier: RoleIdentifier) -> StoredRole:
    """Find a role by its name, as it is written, and its organization.

    Raises:
        LookupError: there is none.
    """
    listed = select(schema.custom_roles).where(*_named(identifier))
    found = _listed(connection, listed) if names.can_be_kept(identifier.name) else ()
    if not found:
        raise LookupError(f"there is no custom role {str(identifier)!r}")
    return found[0]


def page(connection: Connection, organization_id: uuid.UUID, paging: Paging) -> Page:
    """List an organization's roles in the order of their names. `after_id` is a name, since roles have no ids.

    The listing goes on after a role that was deleted in between.

    Raises:
        LookupError: there is no such organization.
    """
    organization = organizations.one(connection, organization_id)
    matching = select(schema.custom_roles).where(_ROLES.organization_id == str(organization.id)).order_by(_ROLES.name)
    listed = paged(matching, paging)
    if paging.after_id is not None:
        names.check_text("after_id", paging.after_id, names.NAME_LENGTH)
        listed = listed.where(_ROLES.name > paging.after_id)
    return Page(roles=_listed(connection, listed), count=counted(connection, matching))


def update(connection: Connection, role: CustomRole, *, display_name: str | None = None, now: int) -> StoredRole:
    """Put this role in the place of the one of its name, for all who have it.

    Raises:
        Invalid: a value is not allowed.
        LookupError: there is no such role.
    """
    before = one(connection, role.identifier)
    shown_as = before.display_name if display_name is None else display_name or role.identifier.name
    names.check_text("display_name", shown_as, names.NAME_LENGTH)
    values = {"display_name": shown_as, "permissions": msgspec.json.encode(role.permissions).decode()}
    connection.execute(
        schema.custom_roles.update().where(*_named(role.identifier)).values({**values, "updated_at": now})
    )
    changes.note(connection)
    return one(connection, role.identifier)


def delete(connection: Connection, identifier: RoleIdentifier, *, now: int) -> None:
    """Delete a role and take it from all members who have it: another of its name must not become theirs.

    Raises:
        LookupError: there is no such role.
    """
    one(connection, identifier)
    organization_id = _organization_of(identifier)
    in_it = _MEMBERS.organization_id == str(organization_id)
    having = select(_MEMBERS.user_id, _MEMBERS.roles).where(
        in_it, _MEMBERS.roles.contains(held_roles.mention(identifier), autoescape=True)
    )
    for row in connection.execute(having).all():
        left = held_roles.written(role for role in held_roles.read(row.roles, organization_id) if role != identifier)
        change = schema.organization_members.update().where(in_it, _MEMBERS.user_id == row.user_id)
        connection.execute(change.values(roles=left, updated_at=now))
    connection.execute(schema.custom_roles.delete().where(*_named(identifier)))
    changes.note(connection)


def of(connection: Connection, identifiers: Iterable[RoleIdentifier]) -> frozenset[CustomRole]:
    """The definitions of those of the roles that organizations made."""
    asked = {role for role in identifiers if role.is_organization_role}
    places = {str(role.organization_id) for role in asked}
    if not places:
        return frozenset()
    found = _definitions(connection, select(schema.custom_roles).where(_ROLES.organization_id.in_(places)))
    return frozenset(role for role in found if role.identifier in asked)


def every(connection: Connection) -> dict[RoleIdentifier, CustomRole]:
    """All definitions there are."""
    return {role.identifier: role for role in _definitions(connection, select(schema.custom_roles))}


def _definitions(connection: Connection, listed: Select[Any]) -> Iterator[CustomRole]:
    """What roles grant. One that this program cannot read, since a newer one wrote it, denies everything.

    What it would deny is not known, and nobody may do more for being told less.
    """
    for row in connection.execute(listed):
        try:
            yield _stored(row).role
        except msgspec.MsgspecError as problem:
            identifier = RoleIdentifier(row.name, uuid.UUID(row.organization_id))
            _tell(identifier, str(problem))
            yield CustomRole(identifier=identifier, permissions=_NOTHING)


@cache
def _tell(role: RoleIdentifier, problem: str) -> None:
    _log.error("the role %s is not understood, and denies everything: %s", role, problem)


def _organization_of(identifier: RoleIdentifier) -> uuid.UUID:
    if identifier.organization_id is None:
        raise LookupError(f"there is no custom role {str(identifier)!r}: those of the site are built in")
    return identifier.organization_id


def _named(identifier: RoleIdentifier) -> tuple[ColumnElement[bool], ...]:
    return _ROLES.organization_id == str(_organization_of(identifier)), _ROLES.name == identifier.name


def _listed(connection: Connection, listed: Select[Any]) -> tuple[StoredRole, ...]:
    return tuple(_stored(row) for row in connection.execute(listed))


def _stored(row: Row[Any]) -> StoredRole:
    identifier = RoleIdentifier(row.name, uuid.UUID(row.organization_id))
    return StoredRole(
        role=CustomRole(identifier=identifier, permissions=_PERMISSIONS.decode(row.permissions)),
        display_name=row.display_name,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
