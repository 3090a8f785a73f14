"""Organizations: who belongs together. Instants are UTC microseconds.

The built-in one is found by the name `default`, too, whatever it is called.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, or_, select

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import changes, names, schema, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.paging import Paging, counted, paged, searched

DEFAULT_NAME = "default"
"""What the built-in organization is called at first, and no other ever."""

_ORGANIZATIONS = schema.organizations.c
_MEMBERS = schema.organization_members.c
_TOKENS = schema.tokens.c
_USERS = schema.users.c


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """One organization. `is_default` is the one that every deployment begins with."""

    id: uuid.UUID
    name: str
    display_name: str
    description: str
    icon: str
    is_default: bool
    created_at: int
    updated_at: int


class Query(Paging, frozen=True, kw_only=True):
    """Which organizations to list; absent conditions do not count.

    `search` is looked for in both names, `user_id` is of somebody who is a member.
    """

    search: str | None = None
    user_id: str | None = None
    ids: tuple[uuid.UUID, ...] | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the organizations that match, in the order of their names, and how many match in all."""

    organizations: tuple[Organization, ...]
    count: int


def insert(  # noqa: PLR0913 (each by name)
    connection: Connection, *, name: str, display_name: str = "", description: str = "", icon: str = "", now: int
) -> Organization:
    """Add an organization without members. What it is shown as is its name, if nothing else is said.

    Raises:
        Conflict: the name is taken.
        Invalid: a value is not allowed.
    """
    values = {"name": name, "display_name": display_name or name, "description": description, "icon": icon}
    organization_id = uuid.uuid4()
    _check(connection, organization_id, values)
    row = {**values, "id": str(organization_id), "created_at": now, "updated_at": now}
    connection.execute(schema.organizations.insert(), row)
    changes.note(connection)
    return one(connection, organization_id)


def one(connection: Connection, organization: str | uuid.UUID) -> Organization:
    """Find an organization by id or name; `default` is the built-in one.

    Raises:
        LookupError: there is none.
    """
    text = str(DEFAULT_ORGANIZATION) if organization == DEFAULT_NAME else str(organization)
    for whose in (_ORGANIZATIONS.id == text.lower(), _ORGANIZATIONS.name == text):
        found = _listed(connection, select(schema.organizations).where(whose)) if names.can_be_kept(text) else ()
        if found:
            return found[0]
    raise LookupError(f"there is no organization {text!r}")


def page(connection: Connection, query: Query) -> Page:
    """List organizations in the order of their names.

    Raises:
        LookupError: `after_id` is no organization's.
        Invalid: the search is too long.
    """
    matching = select(schema.organizations).where(*_conditions(query)).order_by(_ORGANIZATIONS.name)
    listed = paged(matching, query)
    if query.after_id is not None:
        listed = listed.where(_ORGANIZATIONS.name > one(connection, query.after_id).name)
    return Page(organizations=_listed(connection, listed), count=counted(connection, matching))


def update(  # noqa: PLR0913 (what can be changed, each by name)
    connection: Connection,
    organization_id: uuid.UUID,
    *,
    name: str | None = None,
    display_name: str | None = None,
    description: str | None = None,
    icon: str | None = None,
    now: int,
) -> Organization:
    """Change what is given.

    Raises:
        Conflict: the name is taken.
        Invalid: a value is not allowed.
        LookupError: there is no such organization.
    """
    one(connection, organization_id)
    given = {"name": name, "display_name": display_name, "description": description, "icon": icon}
    values = {field: value for field, value in given.items() if value is not None}
    _check(connection, organization_id, values)
    change = schema.organizations.update().where(_ORGANIZATIONS.id == str(organization_id))
    connection.execute(change.values({**values, "updated_at": now}))
    changes.note(connection)
    return one(connection, organization_id)


def delete(connection: Connection, organization_id: uuid.UUID, *, now: int) -> None:
    """Delete an organization with its memberships, groups, roles, limits and tokens, and its service accounts.

    Its members stay users. Its tokens are gone, and not revoked: nothing can refer to an organization that is not
    there. Records of calls tell their ids as before.

    Raises:
        Conflict: it is the built-in one, or has service accounts with tokens in force: something runs on these.
        LookupError: there is no such organization.
    """
    organization = one(connection, organization_id)
    if organization.is_default:
        raise Conflict("organization", f"{organization.name!r} is the built-in organization, which is never deleted")
    text = str(organization_id)
    accounts = select(_USERS.id, _USERS.username).where(_USERS.organization_id == text, _USERS.deleted_at.is_(None))
    for account in connection.execute(accounts.order_by(_USERS.username)).all():
        in_force = (_TOKENS.revoked_at.is_(None), or_(_TOKENS.expires_at.is_(None), _TOKENS.expires_at > now))
        held = select(_TOKENS.id).where(_TOKENS.user_id == account.id, *in_force).limit(1)
        if connection.execute(held).first() is not None:
            raise Conflict(
                "organization",
                f"the service account {account.username!r} of {organization.name!r} has tokens in force: "
                "revoke them before",
            )
        users.delete(connection, account.id, now=now)
    connection.execute(schema.users.update().where(_USERS.organization_id == text).values(organization_id=None))
    its_groups = select(schema.groups.c.id).where(schema.groups.c.organization_id == text)
    connection.execute(schema.group_members.delete().where(schema.group_members.c.group_id.in_(its_groups)))
    for table in (schema.groups, schema.organization_members, schema.custom_roles, schema.limits, schema.tokens):
        connection.execute(table.delete().where(table.c.organization_id == text))
    connection.execute(schema.organizations.delete().where(_ORGANIZATIONS.id == text))
    changes.note(connection)


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.search:
        yield searched(query.search, _ORGANIZATIONS.name, _ORGANIZATIONS.display_name)
    if query.user_id is not None:
        yield _ORGANIZATIONS.id.in_(select(_MEMBERS.organization_id).where(_MEMBERS.user_id == query.user_id))
    if query.ids is not None:
        yield _ORGANIZATIONS.id.in_([str(each) for each in query.ids])


def _listed(connection: Connection, listed: Select[Any]) -> tuple[Organization, ...]:
    return tuple(_organization(row) for row in connection.execute(listed))


def _organization(row: Row[Any]) -> Organization:
    organization_id = uuid.UUID(row.id)
    return Organization(
        id=organization_id,
        name=row.name,
        display_name=row.display_name,
        description=row.description,
        icon=row.icon,
        is_default=organization_id == DEFAULT_ORGANIZATION,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _check(connection: Connection, organization_id: uuid.UUID, values: dict[str, str]) -> None:
    if "name" in values:
        name = values["name"]
        names.check_slug(name)
        if name == DEFAULT_NAME and organization_id != DEFAULT_ORGANIZATION:
            raise Invalid("name", f"{name!r} always means the built-in organization: no other can have the name")
        taken = select(_ORGANIZATIONS.id).where(_ORGANIZATIONS.name == name, _ORGANIZATIONS.id != str(organization_id))
        if connection.execute(taken).first() is not None:
            raise Conflict("name", f"the organization {name!r} is there already")
    names.check_text("display_name", values.get("display_name", ""), names.NAME_LENGTH)
    names.check_text("description", values.get("description", ""), names.TEXT_LENGTH, multiline=True)
    names.check_text("icon", values.get("icon", ""), names.TEXT_LENGTH)
