"""People with tokens, each made in a transaction of its own, for tests of the rooms above the store."""

import uuid
from typing import Any

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.scope import EVERYTHING
from aibridge.domain.token import MintedToken
from aibridge.store import tokens, users
from aibridge.store.database import Database
from aibridge.store.users import User


def person(database: Database, username: str, *, now: int, **values: Any) -> User:
    """A user; `values` are further ones of `users.insert`."""
    with database.writing() as connection:
        return users.insert(connection, username=username, now=now, **values)


def token_of(database: Database, user: User, *, now: int, **values: Any) -> MintedToken:
    """A token without bounds in the built-in organization, under a name of its own; `values` as of `tokens.mint`."""
    given: dict[str, Any] = {
        "organization_id": DEFAULT_ORGANIZATION,
        "name": uuid.uuid4().hex,
        "parent": EVERYTHING,
    } | values
    with database.writing() as connection:
        return tokens.mint(connection, user_id=user.id, now=now, **given)
