"""Tokens: made, shown, revoked, replaced. The text of one is in the answer that makes it, and nowhere else."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from aibridge.contract.apikeys import (
    APIKey,
    APIKeysResponse,
    CreateTokenRequest,
    GeneratedToken,
    RotateTokenRequest,
    TokensQuery,
)
from aibridge.control.ask import Ask, Handler
from aibridge.control.errors import Conflicting, InvalidBody, Validation
from aibridge.control.instants import instant
from aibridge.control.paging import cursor, paged
from aibridge.control.ranks import require_rank
from aibridge.domain.authorize import Object
from aibridge.domain.errors import Forbidden
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Resource
from aibridge.domain.scope import narrower
from aibridge.domain.token import MintedToken, TokenKind
from aibridge.store import token_rotation, tokens
from aibridge.store.token_rows import StoredToken, one, scope_of

_Ask = Ask[Any, Any]
_EVERYTHING = "all"
MOST_IN_FORCE = 1000
"""Tokens of one user: each is in the memory of every process, and everybody makes their own."""


def view(token: StoredToken) -> APIKey:
    """A token as the API shows it."""
    return APIKey(
        id=token.id,
        user_id=token.user_id,
        username=token.username,
        organization_id=token.organization_id,
        token_name=token.name,
        login_type=token.kind.value,
        last_four=token.last_four,
        scopes=[_EVERYTHING] if token.scopes is None else list(token.scopes),
        allow_list=None if token.only is None else list(token.only),
        priority=token.priority,
        created_by=token.created_by,
        parent_id=token.parent_id,
        replaced_by=token.replaced_by,
        created_at=instant(token.created_at),
        expires_at=instant(token.expires_at),
        last_used=instant(token.last_used_at),
        revoked_at=instant(token.revoked_at),
    )


def _list(ask: Ask[TokensQuery, None], connection: Connection) -> APIKeysResponse:
    query = tokens.Query(
        now=ask.now, user_id=ask.things.user.id, include_expired=ask.query.include_expired, **paged(ask.query)
    )
    with cursor():
        page = tokens.page(connection, query)
    return APIKeysResponse(keys=[view(token) for token in page.tokens], count=page.count)


def _create(ask: Ask[None, CreateTokenRequest], connection: Connection) -> GeneratedToken:
    wanted, user = ask.body, ask.things.user
    caller = ask.caller
    if user.id != caller.id:
        require_rank(ask, connection, user.id)
    if tokens.in_force(connection, user.id, ask.now) >= MOST_IN_FORCE:
        raise Conflicting(f"{user.username!r} has {MOST_IN_FORCE} tokens in force, which is as many as may be.")
    expires_at = None if wanted.lifetime is None else ask.now + wanted.lifetime * 1_000_000
    _check_lifetime(connection, caller.actor.token_id, expires_at)
    minted = tokens.mint(
        connection,
        user_id=user.id,
        organization_id=_organization_of(ask),
        name=wanted.token_name,
        scopes=None if wanted.scopes == [_EVERYTHING] else tuple(wanted.scopes),
        only=None if wanted.allow_list is None else tuple(wanted.allow_list),
        parent=caller.subject.scope,
        parent_id=caller.actor.token_id,
        created_by=caller.id,
        now=ask.now,
        expires_at=expires_at,
        priority=wanted.priority,
    )
    return _made(ask, connection, minted, Action.CREATE)


def _check_lifetime(connection: Connection, parent_id: str, expires_at: int | None) -> None:
    """A token makes none that outlives it. A session may: whoever signs in again could make the token then.

    Raises:
        InvalidBody: it would.
    """
    parent = one(connection, parent_id)
    ends = parent.expires_at
    if parent.kind is TokenKind.TOKEN and ends is not None and (expires_at is None or expires_at > ends):
        detail = f"the token would outlive the one that it is made with, which expires at {instant(ends).isoformat()}"
        raise InvalidBody([Validation(field="lifetime", detail=detail)])


def _one(ask: _Ask, _: Connection) -> APIKey:
    return view(ask.things.key)


def _delete(ask: _Ask, connection: Connection) -> None:
    before = ask.things.key
    tokens.revoke(connection, before.id, ask.now)
    if before.revoked_at is None:
        _record(ask, connection, Action.DELETE, before, before=before)


def _rotate(ask: Ask[None, RotateTokenRequest], connection: Connection) -> GeneratedToken:
    old, wanted = ask.things.key, ask.body
    if old.user_id != ask.caller.id:
        require_rank(ask, connection, old.user_id)
    if not narrower(ask.caller.subject.scope, scope_of(old.scopes, old.only)):
        raise Forbidden("You are not allowed to do this.", "The token may do more than the one that you came with.")
    minted = token_rotation.rotate(
        connection,
        old.id,
        overlap=wanted.overlap,
        now=ask.now,
        expires_at=None if wanted.lifetime is None else ask.now + wanted.lifetime * 1_000_000,
    )
    return _made(ask, connection, minted, "rotate", before=old)


def _organization_of(ask: Ask[None, CreateTokenRequest]) -> uuid.UUID:
    """The organization that the token is for.

    Raises:
        InvalidBody: the user belongs to several, and not to the one that is meant where nothing is said.
    """
    user = ask.things.user
    wanted, theirs = ask.body.organization_id, user.organization_ids
    if wanted is not None:
        # A service account is in its own organization alone: whoever may make its tokens may make them there.
        if user.service_account_of is None:
            place = Object(resource=Resource.API_KEY, organization_id=wanted, owner_id=user.id)
            ask.require(Action.CREATE, place)
        return wanted
    if DEFAULT_ORGANIZATION in theirs:
        return DEFAULT_ORGANIZATION
    if len(theirs) == 1:
        return theirs[0]
    listed = ", ".join(map(str, theirs)) or "none"
    detail = f"must be given, since the user belongs to {listed}"
    raise InvalidBody([Validation(field="organization_id", detail=detail)])


def _made(
    ask: _Ask, connection: Connection, minted: MintedToken, action: Action | str, *, before: StoredToken | None = None
) -> GeneratedToken:
    made = one(connection, minted.id)
    _record(ask, connection, action, made, before=before, after=made)
    return GeneratedToken(key=minted.text, id=minted.id, expires_at=instant(made.expires_at))


def _record(  # noqa: PLR0913 (who, where, and what it was and is)
    ask: _Ask,
    connection: Connection,
    action: Action | str,
    token: StoredToken,
    *,
    before: StoredToken | None = None,
    after: StoredToken | None = None,
) -> None:
    ask.record(
        connection,
        action,
        Resource.API_KEY,
        id=token.id,
        name=f"{token.username}/{token.name}",
        organization_id=token.organization_id,
        before=None if before is None else view(before),
        after=None if after is None else view(after),
    )


HANDLERS: Mapping[str, Handler] = {
    "tokens": _list,
    "create_token": _create,
    "api_key_by_name": _one,
    "api_key": _one,
    "delete_api_key": _delete,
    "rotate_token": _rotate,
}
