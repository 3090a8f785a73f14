"""A token that goes on as another: the new one is put in place everywhere while the old one still works."""

from sqlalchemy import Connection, select

from aibridge.domain.token import LONGEST_OVERLAP, MintedToken, TokenKind
from aibridge.store import schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.token_rows import StoredToken, insert, one, selected, stored

_TOKENS = schema.tokens.c
_KEPT = ("user_id", "organization_id", "kind", "name", "scopes", "only", "parent_id", "created_by", "priority")


def rotate(
    connection: Connection, token_id: str, *, overlap: float, now: int, expires_at: int | None = None
) -> MintedToken:
    """Replace a token by a new one of the same name and bounds; the old one goes on for `overlap` seconds at most.

    Without `expires_at`, in UTC microseconds as `now`, the new one is given as long a life as the old one was. A token
    is replaced once, and its replacement not before it is out of force itself: no more than two are in force for one.

    Raises:
        LookupError: there is no token of that id.
        Invalid: the overlap is negative or longer than `LONGEST_OVERLAP`; the expiry is not after now; it is a session.
        Conflict: the token is not in force, or is in a rotation already, as the old one or as the new one.
    """
    if not 0 <= overlap <= LONGEST_OVERLAP:
        raise Invalid("overlap", f"{overlap} is not allowed; allowed: 0 to {LONGEST_OVERLAP} seconds")
    old = one(connection, token_id)
    _check(connection, old, now)
    if expires_at is None and old.expires_at is not None:
        expires_at = now + old.expires_at - old.created_at
    check_expiry(expires_at, now)
    kept = connection.execute(select(*(_TOKENS[name] for name in _KEPT)).where(_TOKENS.id == token_id)).mappings().one()
    minted = insert(connection, {**kept, "created_at": now, "expires_at": expires_at})
    end = now + round(overlap * 1e6)
    last = end if old.expires_at is None else min(end, old.expires_at)
    replaced = {"expires_at": last, "replaced_by": minted.id}
    connection.execute(schema.tokens.update().where(_TOKENS.id == token_id).values(replaced))
    return minted


def check_expiry(expires_at: int | None, now: int) -> None:
    """Refuse a token that would never be in force.

    Raises:
        Invalid: it would not.
    """
    if expires_at is not None and expires_at <= now:
        raise Invalid("expires_at", "a token cannot expire before it is made")


def _check(connection: Connection, old: StoredToken, now: int) -> None:
    if old.kind is not TokenKind.TOKEN:
        raise Invalid("kind", "a session is not rotated; signing in makes another")
    if not old.in_force(now):
        raise Conflict("id", f"the token {old.id} is expired or revoked: make a new one instead")
    if old.replaced_by is not None:
        raise Conflict("id", f"the token {old.id} is replaced already, by {old.replaced_by}")
    before = selected().where(_TOKENS.replaced_by == old.id)
    if any(stored(row).in_force(now) for row in connection.execute(before).mappings()):
        raise Conflict("id", f"the token {old.id} replaces one that is still in force: revoke that one first")
