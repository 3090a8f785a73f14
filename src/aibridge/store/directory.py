"""Who there is: users as they are found and listed. What changes them is in `users`.

Who is gone is never found here again: the row stays, since records of calls tell who made them, and its name is free.
Instants are UTC microseconds.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import OWNER
from aibridge.domain.user import LoginType, UserStatus
from aibridge.store import held_roles, names, schema
from aibridge.store.paging import Paging, counted, paged, searched

_USERS = schema.users.c
_MEMBERS = schema.organization_members.c
_IDENTITIES = schema.identities.c

PRESENT = _USERS.deleted_at.is_(None)
"""Of users that are not deleted."""
NAME_ORDER = func.lower(_USERS.username)
"""The order of listings of people."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may hold tokens.

    `roles` are those of the site, in order, without `member`, which everybody is. `organization_ids` are in the order
    of joining. `service_account_of` is the organization that a service account belongs to; None for people.
    """

    id: str
    username: str
    email: str | None
    name: str
    status: UserStatus
    login_type: LoginType
    roles: tuple[RoleIdentifier, ...]
    organization_ids: tuple[uuid.UUID, ...]
    service_account_of: uuid.UUID | None
    created_at: int
    updated_at: int
    last_seen_at: int | None

    @property
    def is_owner(self) -> bool:
        """Whether the whole site is theirs."""
        return OWNER.identifier in self.roles


class Query(Paging, frozen=True, kw_only=True):
    """Which users to list; absent conditions do not count.

    `search` is looked for in usernames, addresses and full names, in any case of ASCII letters.
    `service_accounts` is True for these alone, False for people alone.
    """

    search: str | None = None
    status: UserStatus | None = None
    organization_id: uuid.UUID | None = None
    ids: tuple[str, ...] | None = None
    service_accounts: bool | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the users that match, in the order of their names, and how many match in all."""

    users: tuple[User, ...]
    count: int


def one(connection: Connection, user: str) -> User:
    """Find a user by id or by name, in any case of letters.

    Raises:
        LookupError: there is none.
    """
    if names.can_be_kept(user):
        for whose in (_USERS.id == names.lowered(user), has_username(user)):
            found = _found(connection, whose)
            if found is not None:
                return found
    raise LookupError(f"there is no user {user!r}")


def by_email(connection: Connection, email: str) -> User:
    """Find a user by address, in any case of ASCII letters.

    Raises:
        LookupError: there is none.
    """
    found = _found(connection, has_email(email)) if names.can_be_kept(email) else None
    if found is None:
        raise LookupError(f"there is no user with the address {email!r}")
    return found


def page(connection: Connection, query: Query) -> Page:
    """List users in the order of their names.

    Raises:
        LookupError: `after_id` is nobody's.
        Invalid: the search is too long.
    """
    matching = select(schema.users).where(PRESENT, *_conditions(query)).order_by(NAME_ORDER)
    listed = paged(matching, query)
    if query.after_id is not None:
        listed = listed.where(name_of(connection, query.after_id) < NAME_ORDER)
    return Page(users=_listed(connection, listed), count=counted(connection, matching))


def name_of(connection: Connection, user_id: str) -> str:
    """Where somebody stands in a listing, even if they are gone: it goes on after them.

    Raises:
        LookupError: nobody ever had the id.
    """
    query = select(NAME_ORDER).where(_USERS.id == user_id)
    found: str | None = connection.execute(query).scalar_one_or_none() if names.can_be_kept(user_id) else None
    if found is None:
        raise LookupError(f"there is no user {user_id!r}")
    return found


def count(connection: Connection) -> int:
    """How many users there are, service accounts among them."""
    return counted(connection, select(_USERS.id).where(PRESENT))


def password_hash(connection: Connection, user_id: str) -> str | None:
    """The hash of somebody's password; None where there is none.

    Raises:
        LookupError: there is no such user.
    """
    row = connection.execute(select(_USERS.password_hash).where(PRESENT, _USERS.id == user_id)).one_or_none()
    if row is None:
        raise LookupError(f"there is no user {user_id!r}")
    found: str | None = row.password_hash
    return found


def is_linked(connection: Connection, issuer: str, user_id: str) -> bool:
    """Whether an OpenID provider has a name for somebody already."""
    whose = select(_IDENTITIES.subject).where(_IDENTITIES.issuer == issuer, _IDENTITIES.user_id == user_id)
    return connection.execute(whose.limit(1)).first() is not None


def linked(connection: Connection, issuer: str, subject: str) -> User | None:
    """Whom an OpenID provider means by a name of its own; None if it is new."""
    if not (names.can_be_kept(issuer) and names.can_be_kept(subject)):
        return None
    whose = select(_IDENTITIES.user_id).where(_IDENTITIES.issuer == issuer, _IDENTITIES.subject == subject)
    return _found(connection, _USERS.id == whose.scalar_subquery())


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.search:
        yield searched(query.search, _USERS.username, _USERS.email, _USERS.name)
    if query.status is not None:
        yield _USERS.status == query.status.value
    if query.organization_id is not None:
        yield _USERS.id.in_(select(_MEMBERS.user_id).where(_MEMBERS.organization_id == str(query.organization_id)))
    if query.ids is not None:
        yield _USERS.id.in_(query.ids)
    if query.service_accounts is not None:
        yield _USERS.organization_id.is_not(None) if query.service_accounts else _USERS.organization_id.is_(None)


def _found(connection: Connection, whose: ColumnElement[bool]) -> User | None:
    users = _listed(connection, select(schema.users).where(PRESENT, whose))
    return users[0] if users else None


def _listed(connection: Connection, listed: Select[Any]) -> tuple[User, ...]:
    rows = connection.execute(listed).all()
    whose = listed.with_only_columns(_USERS.id).subquery()
    memberships = (
        select(_MEMBERS.user_id, _MEMBERS.organization_id)
        .where(_MEMBERS.user_id.in_(select(whose.c.id)))
        .order_by(_MEMBERS.created_at, _MEMBERS.organization_id)
    )
    joined: dict[str, list[uuid.UUID]] = {row.id: [] for row in rows}
    for user_id, organization_id in connection.execute(memberships):
        joined[user_id].append(uuid.UUID(organization_id))
    return tuple(_user(row, joined[row.id]) for row in rows)


def _user(row: Row[Any], organization_ids: list[uuid.UUID]) -> User:
    return User(
        id=row.id,
        username=row.username,
        email=row.email,
        name=row.name,
        status=UserStatus(row.status),
        login_type=LoginType(row.login_type),
        roles=held_roles.read(row.roles),
        organization_ids=tuple(organization_ids),
        service_account_of=None if row.organization_id is None else uuid.UUID(row.organization_id),
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_seen_at=row.last_seen_at,
    )


def has_username(username: str) -> ColumnElement[bool]:
    """The condition that a user is called this, in any case of letters."""
    return NAME_ORDER == names.lowered(username)  # noqa: SIM300 (the condition begins with the column)


def has_email(email: str) -> ColumnElement[bool]:
    """The condition that a user's address is this one, in any case of ASCII letters."""
    return func.lower(_USERS.email) == names.lowered(email)
