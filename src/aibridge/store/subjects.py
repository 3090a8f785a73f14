"""Who somebody is to `domain.authorize`: their roles everywhere, with the definitions of those that were made.

For one person, and for everybody at once, since a snapshot has the whole world in it. There equal sets of roles are one
object: people by the thousand are members of one organization and nothing else.
"""

import uuid

import msgspec
from sqlalchemy import Connection, select

from aibridge.domain.authorize import Subject
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import MEMBER, ORGANIZATION_MEMBER, CustomRole
from aibridge.domain.scope import EVERYTHING, Scope
from aibridge.store import custom_roles, directory, held_roles, schema

_USERS = schema.users.c
_MEMBERS = schema.organization_members.c


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a subject that do not depend on a token."""

    roles: frozenset[RoleIdentifier]
    custom_roles: frozenset[CustomRole]

    def subject(self, user_id: str, scope: Scope = EVERYTHING) -> Subject:
        """Somebody of this standing, with a token of that scope."""
        return Subject(actor_id=user_id, roles=self.roles, custom_roles=self.custom_roles, scope=scope)


def subject_of(connection: Connection, user_id: str, scope: Scope = EVERYTHING) -> Subject:
    """Somebody as they stand now, with a token of that scope. Their status is not asked here.

    Raises:
        LookupError: there is no such user.
    """
    user = directory.one(connection, user_id)
    query = select(_MEMBERS.organization_id, _MEMBERS.roles).where(_MEMBERS.user_id == user.id)
    memberships = tuple((row.organization_id, row.roles) for row in connection.execute(query))
    roles = _roles(user.roles, memberships)
    return Subject(actor_id=user.id, roles=roles, custom_roles=custom_roles.of(connection, roles), scope=scope)


def subjects(connection: Connection) -> dict[str, Standing]:
    """Everybody, by id, who is not deleted: three queries, however many there are. Their status is not asked here."""
    memberships: dict[str, list[tuple[str, str]]] = {}
    query = select(_MEMBERS.user_id, _MEMBERS.organization_id, _MEMBERS.roles)
    for user_id, organization_id, roles in connection.execute(query.order_by(_MEMBERS.organization_id)):
        memberships.setdefault(user_id, []).append((organization_id, roles))
    made = custom_roles.every(connection)
    known: dict[tuple[str, tuple[tuple[str, str], ...]], Standing] = {}
    everybody: dict[str, Standing] = {}
    for user_id, roles in connection.execute(select(_USERS.id, _USERS.roles).where(_USERS.deleted_at.is_(None))):
        written = (roles, tuple(memberships.get(user_id, ())))
        standing = known.get(written)
        if standing is None:
            held = _roles(held_roles.read(roles), written[1])
            theirs = frozenset(made[role] for role in held if role in made)
            standing = known[written] = Standing(roles=held, custom_roles=theirs)
        everybody[user_id] = standing
    return everybody


def _roles(site: tuple[RoleIdentifier, ...], memberships: tuple[tuple[str, str], ...]) -> frozenset[RoleIdentifier]:
    """What is written, and what everybody has besides."""
    roles = {MEMBER.identifier, *site}
    for organization_id, written in memberships:
        place = uuid.UUID(organization_id)
        roles.add(ORGANIZATION_MEMBER.within(place))
        roles.update(held_roles.read(written, place))
    return frozenset(roles)
