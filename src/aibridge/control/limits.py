"""The limits: what they allow, how much of it is used now, how they decided; and changing the database's."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from aibridge.contract.aibridge import (
    CreateLimitRequest,
    LimitBody,
    LimitsView,
    LimitView,
    SubjectUse,
    UpdateLimitRequest,
)
from aibridge.control.ask import Ask, AsyncHandler, Handler
from aibridge.control.caller import Caller
from aibridge.control.dependencies import LimitPresent
from aibridge.control.errors import Conflicting, NotFound
from aibridge.control.serversentevents import EventStream
from aibridge.domain.authorize import Object, authorize
from aibridge.domain.errors import RateLimited
from aibridge.domain.permission import Action, Resource
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.domain.snapshot import Snapshot
from aibridge.store import limits as stored
from aibridge.store import organizations
from aibridge.store.conflict import Invalid

_Ask = Ask[Any, Any]
_WATCHED_EVERY = 1.0
"""Seconds between two looks of who follows the limits."""
MOST_WATCHED = 16
"""How often one user may follow them at once, on each process: each is a connection that does not end by itself."""
_WATCH = "watch"
"""A path of its own stands where a limit of this name would, so that nobody could change or delete it."""


async def _list(ask: _Ask) -> LimitsView:
    return await _all(ask, ask.caller)


async def _watch(ask: _Ask) -> EventStream:
    watching, who = ask.world.watching, ask.caller.id
    if watching[who] >= MOST_WATCHED:
        raise RateLimited(
            f"You are following the limits {watching[who]} times, and may {MOST_WATCHED} times at once.",
            "End one of these connections first.",
        )

    async def values() -> AsyncGenerator[LimitsView, None]:
        watching[who] += 1
        try:
            # Until the token is out of force, or the server stops; what its holder may see can change meanwhile.
            while (caller := _present_caller(ask)) is not None and not ask.world.stopping():
                yield await _all(ask, caller)
                await asyncio.sleep(_WATCHED_EVERY)
        finally:
            watching[who] -= 1
            if not watching[who]:
                del watching[who]

    return EventStream(values())


async def _one(ask: _Ask) -> LimitView:
    name = ask.things.named["limit"]
    for present in await _present(ask):
        if present.rule.name == name and _visible(present.rule, ask.caller):
            return _view(present, ask)
    raise NotFound


async def _create(ask: Ask[None, CreateLimitRequest]) -> LimitView:
    wanted = ask.body
    place = Object(resource=Resource.LIMIT, organization_id=wanted.organization_id)
    ask.require(Action.CREATE, place)
    if wanted.name == _WATCH:
        raise Invalid("name", f"{_WATCH!r} cannot be the name of a limit: the API has something else of that name")
    rule = _rule(wanted.name, wanted, ask)
    if _configured(ask, rule.name) is not None:
        raise Conflicting(f"There is a limit {rule.name!r} in the server's configuration.", "name")

    def create(connection: Connection) -> Rule:
        ask.require(Action.CREATE, place)  # of who asks as they stand now
        if wanted.organization_id is not None:
            _check_organization(connection, wanted)
        made = stored.insert(connection, rule, now=ask.now).rule
        _record(ask, connection, Action.CREATE, made, after=made)
        return made

    made = await ask.writing(create)
    return _view(LimitPresent(rule=made, subjects=[], decisions={}), ask)


async def _update(ask: Ask[None, UpdateLimitRequest]) -> LimitView:
    before = _kept(ask)
    rule = _rule(before.name, ask.body, ask)

    def update(connection: Connection) -> Rule:
        after = stored.update(connection, rule, now=ask.now).rule
        _record(ask, connection, Action.UPDATE, after, before=before, after=after)
        return after

    after = await ask.writing(update)
    for present in await _present(ask):
        if present.rule.name == after.name:
            return _view(msgspec.structs.replace(present, rule=after), ask)
    return _view(LimitPresent(rule=after, subjects=[], decisions={}), ask)


def _delete(ask: _Ask, connection: Connection) -> None:
    before = _kept(ask)
    stored.delete(connection, before.name)
    _record(ask, connection, Action.DELETE, before, before=before)


async def _all(ask: _Ask, caller: Caller) -> LimitsView:
    results = [_view(present, ask, caller) for present in await _present(ask) if _visible(present.rule, caller)]
    return LimitsView(count=len(results), results=results)


def _present_caller(ask: _Ask) -> Caller | None:
    """The caller as they stand now; None once their token is revoked or expired, or they are suspended."""
    token = ask.world.snapshot().tokens.get(ask.caller.actor.token_id)
    if token is None or (token.expires_at is not None and ask.world.clock() >= token.expires_at):
        return None
    return Caller(actor=token.actor, subject=token.subject)


async def _present(ask: _Ask) -> Sequence[LimitPresent]:
    return [] if ask.world.limits is None else await ask.world.limits()


def _kept(ask: _Ask) -> Rule:
    """The limit of the database that the path names.

    Raises:
        Conflicting: it is the configuration's.
        NotFound: there is none.
    """
    name = ask.things.named["limit"]
    if ask.things.limit is not None:
        return ask.things.limit.rule
    if _configured(ask, name) is not None:
        raise Conflicting(f"The limit {name!r} is in the server's configuration: change it there.")
    raise NotFound


def _configured(ask: _Ask, name: str) -> Rule | None:
    return next((rule for rule in ask.world.configured_rules if rule.name == name), None)


def _rule(name: str, wanted: LimitBody, ask: _Ask) -> Rule:
    """The rule that is wanted.

    Raises:
        Invalid: it counts cost, and nothing has a price.
    """
    if wanted.unit is Unit.COST and not ask.world.settings.prices:
        raise Invalid("unit", "a limit on cost needs prices in the configuration")
    fields = {field: getattr(wanted, field) for field in LimitBody.__struct_fields__ if field != "organization_id"}
    organization = None if wanted.organization_id is None else str(wanted.organization_id)
    return Rule(name=name, organization=organization, **fields)


def _check_organization(connection: Connection, wanted: CreateLimitRequest) -> None:
    try:
        organizations.one(connection, str(wanted.organization_id))
    except LookupError:
        raise NotFound from None


def _visible(rule: Rule, caller: Caller) -> bool:
    """Everybody may read the rules that may be asked of them, and whoever may read limits those of others."""
    return rule.organization in (None, caller.actor.organization_id) or _reads(rule, caller)


def _reads(rule: Rule, caller: Caller) -> bool:
    what = Object(resource=Resource.LIMIT, organization_id=_organization_id(rule), id=rule.name)
    return authorize(caller.subject, Action.READ, what).allowed


def _organization_id(rule: Rule) -> Any:  # noqa: ANN401
    return stored.StoredLimit(rule=rule, created_at=0, updated_at=0).organization_id


def _view(limit: LimitPresent, ask: _Ask, caller: Caller | None = None) -> LimitView:
    rule, caller = limit.rule, caller or ask.caller
    reads = _reads(rule, caller)
    known = ask.world.snapshot()
    seen = [use for use in limit.subjects if reads or _is_own(rule, use.key, caller, known)]
    fields = {name: getattr(rule, name) for name in Rule.__struct_fields__ if name not in {"only", "organization"}}
    return LimitView(
        **fields,
        only=rule.only if reads else None,
        organization_id=_organization_id(rule),
        source="database" if _configured(ask, rule.name) is None else "configuration",
        subjects=[
            SubjectUse(key=use.key, used=use.used) for use in sorted(seen, key=lambda use: use.used, reverse=True)
        ],
        decisions=limit.decisions if reads else None,
    )


def _is_own(rule: Rule, key: str, caller: Caller, known: Snapshot) -> bool:
    """Whether a subject is the caller, or what the caller is part of. An address is nobody's: many may share it."""
    match rule.subject:
        case Subject.EVERYONE:
            return True
        case Subject.ORGANIZATION:
            return key == caller.actor.organization_id
        case Subject.USER:
            return key == caller.id
        case Subject.TOKEN:
            token = known.tokens.get(key)
            return token is not None and token.actor.id == caller.id
        case Subject.ADDRESS:
            return False


def _record(  # noqa: PLR0913 (who, where, and what it was and is)
    ask: _Ask,
    connection: Connection,
    action: Action,
    rule: Rule,
    *,
    before: Rule | None = None,
    after: Rule | None = None,
) -> None:
    ask.record(
        connection,
        action,
        Resource.LIMIT,
        id=rule.name,
        name=rule.name,
        organization_id=_organization_id(rule),
        before=before,
        after=after,
    )


HANDLERS: Mapping[str, Handler | AsyncHandler] = {
    "limits": _list,
    "watch_limits": _watch,
    "limit": _one,
    "create_limit": _create,
    "update_limit": _update,
    "delete_limit": _delete,
}
