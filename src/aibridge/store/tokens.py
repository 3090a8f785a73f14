"""Tokens at rest: made, found, listed and taken out of force. Instants are UTC microseconds.

A token's row stays when it is out of force, since records of calls name it. What is in force is in `snapshot`.
"""

import uuid
from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select

from aibridge.domain.priority import Priority
from aibridge.domain.scope import Scope, narrower
from aibridge.domain.token import MintedToken, TokenKind
from aibridge.store import changes, names, schema
from aibridge.store.changes import version
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.paging import Paging, counted, paged
from aibridge.store.sessions import sweep
from aibridge.store.token_rotation import check_expiry, rotate
from aibridge.store.token_rows import StoredToken, insert, one, scope_of, selected, stored, written

__all__ = [
    "Page",
    "Query",
    "StoredToken",
    "in_force",
    "mark_used",
    "mint",
    "named",
    "one",
    "page",
    "revoke",
    "revoke_all",
    "rotate",
    "scope_of",
    "sweep",
    "version",
]

LONGEST_NAME = 64
"""Characters of a name."""
USE_RESOLUTION = 60_000_000
"""A token's last use is kept to this many microseconds: fine enough for people, coarse enough for the database."""

_TOKENS = schema.tokens.c
_MEMBERS = schema.organization_members.c
_MARK_USED = (
    schema.tokens.update()
    .where(
        _TOKENS.id == bindparam("token_id"),
        or_(_TOKENS.last_used_at.is_(None), _TOKENS.last_used_at <= bindparam("stale_at")),
    )
    .values(last_used_at=bindparam("used_at"))
)


