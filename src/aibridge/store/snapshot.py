"""All that the data plane knows of the world, taken from the database at one moment.

There are many tokens and few of everything else, so what tokens have in common is one object for all of them. To learn
when to take another snapshot, see `changes.version`.
"""

import logging
import uuid

import msgspec
from sqlalchemy import Connection, or_, select

from aibridge.domain.actor import Actor
from aibridge.domain.authorize import Object, Subject, authorize
from aibridge.domain.permission import Action, Resource
from aibridge.domain.priority import Priority
from aibridge.domain.scope import EVERYTHING, Scope
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import KnownToken
from aibridge.domain.user import UserStatus
from aibridge.store import limits, providers, schema
from aibridge.store.conflict import Invalid
from aibridge.store.database import Database
from aibridge.store.sealing import Keyring
from aibridge.store.subjects import Standing, subjects
from aibridge.store.token_rows import names_in, scope_of

_log = logging.getLogger("aibridge")
_TOKENS = schema.tokens.c
_USERS = schema.users.c
_NOTHING = Scope(allowed=frozenset())
_EXPIRED_KEPT = 3_600_000_000


def snapshot(database: Database, keyring: Keyring | None = None, *, now: int = 0) -> Snapshot:
    """The tokens in force, and the rules and providers of the database.

    Of tokens that expired, those are left out that did more than an hour before `now`, in UTC microseconds: whether a
    token is expired is looked at when it is presented, and rows of tokens are many and stay for ever. An hour, since
    clocks are set back.

    Tokens of those who are suspended or gone are not in it; those of the dormant are, since using one wakes its user.
    Without a keyring there are no providers in it: that is for those who ask about tokens alone.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.reading() as connection:
        return Snapshot(
            tokens=_tokens(connection, now - _EXPIRED_KEPT),
            rules=limits.rules(connection),
            providers=() if keyring is None else providers.opened(connection, keyring),
            has_providers=providers.are_there(connection),
        )


class _Holder(msgspec.Struct, frozen=True, gc=False):
    """Somebody who may hold tokens that are in force."""

    id: str
    username: str
    standing: Standing


class _Grant(msgspec.Struct, frozen=True, gc=False):
    """What all tokens of one holder give that have the same bounds."""

    holder: _Holder
    organization_id: str
    subject: Subject
    may_call: bool


def _tokens(connection: Connection, expired_before: int) -> dict[str, KnownToken]:
    known: dict[str, KnownToken] = {}
    grants = _Grants(connection)
    priorities = {priority.value: priority for priority in Priority}
    query = select(
        _TOKENS.id,
        _TOKENS.digest,
        _TOKENS.expires_at,
        _TOKENS.priority,
        _TOKENS.user_id,
        _TOKENS.organization_id,
        _TOKENS.scopes,
        _TOKENS.only,
    )
    present = (_TOKENS.revoked_at.is_(None), or_(_TOKENS.expires_at.is_(None), _TOKENS.expires_at > expired_before))
    for token_id, digest, expires_at, priority, *bounds in connection.execute(query.where(*present)):
        grant = grants.of(*bounds)
        if grant is not None:
            known[token_id] = KnownToken(
                digest=digest,
                actor=Actor(
                    id=grant.holder.id,
                    username=grant.holder.username,
                    token_id=token_id,
                    may_call=grant.may_call,
                    organization_id=grant.organization_id,
                    priority=priorities[priority],
                ),
                expires_at=None if expires_at is None else expires_at / 1e6,
                subject=grant.subject,
            )
    return known


class _Grants:
    """Works out what tokens give, of each kind once."""

    def __init__(self, connection: Connection) -> None:
        standings = subjects(connection)
        in_use = select(_USERS.id, _USERS.username).where(
            _USERS.deleted_at.is_(None), _USERS.status != UserStatus.SUSPENDED.value
        )
        self._holders = {
            user_id: _Holder(user_id, username, standings[user_id]) for user_id, username in connection.execute(in_use)
        }
        self._grants: dict[tuple[str, str, str | None, str | None], _Grant] = {}
        self._scopes: dict[tuple[str | None, ...], Scope] = {(None, None): EVERYTHING}
        self._callers: dict[tuple[int, int, str], bool] = {}

    def of(self, user_id: str, organization_id: str, scopes: str | None, only: str | None) -> _Grant | None:
        """What a token of these columns gives; None where its user is nobody to give anything."""
        key = (user_id, organization_id, scopes, only)
        found = self._grants.get(key)
        if found is None:
            holder = self._holders.get(user_id)
            if holder is not None:
                found = self._grants[key] = self._grant(holder, organization_id, self._scope(scopes, only))
        return found

    def _grant(self, holder: _Holder, organization_id: str, scope: Scope) -> _Grant:
        standing = holder.standing
        subject = standing.subject(holder.id, scope)
        # What is one's own depends on nobody's name: who stands alike, with the same bounds, may do the same.
        key = (id(standing), id(scope), organization_id)
        may_call = self._callers.get(key)
        if may_call is None:
            call = Object(
                resource=Resource.INTERCEPTION, organization_id=uuid.UUID(organization_id), owner_id=holder.id
            )
            may_call = self._callers[key] = bool(authorize(subject, Action.CREATE, call))
        return _Grant(holder, organization_id, subject, may_call)

    def _scope(self, *columns: str | None) -> Scope:
        found = self._scopes.get(columns)
        if found is None:
            try:
                found = scope_of(*map(names_in, columns))
            except Invalid as problem:
                _log.error("tokens with the bounds %s are good for nothing: %s", columns, problem)
                found = _NOTHING
            self._scopes[columns] = found
        return found
