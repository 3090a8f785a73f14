"""Whom an identity provider speaks of, and what follows here from what it says. Instants are UTC microseconds."""

import uuid
from collections.abc import Iterable

from sqlalchemy import Connection

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import MEMBER, ORGANIZATION_MEMBER
from aibridge.domain.user import LoginType
from aibridge.store import group_sync, members, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.users import User

_MOST_NAMESAKES = 1000


def known(connection: Connection, issuer: str, subject: str, verified_email: str | None, now: int) -> User | None:
    """The user whom a provider calls by this subject; else the one with this address, who is linked by it from now on.

    Only somebody who has no other way to sign in is found by address: else whoever makes the provider say it would be
    let into an account that a password protects.
    """
    user = users.linked(connection, issuer, subject)
    if user is not None or verified_email is None:
        return user
    try:
        user = users.by_email(connection, verified_email)
    except LookupError:
        return None
    if user.login_type is not LoginType.OIDC:
        raise Conflict("email", "There is a user with this email address who does not sign in by OpenID Connect.")
    if users.is_linked(connection, issuer, user.id):
        raise Conflict("email", "The identity provider has another name for the user with this email address.")
    users.link(connection, issuer, subject, user.id, now=now)
    return user


def arrived(connection: Connection, username: str, email: str, name: str, now: int) -> User:
    """Somebody who was never here before, under the first name like theirs that is free.

    Raises:
        Conflict: somebody has the address; or a thousand are called so.
        Invalid: a value is not allowed.
    """
    for number in range(1, _MOST_NAMESAKES):
        try:
            return users.insert(
                connection,
                username=username if number == 1 else f"{username[:60]}{number}",
                email=email,
                name=name,
                login_type=LoginType.OIDC,
                now=now,
            )
        except Conflict as conflict:
            if conflict.field != "username":
                raise
    raise Conflict("username", f"a thousand users are called like {username!r}")


def place(
    connection: Connection,
    user_id: str,
    roles: Iterable[RoleIdentifier] | None,
    groups: Iterable[str] | None,
    now: int,
) -> list[str]:
    """Give somebody the roles and groups that a provider says, in place of those that they have; answer what cannot be.

    Where nothing is said, None, things stay as they are. Roles of an organization are given to its members alone.
    """
    passed_over: list[str] = []
    if roles is not None:
        passed_over += _give(connection, user_id, frozenset(roles), now)
    if groups is not None:
        try:
            passed_over += group_sync.set_memberships(connection, user_id, DEFAULT_ORGANIZATION, groups, now=now)
        except LookupError:
            passed_over.append("all groups, since they are no member of the organization")
    return passed_over


def _give(connection: Connection, user_id: str, roles: frozenset[RoleIdentifier], now: int) -> list[str]:
    passed_over: list[str] = []
    roles -= {MEMBER.identifier}  # everybody is one
    of_site = {role for role in roles if not role.is_organization_role}
    try:
        if of_site != set(users.one(connection, user_id).roles):
            users.set_roles(connection, user_id, of_site, now=now)
    except (Conflict, Invalid) as problem:
        passed_over.append(problem.message)
    by_organization: dict[uuid.UUID, set[RoleIdentifier]] = {}
    for role in roles:
        if role.organization_id is not None and role.name != ORGANIZATION_MEMBER.name:
            by_organization.setdefault(role.organization_id, set()).add(role)
    for organization_id in users.one(connection, user_id).organization_ids:
        wanted = by_organization.pop(organization_id, set())
        try:
            if wanted != set(members.one(connection, organization_id, user_id).roles):
                members.set_roles(connection, organization_id, user_id, wanted, now=now)
        except (Conflict, Invalid) as problem:
            passed_over.append(problem.message)
    passed_over += [str(role) for theirs in by_organization.values() for role in sorted(theirs)]
    return passed_over