class Query(Paging, frozen=True, kw_only=True):
    """Which tokens to list; absent conditions do not count.

    `organization_ids` are those whose tokens may be seen. Those that are expired or revoked at `now` are left out,
    unless `include_expired`.
    """

    now: int
    user_id: str | None = None
    organization_ids: frozenset[uuid.UUID] | None = None
    kind: TokenKind | None = None
    include_expired: bool = False


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the tokens that match, the newest first, and how many match in all."""

    tokens: tuple[StoredToken, ...]
    count: int


def mint(  # noqa: PLR0913 (what a token is, each by name)
    connection: Connection,
    *,
    user_id: str,
    organization_id: uuid.UUID,
    name: str,
    kind: TokenKind = TokenKind.TOKEN,
    scopes: tuple[str, ...] | None = None,
    only: tuple[str, ...] | None = None,
    parent: Scope,
    parent_id: str | None = None,
    created_by: str | None = None,
    now: int,
    expires_at: int | None = None,
    priority: Priority = Priority.INTERACTIVE,
) -> MintedToken:
    """Make a token. Its text is in the answer and nowhere else.

    `parent` is the scope of the token that it is made with; `domain.scope.EVERYTHING` where somebody signs in, or sits
    at the machine. No token makes one that may do more than it may itself.

    Raises:
        LookupError: there is no such user.
        Invalid: the user is no member of the organization; the scope is none, or wider than the parent's; the name is
            empty, too long or not printable; the expiry is not after now.
        Conflict: a token of that user that is in force has the name.
    """
    check_expiry(expires_at, now)
    _check_scope(parent, scope_of(scopes, only))
    _check_membership(connection, user_id, organization_id)
    if kind is TokenKind.TOKEN:
        _check_name(connection, user_id, name, now)
    row: dict[str, object] = {
        "user_id": user_id,
        "organization_id": str(organization_id),
        "kind": kind.value,
        "name": name,
        "scopes": written(scopes),
        "only": written(only),
        "parent_id": parent_id,
        "created_by": created_by,
        "created_at": now,
        "expires_at": expires_at,
        "priority": priority.value,
    }
    return insert(connection, row)


def named(connection: Connection, user_id: str, name: str) -> StoredToken:
    """A user's newest token of that name that is neither revoked nor replaced: if one is in force, it is this.

    Raises:
        LookupError: there is none.
    """
    mine = and_(_TOKENS.user_id == user_id, _TOKENS.name == name, _TOKENS.kind == TokenKind.TOKEN.value)
    present = and_(_TOKENS.revoked_at.is_(None), _TOKENS.replaced_by.is_(None))
    asked = selected().where(mine, present).limit(1)
    row = connection.execute(asked).mappings().one_or_none() if names.can_be_kept(name) else None
    if row is None:
        raise LookupError(f"there is no token of the name {name!r}")
    return stored(row)


def in_force(connection: Connection, user_id: str, now: int) -> int:
    """How many tokens of a user are in force, sessions not among them."""
    theirs = select(_TOKENS.id).where(_TOKENS.user_id == user_id, _TOKENS.kind == TokenKind.TOKEN.value)
    return counted(connection, theirs.where(_in_force(now)))


def page(connection: Connection, query: Query) -> Page:
    """List tokens, the newest first.

    Raises:
        LookupError: `after_id` names no token.
    """
    matching = selected().where(*_conditions(query))
    asked = paged(matching, query)
    if query.after_id is not None:
        after = one(connection, query.after_id)
        older = _TOKENS.created_at < after.created_at
        asked = asked.where(or_(older, and_(_TOKENS.created_at == after.created_at, _TOKENS.id > after.id)))
    rows = connection.execute(asked).mappings()
    return Page(tokens=tuple(map(stored, rows)), count=counted(connection, matching))


def revoke(connection: Connection, token_id: str, now: int) -> None:
    """Take a token out of force, for good. A token that already is keeps the instant of its first revocation.

    Raises:
        LookupError: there is no token of that id.
    """
    if one(connection, token_id).revoked_at is None:
        connection.execute(schema.tokens.update().where(_TOKENS.id == token_id).values(revoked_at=now))
        changes.note(connection)


def revoke_all(
    connection: Connection, user_id: str, *, kind: TokenKind | None = None, except_id: str | None = None, now: int
) -> int:
    """Take all tokens of a user out of force, or all of one kind, save the one of that id; answers how many."""
    theirs = schema.tokens.update().where(_TOKENS.user_id == user_id, _TOKENS.revoked_at.is_(None))
    if kind is not None:
        theirs = theirs.where(_TOKENS.kind == kind.value)
    if except_id is not None:
        theirs = theirs.where(_TOKENS.id != except_id)
    revoked = connection.execute(theirs.values(revoked_at=now)).rowcount
    if revoked:
        changes.note(connection)
    return revoked


def mark_used(connection: Connection, uses: Sequence[tuple[str, int]]) -> None:
    """Note when tokens were used, as pairs of token id and instant. Unknown ids are passed over.

    A use within a minute of the one that is kept changes nothing. `version` does not change either way.
    """
    if uses:
        rows = [{"token_id": name, "used_at": at, "stale_at": at - USE_RESOLUTION} for name, at in uses]
        connection.execute(_MARK_USED, rows)


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.user_id is not None:
        yield _TOKENS.user_id == query.user_id
    if query.organization_ids is not None:
        yield _TOKENS.organization_id.in_([str(each) for each in query.organization_ids])
    if query.kind is not None:
        yield _TOKENS.kind == query.kind.value
    if not query.include_expired:
        yield _in_force(query.now)


def _in_force(now: int) -> ColumnElement[bool]:
    return and_(_TOKENS.revoked_at.is_(None), or_(_TOKENS.expires_at.is_(None), _TOKENS.expires_at > now))


def _check_scope(parent: Scope, child: Scope) -> None:
    if not narrower(parent, child):
        field = "only" if child.allowed <= parent.allowed else "scopes"
        raise Invalid(field, "the token would be for more than the token that it is made with")


def _check_user(connection: Connection, user_id: str) -> None:
    present = select(schema.users.c.id).where(schema.users.c.id == user_id, schema.users.c.deleted_at.is_(None))
    if connection.execute(present).first() is None:
        raise LookupError(f"there is no user {user_id!r}")


def _check_membership(connection: Connection, user_id: str, organization_id: uuid.UUID) -> None:
    _check_user(connection, user_id)
    member = select(_MEMBERS.user_id).where(
        _MEMBERS.user_id == user_id, _MEMBERS.organization_id == str(organization_id)
    )
    if connection.execute(member).first() is None:
        raise Invalid("organization_id", f"the user is no member of the organization {organization_id}")


def _check_name(connection: Connection, user_id: str, name: str, now: int) -> None:
    if not name.strip():
        raise Invalid("name", "a token needs a name")
    names.check_text("name", name, LONGEST_NAME)
    mine = select(_TOKENS.id).where(_TOKENS.user_id == user_id, _TOKENS.name == name, _in_force(now))
    # One that is replaced has left its name to the other.
    held = mine.where(_TOKENS.kind == TokenKind.TOKEN.value, _TOKENS.replaced_by.is_(None))
    if connection.execute(held).first() is not None:
        raise Conflict("name", f"a token of the name {name!r} is in force: revoke it first, or rotate it")
