"""The people and services that tokens belong to: how they come, change and go. How they are found is in `directory`.

Every change runs in the caller's writing transaction, together with what belongs to it. Instants are UTC microseconds.
"""

import uuid
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, select

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import MEMBER, OWNER, SITE_ROLES
from aibridge.domain.user import LoginType, UserStatus
from aibridge.store import changes, held_roles, names, schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.directory import (
    PRESENT,
    Page,
    Query,
    User,
    by_email,
    count,
    has_email,
    has_username,
    is_linked,
    linked,
    one,
    page,
    password_hash,
)
from aibridge.store.sightings import fall_dormant, seen

__all__ = [
    "Page",
    "Query",
    "User",
    "by_email",
    "count",
    "delete",
    "fall_dormant",
    "insert",
    "is_linked",
    "link",
    "linked",
    "one",
    "page",
    "password_hash",
    "seen",
    "set_password",
    "set_profile",
    "set_roles",
    "set_status",
]

_USERS = schema.users.c


def insert(  # noqa: PLR0913 (what a user is, each by name)
    connection: Connection,
    *,
    username: str,
    email: str | None = None,
    name: str = "",
    roles: Iterable[RoleIdentifier] = (),
    login_type: LoginType = LoginType.NONE,
    password_hash: str | None = None,
    organization_ids: Sequence[uuid.UUID] | None = None,
    service_account_of: uuid.UUID | None = None,
    now: int,
) -> User:
    """Add a user, as a member of the given organizations: of the built-in one, or a service account's own, if None.

    A service account signs in nowhere, is in its own organization alone, and has no role of the site: whoever
    administers the organization makes its tokens, and could else give themselves what the account may do.

    Raises:
        Conflict: the name or the address is taken.
        Invalid: a value is not allowed.
        LookupError: there is no such organization.
    """
    if organization_ids is None:
        organization_ids = (service_account_of or DEFAULT_ORGANIZATION,)
    kept = _site_roles(roles)
    if service_account_of is not None:
        _check_service_account(service_account_of, organization_ids, kept, login_type)
    if password_hash is not None and login_type is not LoginType.PASSWORD:
        raise Invalid("password", f"who signs in by {login_type.value!r} has no password")
    _check_profile(connection, username, email, name)
    for organization_id in organization_ids:
        _check_organization(connection, organization_id)
    user_id = str(uuid.uuid4())
    row = {
        "id": user_id,
        "username": username,
        "email": email,
        "name": name,
        "status": UserStatus.ACTIVE.value,
        "login_type": login_type.value,
        "roles": held_roles.written(kept),
        "password_hash": password_hash,
        "organization_id": None if service_account_of is None else str(service_account_of),
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(schema.users.insert(), row)
    membership = {"user_id": user_id, "roles": held_roles.written(()), "created_at": now, "updated_at": now}
    joined = [membership | {"organization_id": str(each)} for each in dict.fromkeys(organization_ids)]
    if joined:
        connection.execute(schema.organization_members.insert(), joined)
    changes.note(connection)
    return one(connection, user_id)


def set_profile(  # noqa: PLR0913 (each by name)
    connection: Connection,
    user_id: str,
    *,
    username: str,
    name: str,
    email: str | msgspec.UnsetType | None = msgspec.UNSET,
    now: int,
) -> User:
    """Change what somebody is called; the address stays if it is not given.

    Raises:
        Conflict: the name or the address is taken.
        Invalid: a value is not allowed.
        LookupError: there is no such user.
    """
    user = one(connection, user_id)
    kept = user.email if email is msgspec.UNSET else email
    _check_profile(connection, username, kept, name, except_id=user.id)
    return _change(connection, user.id, now, {"username": username, "name": name, "email": kept})


def set_status(connection: Connection, user_id: str, status: UserStatus, *, now: int) -> User:
    """Suspend somebody, or let them in again.

    Raises:
        Conflict: nobody else who is not suspended is an owner.
        LookupError: there is no such user.
    """
    user = one(connection, user_id)
    if status is UserStatus.SUSPENDED:
        _keep_an_owner(connection, user, "status")
    return _change(connection, user.id, now, {"status": status.value})


def set_roles(connection: Connection, user_id: str, roles: Iterable[RoleIdentifier], *, now: int) -> User:
    """Give somebody these roles of the site in place of those they have. `member` may be among them.

    Raises:
        Conflict: `owner` is to be taken from the last who has it and is not suspended.
        Invalid: there is no such role of the site, or a service account is to have one.
        LookupError: there is no such user.
    """
    user = one(connection, user_id)
    kept = _site_roles(roles)
    if user.service_account_of is not None:
        _check_service_account(user.service_account_of, user.organization_ids, kept, user.login_type)
    if OWNER.identifier not in kept:
        _keep_an_owner(connection, user, "roles")
    return _change(connection, user.id, now, {"roles": held_roles.written(kept)})


def set_password(connection: Connection, user_id: str, password_hash: str) -> None:
    """Keep the hash of a new password. Who had no way to sign in signs in with it from now on.

    Sessions go on: ending them is the caller's, who knows which is the present one.

    Raises:
        Invalid: they sign in elsewhere, or are a service account.
        LookupError: there is no such user.
    """
    user = one(connection, user_id)
    if user.service_account_of is not None or user.login_type is LoginType.OIDC:
        how = "a service account" if user.service_account_of else f"somebody who signs in by {user.login_type.value!r}"
        raise Invalid("password", f"{user.username!r} is {how}, and has no password")
    values = {"password_hash": password_hash, "login_type": LoginType.PASSWORD.value}
    connection.execute(schema.users.update().where(_USERS.id == user.id).values(values))
    changes.note(connection)


def delete(connection: Connection, user_id: str, *, now: int) -> None:
    """Delete somebody: out of all organizations and groups, known to no provider, with no token in force.

    The row stays, and what they are called; both name and address may be somebody else's from now on.

    Raises:
        Conflict: nobody else who is not suspended is an owner.
        LookupError: there is no such user.
    """
    user = one(connection, user_id)
    _keep_an_owner(connection, user, "user")
    for table in (schema.organization_members, schema.group_members, schema.identities):
        connection.execute(table.delete().where(table.c.user_id == user.id))
    in_force = (schema.tokens.c.user_id == user.id, schema.tokens.c.revoked_at.is_(None))
    connection.execute(schema.tokens.update().where(*in_force).values(revoked_at=now))
    gone = {"deleted_at": now, "updated_at": now, "password_hash": None}
    connection.execute(schema.users.update().where(_USERS.id == user.id).values(gone))
    changes.note(connection)


def link(connection: Connection, issuer: str, subject: str, user_id: str, *, now: int) -> None:
    """Know somebody by the name that an OpenID provider has for them. Once more changes nothing.

    Raises:
        Conflict: the name is another user's.
        Invalid: the user is a service account, or the name cannot be kept.
        LookupError: there is no such user.
    """
    user = one(connection, user_id)
    if user.service_account_of is not None:
        raise Invalid("user", f"{user.username!r} is a service account, and signs in nowhere")
    names.check_text("issuer", issuer, names.TEXT_LENGTH)
    names.check_text("subject", subject, names.TEXT_LENGTH)
    holder = linked(connection, issuer, subject)
    if holder is None:
        row = {"issuer": issuer, "subject": subject, "user_id": user.id, "created_at": now}
        connection.execute(schema.identities.insert(), row)
        changes.note(connection)
    elif holder.id != user.id:
        raise Conflict("subject", f"{subject!r} of {issuer!r} is {holder.username!r} already")


def _change(connection: Connection, user_id: str, now: int, values: dict[str, str | None]) -> User:
    connection.execute(schema.users.update().where(_USERS.id == user_id).values({**values, "updated_at": now}))
    changes.note(connection)
    return one(connection, user_id)


def _check_profile(
    connection: Connection, username: str, email: str | None, name: str, *, except_id: str | None = None
) -> None:
    names.check_username(username)
    names.check_text("name", name, names.NAME_LENGTH)
    others = select(_USERS.id).where(PRESENT, _USERS.id != (except_id or ""))
    if connection.execute(others.where(has_username(username))).first() is not None:
        raise Conflict("username", f"the username {username!r} is taken")
    if email is not None:
        names.check_email(email)
        if connection.execute(others.where(has_email(email))).first() is not None:
            raise Conflict("email", f"the address {email!r} is taken")


def _check_organization(connection: Connection, organization_id: uuid.UUID) -> None:
    known = select(schema.organizations.c.id).where(schema.organizations.c.id == str(organization_id))
    if connection.execute(known).first() is None:
        raise LookupError(f"there is no organization {str(organization_id)!r}")


def _check_service_account(
    of: uuid.UUID, organization_ids: Iterable[uuid.UUID], roles: Sequence[RoleIdentifier], login_type: LoginType
) -> None:
    if set(organization_ids) != {of}:
        raise Invalid("organization_ids", f"a service account is in its own organization, {str(of)!r}, and no other")
    if roles:
        raise Invalid("roles", f"a service account has no roles of the site, and so not {str(roles[0])!r}")
    if login_type is not LoginType.NONE:
        raise Invalid("login_type", f"a service account signs in nowhere: {login_type.value!r} must be 'none'")


def _site_roles(roles: Iterable[RoleIdentifier]) -> tuple[RoleIdentifier, ...]:
    kept = tuple(sorted(set(roles)))
    for role in kept:
        if role.is_organization_role or role.name not in SITE_ROLES:
            allowed = ", ".join(sorted(SITE_ROLES))
            raise Invalid("roles", f"{str(role)!r} is no role of the site: these are {allowed}")
    return tuple(role for role in kept if role != MEMBER.identifier)


def _keep_an_owner(connection: Connection, user: User, field: str) -> None:
    """Refuse to lose the last owner who can come in: nobody could make another."""
    others = select(_USERS.id).where(
        PRESENT,
        _USERS.id != user.id,
        _USERS.status != UserStatus.SUSPENDED.value,
        _USERS.roles.contains(held_roles.mention(OWNER.identifier)),
    )
    if user.is_owner and connection.execute(others.limit(1)).first() is None:
        raise Conflict(field, f"{user.username!r} is the last owner: make somebody else one before")
