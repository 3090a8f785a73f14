"""Tokens at rest, and the snapshot of those in force. Instants are UTC microseconds."""

import secrets
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, or_, select

from aibridge.domain import token
from aibridge.domain.actor import Actor
from aibridge.domain.priority import Priority
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import KnownToken, MintedToken
from aibridge.store import changes, schema, users
from aibridge.store.changes import version
from aibridge.store.database import Database

__all__ = ["StoredToken", "create", "first_owner", "listing", "mark_used", "revoke", "snapshot", "version"]

USE_RESOLUTION = 60_000_000
"""A token's last use is kept to this many microseconds: fine enough for people, coarse enough for the database."""

_TOKENS = schema.tokens.c
_MARK_USED = (
    schema.tokens.update()
    .where(
        _TOKENS.id == bindparam("token_id"),
        or_(_TOKENS.last_used_at.is_(None), _TOKENS.last_used_at <= bindparam("stale_at")),
    )
    .values(last_used_at=bindparam("used_at"))
)


class StoredToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token, its secret and its digest excepted."""

    id: str
    user_id: str
    username: str
    name: str
    last_four: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    priority: Priority


def create(  # noqa: PLR0913 (what a token is, each by name)
    database: Database,
    *,
    user_id: str,
    name: str,
    now: int,
    expires_at: int | None = None,
    priority: Priority = Priority.INTERACTIVE,
) -> MintedToken:
    """Mint a token for a user. Its text is in the answer and nowhere else.

    Raises:
        LookupError: there is no such user.
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.writing() as connection:
        if connection.execute(select(schema.users.c.id).where(schema.users.c.id == user_id)).first() is None:
            raise LookupError(f"there is no user {user_id!r}")
        row = {"user_id": user_id, "name": name, "created_at": now, "expires_at": expires_at, "priority": priority}
        return _insert(connection, row)


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
        owner = users.insert(connection, username=username, is_owner=True, now=now)
        return _insert(connection, {"user_id": owner.id, "name": token_name, "created_at": now})


def listing(database: Database, *, user_id: str | None = None) -> list[StoredToken]:
    """All tokens, or one user's, revoked and expired ones included, the newest first.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    columns = [
        schema.users.c.username if name == "username" else _TOKENS[name] for name in StoredToken.__struct_fields__
    ]
    query = select(*columns).join_from(schema.tokens, schema.users).order_by(_TOKENS.created_at.desc(), _TOKENS.id)
    if user_id is not None:
        query = query.where(_TOKENS.user_id == user_id)
    with database.reading() as connection:
        rows = connection.execute(query).mappings()
        return [StoredToken(**{**row, "priority": Priority(row["priority"])}) for row in rows]


def revoke(database: Database, token_id: str, *, now: int) -> None:
    """Take a token out of force, for good. A token that already is keeps the instant of its first revocation.

    Raises:
        LookupError: there is no token of that id.
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.writing() as connection:
        row = connection.execute(select(_TOKENS.revoked_at).where(_TOKENS.id == token_id)).one_or_none()
        if row is None:
            raise LookupError(f"there is no token {token_id!r}")
        if row.revoked_at is None:
            connection.execute(schema.tokens.update().where(_TOKENS.id == token_id).values(revoked_at=now))
            changes.note(connection)


def mark_used(database: Database, uses: Sequence[tuple[str, int]]) -> None:
    """Note when tokens were used, as pairs of token id and instant. Unknown ids are passed over.

    A use within a minute of the one that is kept changes nothing. `version` does not change either way.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    if uses:
        rows = [{"token_id": name, "used_at": at, "stale_at": at - USE_RESOLUTION} for name, at in uses]
        with database.writing() as connection:
            connection.execute(_MARK_USED, rows)


def snapshot(database: Database) -> Snapshot:
    """All that the data plane needs to know of who may call. To learn when to take another, see `version`.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    query = (
        select(
            _TOKENS.id,
            _TOKENS.digest,
            _TOKENS.expires_at,
            _TOKENS.priority,
            _TOKENS.user_id,
            schema.users.c.username,
            schema.users.c.is_owner,
        )
        .join_from(schema.tokens, schema.users)
        .where(_TOKENS.revoked_at.is_(None))
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return Snapshot(
        tokens={
            row.id: KnownToken(
                digest=row.digest,
                actor=Actor(
                    id=row.user_id,
                    username=row.username,
                    token_id=row.id,
                    is_owner=bool(row.is_owner),
                    priority=Priority(row.priority),
                ),
                expires_at=None if row.expires_at is None else row.expires_at / 1e6,
            )
            for row in rows
        }
    )


def _insert(connection: Connection, row: dict[str, object]) -> MintedToken:
    """Mint a token and keep it: `row` is what is not the token itself."""
    minted = token.mint(secrets.randbelow)
    ours = {"id": minted.id, "digest": minted.digest, "last_four": minted.last_four}
    connection.execute(schema.tokens.insert(), ours | row)
    changes.note(connection)
    return minted
