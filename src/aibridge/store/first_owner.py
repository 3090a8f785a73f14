"""The first user of all: an owner with a token, both or neither, and both in the audit log.

Whoever starts a server, or sits at its machine, may make one while there is nobody else. Instants are UTC microseconds.
"""

from sqlalchemy import Connection, select

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Resource
from aibridge.domain.roles import OWNER
from aibridge.domain.scope import EVERYTHING
from aibridge.domain.token import MintedToken
from aibridge.domain.user import LoginType
from aibridge.store import audit, schema, tokens, users
from aibridge.store.database import Database

_START = audit.Who(actor_name="first start")


def first_owner(database: Database, *, username: str, token_name: str, now: int) -> MintedToken | None:
    """In a database without users, add an owner and a token for it; otherwise do nothing and answer None.

    Of several processes that start at once on a new database, one gets the token.

    Raises:
        ValueError: the name is not a username.
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.writing() as connection:
        if connection.execute(select(schema.users.c.id).limit(1)).first() is not None:
            return None
        return insert(connection, _START, username=username, token_name=token_name, now=now)


def insert(  # noqa: PLR0913 (who, and what they are, each by name)
    connection: Connection,
    who: audit.Who,
    *,
    username: str,
    token_name: str,
    email: str | None = None,
    name: str = "",
    password_hash: str | None = None,
    now: int,
) -> MintedToken:
    """Add the owner and the token. Whether there is a user already is not asked here.

    Raises:
        Conflict: the name or the address is taken.
        Invalid: a value is not allowed.
    """
    owner = users.insert(
        connection,
        username=username,
        email=email,
        name=name,
        roles=(OWNER.identifier,),
        login_type=LoginType.NONE if password_hash is None else LoginType.PASSWORD,
        password_hash=password_hash,
        now=now,
    )
    minted = tokens.mint(
        connection,
        user_id=owner.id,
        organization_id=DEFAULT_ORGANIZATION,
        name=token_name,
        parent=EVERYTHING,
        now=now,
    )
    audit.record(
        connection,
        who,
        action=Action.CREATE,
        resource=Resource.USER,
        resource_id=owner.id,
        resource_name=username,
        after={"username": username, "email": email, "name": name, "roles": [OWNER.name]},
        now=now,
    )
    audit.record(
        connection,
        who,
        action=Action.CREATE,
        resource=Resource.API_KEY,
        resource_id=minted.id,
        resource_name=token_name,
        organization_id=DEFAULT_ORGANIZATION,
        after={"user_id": owner.id},
        now=now,
    )
    return minted
