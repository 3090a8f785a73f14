"""People, organizations and roles to store, and what the tests of them ask."""

import uuid
from typing import Any

from sqlalchemy import Connection, select
from store_samples import NOW

from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import CustomRole
from aibridge.store import organizations, schema, users
from aibridge.store.organizations import Organization
from aibridge.store.users import User

OWNER = RoleIdentifier("owner")
AUDITOR = RoleIdentifier("auditor")
NOBODY = str(uuid.UUID(int=7))
NOWHERE = uuid.UUID(int=7)
UNKEPT = "a\0b"
"""What PostgreSQL refuses to be asked for."""


def a_user(connection: Connection, username: str = "ann", **values: Any) -> User:
    return users.insert(connection, username=username, **{"now": NOW} | values)


def an_organization(connection: Connection, name: str = "acme") -> Organization:
    return organizations.insert(connection, name=name, now=NOW)


def a_role(organization_id: uuid.UUID, name: str = "lead", *, negate: bool = False) -> CustomRole:
    permission = Permission(resource=Resource.GROUP, action=Action.READ, negate=negate)
    return CustomRole(identifier=RoleIdentifier(name, organization_id), permissions=(permission,))


def a_token(connection: Connection, user: User, organization_id: uuid.UUID, **values: Any) -> str:
    token_id = uuid.uuid4().hex[:10]
    row = {
        "id": token_id,
        "user_id": user.id,
        "organization_id": str(organization_id),
        "kind": "token",
        "name": token_id,
        "digest": b"",
        "last_four": "xxxx",
        "created_at": NOW,
    }
    connection.execute(schema.tokens.insert(), row | values)
    return token_id


def revoked_at(connection: Connection, token_id: str) -> int | None:
    found: int | None = connection.execute(
        select(schema.tokens.c.revoked_at).where(schema.tokens.c.id == token_id)
    ).scalar_one()
    return found


def noted(connection: Connection) -> int:
    """How many changes there were."""
    value: int = connection.execute(select(schema.facts.c.value).where(schema.facts.c.name == "changes")).scalar_one()
    return value
