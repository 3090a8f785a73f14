"""The people and services that tokens belong to."""

import re
import uuid

import msgspec
from sqlalchemy import Connection, select

from aibridge.store import changes, schema
from aibridge.store.database import Database

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_SELF = "me"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may hold tokens. `created_at` is in UTC microseconds."""

    id: str
    username: str
    is_owner: bool
    created_at: int


def create(database: Database, *, username: str, is_owner: bool = False, now: int) -> User:
    """Add a user. `now` is in UTC microseconds.

    Raises:
        ValueError: the name is taken or not a username.
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.writing() as connection:
        return insert(connection, username=username, is_owner=is_owner, now=now)


def named(database: Database, username: str) -> User:
    """Find a user by name.

    Raises:
        LookupError: there is none.
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.reading() as connection:
        row = connection.execute(select(schema.users).where(schema.users.c.username == username)).one_or_none()
    if row is None:
        raise LookupError(f"there is no user {username!r}")
    return User(id=row.id, username=row.username, is_owner=bool(row.is_owner), created_at=row.created_at)


def insert(connection: Connection, *, username: str, is_owner: bool, now: int) -> User:
    """Add a user within a writing transaction; see `create`."""
    # A name travels upstream in a header and stands in filters, where "me" has a meaning of its own.
    if not _USERNAME.fullmatch(username) or username == _SELF:
        raise ValueError(
            f"{username!r} cannot be a username: up to 64 letters, digits and . _ @ + -, "
            f"a letter or digit first, and not {_SELF!r}"
        )
    taken = select(schema.users.c.id).where(schema.users.c.username == username)
    if connection.execute(taken).first() is not None:
        raise ValueError(f"the username {username!r} is taken")
    user = User(id=str(uuid.uuid4()), username=username, is_owner=is_owner, created_at=now)
    connection.execute(schema.users.insert(), msgspec.structs.asdict(user))
    changes.note(connection)
    return user
