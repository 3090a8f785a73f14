"""The ledger as it is read: a page of interceptions at a time, the newest first.

Ids sort by time (see `domain.interception.interception_id`), so they are the order of the listing and its cursor.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.interception_id import interception_id
from aibridge.domain.usage import Usage, UsageSource
from aibridge.store import schema
from aibridge.store.directory import has_username

_INTERCEPTIONS = schema.interceptions.c
_USAGES = schema.token_usages.c
_USERS = schema.users.c
_TOKENS = schema.tokens.c
_NEVER = 2**63 - 1
"""After every instant that is kept."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which interceptions to list, and which page of them. Absent conditions do not count; bounds are included.

    `visible_to` is the id of the actor whose interceptions alone may be seen, besides those of tokens of
    `visible_organizations`; None for all. `initiator` is an id, or a username in any case
    of letters; one that nobody has or had matches nothing. `after_id` is the last id of the page before; `offset` is
    for those who must jump.
    """

    visible_to: str | None = None
    visible_organizations: tuple[str, ...] = ()
    initiator: str | None = None
    provider: str | None = None
    model: str | None = None
    client: str | None = None
    started_after: int | None = None
    started_before: int | None = None
    limit: int = 100
    offset: int = 0
    after_id: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An interception as the ledger knows it. `ending` is absent while it runs, `username` when its actor is gone."""

    interception: Interception
    username: str | None
    ending: Ending | None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the interceptions that match, the newest first, and how many match in all."""

    count: int
    records: list[Record]


def page(connection: Connection, query: Query) -> Page:
    """List interceptions. Count and records are of the same moment.

    Raises:
        LookupError: `after_id` names no interception that may be seen.
    """
    if query.initiator is not None:
        query = msgspec.structs.replace(query, initiator=_id_of(connection, query.initiator))
    matching = list(_conditions(query))
    rows = (
        select(schema.interceptions, _USERS.username, schema.token_usages)
        .select_from(schema.interceptions)
        .outerjoin(schema.users, _USERS.id == _INTERCEPTIONS.actor_id)
        .outerjoin(schema.token_usages, _USAGES.interception_id == _INTERCEPTIONS.id)
        .where(*matching)
        .order_by(_INTERCEPTIONS.id.desc())
        .limit(query.limit)
        .offset(query.offset)
    )
    count = connection.execute(select(func.count()).select_from(schema.interceptions).where(*matching)).scalar_one()
    if query.after_id is not None:
        rows = rows.where(_after(connection, query))
    records = [_record(row) for row in connection.execute(rows).mappings()]
    return Page(count=count, records=records)


def earliest_id(instant: int) -> str:
    """Text that sorts before every id of an interception that started at `instant` or later, in UTC microseconds."""
    return interception_id(max(instant, 0), 0)[: len("0199c1a2-7b3c")]  # the millisecond's part


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    visible = _visible(query)
    if visible is not None:
        yield visible
    if query.initiator is not None:
        yield _INTERCEPTIONS.actor_id == query.initiator
    for column, value in (
        (_INTERCEPTIONS.provider, query.provider),
        (_INTERCEPTIONS.model, query.model),
        (_INTERCEPTIONS.client, query.client),
    ):
        if value is not None:
            yield column == value
    if query.started_after is not None:
        yield _INTERCEPTIONS.started_at >= query.started_after
        # Implied, and what makes the listing end there instead of looking at everything older.
        yield _INTERCEPTIONS.id >= earliest_id(query.started_after)
    if query.started_before is not None:
        yield _INTERCEPTIONS.started_at <= query.started_before


def _id_of(connection: Connection, initiator: str) -> str:
    """The id of whom that means: of those who had the name one after another, who has it now, or who had it last.

    It is asked before the listing, so that the index over actors gives that in order.
    """
    latest = func.coalesce(_USERS.deleted_at, _NEVER).desc()
    named = select(_USERS.id).where(has_username(initiator)).order_by(latest).limit(1)
    found: str | None = connection.execute(named).scalar_one_or_none()
    return found or initiator


def _visible(query: Query) -> ColumnElement[bool] | None:
    if query.visible_to is None:
        return None
    own = _INTERCEPTIONS.actor_id == query.visible_to
    if not query.visible_organizations:
        return own
    # A call is of its token's organization. The ledger does not repeat it: tokens' rows stay.
    theirs = select(_TOKENS.id).where(_TOKENS.organization_id.in_(query.visible_organizations))
    return or_(own, _INTERCEPTIONS.token_id.in_(theirs))


def _after(connection: Connection, query: Query) -> ColumnElement[bool]:
    """The rows after a given one. One that may not be seen is as if it were not there."""
    last, visible = select(_INTERCEPTIONS.id).where(_INTERCEPTIONS.id == query.after_id), _visible(query)
    if visible is not None:
        last = last.where(visible)
    if connection.execute(last).scalar_one_or_none() is None:
        raise LookupError(f"there is no interception {query.after_id!r}")
    return _INTERCEPTIONS.id < query.after_id


def _record(row: RowMapping) -> Record:
    started: dict[str, Any] = {name: row[_INTERCEPTIONS[name]] for name in Interception.__struct_fields__}
    started["streaming"] = bool(started["streaming"])
    return Record(interception=Interception(**started), username=row[_USERS.username], ending=_ending(row))


def _ending(row: RowMapping) -> Ending | None:
    if row[_INTERCEPTIONS.ended_at] is None:
        return None
    used = row[_USAGES.source] is not None
    return Ending(
        id=row[_INTERCEPTIONS.id],
        status=Status(row[_INTERCEPTIONS.status]),
        http_status=row[_INTERCEPTIONS.http_status],
        error=row[_INTERCEPTIONS.error],
        first_byte_at=row[_INTERCEPTIONS.first_byte_at],
        ended_at=row[_INTERCEPTIONS.ended_at],
        response_id=row[_INTERCEPTIONS.response_id],
        usage=_usage(row) if used else None,
        usage_source=UsageSource(row[_USAGES.source]) if used else UsageSource.UNKNOWN,
    )


def _usage(row: RowMapping) -> Usage:
    return Usage(
        input_tokens=row[_USAGES.input_tokens],
        output_tokens=row[_USAGES.output_tokens],
        cache_read_input_tokens=row[_USAGES.cache_read_input_tokens],
        cache_write_input_tokens=row[_USAGES.cache_write_input_tokens],
        extra=msgspec.json.decode(row[_USAGES.extra], type=dict[str, int]),
    )
