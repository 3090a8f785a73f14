"""A token as a row, and back. Of its secret there is a digest and nothing else. Instants are UTC microseconds."""

import secrets
import uuid
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, select

from aibridge.domain import scope, token
from aibridge.domain.priority import Priority
from aibridge.domain.scope import EVERYTHING, Scope
from aibridge.domain.token import MintedToken, TokenKind
from aibridge.store import changes, schema
from aibridge.store.conflict import Invalid
from aibridge.store.names import can_be_kept

_TOKENS = schema.tokens.c
_NAMES = msgspec.json.Decoder(tuple[str, ...])


class StoredToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token, its secret and its digest excepted.

    `scopes` are names of scopes and `only` ids of the objects it is for, None for no bound. `parent_id` is the token
    that it was made with, `created_by` the id of the user who made it, and `replaced_by` the token that goes on in its
    place; None where there is none, or nobody knows.
    """

    id: str
    user_id: str
    username: str
    organization_id: uuid.UUID
    kind: TokenKind
    name: str
    last_four: str
    scopes: tuple[str, ...] | None
    only: tuple[str, ...] | None
    parent_id: str | None
    replaced_by: str | None
    created_by: str | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    priority: Priority

    def in_force(self, now: int) -> bool:
        """Whether it is good for anything at `now`, as far as it is up to the token: its user may be suspended."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS = [schema.users.c.username if name == "username" else _TOKENS[name] for name in StoredToken.__struct_fields__]


def selected() -> Select[Any]:
    """All tokens, the newest first, as `stored` reads them."""
    return (
        select(*_COLUMNS)
        .join_from(schema.tokens, schema.users, schema.users.c.id == _TOKENS.user_id)
        .order_by(_TOKENS.created_at.desc(), _TOKENS.id)
    )


def stored(row: RowMapping) -> StoredToken:
    """What a row of `selected` says."""
    meant = {
        "organization_id": uuid.UUID(row["organization_id"]),
        "kind": TokenKind(row["kind"]),
        "scopes": names_in(row["scopes"]),
        "only": names_in(row["only"]),
        "priority": Priority(row["priority"]),
    }
    return StoredToken(**{**row, **meant})


def one(connection: Connection, token_id: str) -> StoredToken:
    """The token of that id, in force or not.

    Raises:
        LookupError: there is none.
    """
    asked = selected().where(_TOKENS.id == token_id)
    row = connection.execute(asked).mappings().one_or_none() if can_be_kept(token_id) else None
    if row is None:
        raise LookupError(f"there is no token {token_id!r}")
    return stored(row)


def insert(connection: Connection, row: dict[str, object]) -> MintedToken:
    """Make the token itself and keep it with `row`, which is all the rest."""
    minted = token.mint(secrets.randbelow)
    ours = {"id": minted.id, "digest": minted.digest, "last_four": minted.last_four}
    connection.execute(schema.tokens.insert(), row | ours)
    changes.note(connection)
    return minted


@lru_cache(1024)
def scope_of(scopes: tuple[str, ...] | None, only: tuple[str, ...] | None) -> Scope:
    """What a token's `scopes` and `only` bound its holder to.

    Raises:
        Invalid: there is no scope of such a name, or none is named, or `only` is a list without an id.
    """
    if only is not None and not only:
        raise Invalid("only", "a list of objects needs at least one id; a token for any object has no list")
    if scopes is None:
        return EVERYTHING if only is None else Scope(allowed=EVERYTHING.allowed, only=frozenset(only))
    try:
        return scope.parse(scopes, only)
    except ValueError as error:
        raise Invalid("scopes", str(error)) from None


def names_in(text: str | None) -> tuple[str, ...] | None:
    """The names in a column that is a JSON array, or null."""
    return None if text is None else _NAMES.decode(text)


def written(names: tuple[str, ...] | None) -> str | None:
    """The other way round."""
    return None if names is None else msgspec.json.encode(names).decode()
