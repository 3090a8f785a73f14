"""The audit log: what was changed, by whom and from where, each entry bound to all that came before it.

An entry's digest is that of the one before and of itself. So an entry that is edited, removed, added or moved later
breaks the chain from there on, and `verify` finds where. How many entries there are is kept beside the log, so the last
ones do not go unnoticed either. Against somebody who may write to the whole database, and works the chain out anew,
only a digest that was noted elsewhere helps: `verify` tells the last one.
"""

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from aibridge.domain.permission import Action, Resource
from aibridge.store import schema
from aibridge.store.audit_fields import check_fields
from aibridge.store.paging import Paging, counted, paged

LONGEST_ADDRESS = 64
LONGEST_NAME = 1024
LONGEST_USER_AGENT = 256
"""Characters that are kept of what callers say of themselves."""
PAGE = 1000
"""How many entries are in memory at once where all are read."""

_LOG = schema.audit_log.c
_BEFORE_ALL = bytes(32)
_AMOUNT = "audit_entries"
_DECODER = msgspec.json.Decoder(dict[str, Any])


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes something, and from where. `actor_id` and `token_id` are None where nobody has signed in."""

    actor_name: str
    actor_id: str | None = None
    token_id: str | None = None
    address: str = ""
    user_agent: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `at` is in UTC microseconds; `before` and `after` are None where there was, or is, nothing.

    `digest` is that of this entry and of all before it, as hex.
    """

    number: int
    at: int
    actor_id: str | None
    actor_name: str
    token_id: str | None
    action: str
    resource: str
    resource_id: str
    resource_name: str
    organization_id: uuid.UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str
    user_agent: str
    digest: str


class Query(Paging, frozen=True, kw_only=True):
    """Which entries to list; absent conditions do not count. `after_id` is an entry's number, as text.

    `actor` is an id or a name. `organization_ids` are those whose entries may be seen, None for all entries. Instants
    are in UTC microseconds, and the bounds are included.
    """

    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    organization_ids: frozenset[uuid.UUID] | None = None
    date_from: int | None = None
    date_to: int | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the entries that match, the newest first, and how many match in all."""

    entries: tuple[Entry, ...]
    count: int


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries the log is found to have, and the first number at which it is not what was written, if any.

    `digest` is the last entry's, as hex: whoever notes it elsewhere can tell later that all up to it is unchanged.
    """

    count: int
    broken_at: int | None
    digest: str


def record(  # noqa: PLR0913 (what an entry is, each by name)
    connection: Connection,
    who: Who,
    *,
    action: Action | str,
    resource: Resource,
    resource_id: str,
    resource_name: str,
    organization_id: uuid.UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    now: int,
) -> Entry:
    """Add an entry within the transaction that makes the change: neither is ever without the other.

    Raises:
        ValueError: a field of `before` or `after` has a secret in it, by its name or its form.
    """
    for fields in (before, after):
        check_fields(fields)
    number = _next(connection)
    last = select(_LOG.digest).order_by(_LOG.number.desc()).limit(1)
    previous = connection.execute(last).scalar_one_or_none()
    row: dict[str, Any] = {
        "number": number,
        "at": now,
        "actor_id": who.actor_id,
        "actor_name": who.actor_name,
        "token_id": who.token_id,
        "action": str(action),
        "resource": str(resource),
        "resource_id": _said(resource_id, LONGEST_NAME),
        "resource_name": _said(resource_name, LONGEST_NAME),
        "organization_id": None if organization_id is None else str(organization_id),
        "before": _written(before),
        "after": _written(after),
        "address": _said(who.address, LONGEST_ADDRESS),
        "user_agent": _said(who.user_agent, LONGEST_USER_AGENT),
    }
    row["digest"] = _digest(previous or _BEFORE_ALL, row)
    connection.execute(schema.audit_log.insert(), row)
    return _entry(row)


def page(connection: Connection, query: Query) -> Page:
    """List entries, the newest first.

    Raises:
        LookupError: `after_id` is no number of an entry.
    """
    matching = select(schema.audit_log).where(*_conditions(query)).order_by(_LOG.number.desc())
    asked = paged(matching, query)
    if query.after_id is not None:
        asked = asked.where(_LOG.number < _number(query.after_id))
    entries = tuple(map(_entry, connection.execute(asked).mappings()))
    return Page(entries=entries, count=counted(connection, matching))


def rows(connection: Connection, query: Query, *, before: int | None = None) -> Iterator[Entry]:
    """All entries that match, the newest first, whatever the query says of pages: a thousand in memory at once.

    With `before`, those with a smaller number.
    """
    matching = select(schema.audit_log).where(*_conditions(query)).order_by(_LOG.number.desc()).limit(PAGE)
    asked = matching if before is None else matching.where(_LOG.number < before)
    while True:
        entries = [_entry(row) for row in connection.execute(asked).mappings()]
        yield from entries
        if len(entries) < PAGE:
            return
        asked = matching.where(_LOG.number < entries[-1].number)


def verify(connection: Connection) -> Verified:
    """Read the whole log and see whether it is what was written."""
    digest, number = _BEFORE_ALL, 0
    in_order = select(schema.audit_log).order_by(_LOG.number).limit(PAGE)
    while True:
        found = connection.execute(in_order.where(_LOG.number > number)).mappings().all()
        for row in found:
            number += 1
            said = {name: value for name, value in row.items() if name != "digest"}
            if _digest(digest, said) != row["digest"]:
                return Verified(count=number - 1, broken_at=number, digest=digest.hex())
            digest = row["digest"]
        if len(found) < PAGE:
            break
    complete = number == _amount(connection)
    return Verified(count=number, broken_at=None if complete else number + 1, digest=digest.hex())


def _next(connection: Connection) -> int:
    """The number of the entry to be written. Whoever has asked is alone in asking until the end of the transaction."""
    counting = schema.facts.update().where(schema.facts.c.name == _AMOUNT).values(value=schema.facts.c.value + 1)
    if not connection.execute(counting).rowcount:
        connection.execute(schema.facts.insert(), {"name": _AMOUNT, "value": 1})
    return _amount(connection)


def _amount(connection: Connection) -> int:
    amount = select(schema.facts.c.value).where(schema.facts.c.name == _AMOUNT)
    return connection.execute(amount).scalar_one_or_none() or 0


def _digest(previous: bytes, row: dict[str, Any]) -> bytes:
    """Over the columns as they are stored, by name in the order of names: nothing about a row can change unseen."""
    return hashlib.sha256(previous + msgspec.json.encode(row, order="sorted")).digest()


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.actor is not None:
        yield or_(_LOG.actor_id == query.actor, func.lower(_LOG.actor_name) == query.actor.lower())
    for column in ("action", "resource", "resource_id", "resource_name"):
        value = getattr(query, column)
        if value is not None:
            yield _LOG[column] == value
    if query.organization_ids is not None:
        yield _LOG.organization_id.in_([str(each) for each in query.organization_ids])
    if query.date_from is not None:
        yield _LOG.at >= query.date_from
    if query.date_to is not None:
        yield _LOG.at <= query.date_to


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 (digits of any 64-bit number)
        raise LookupError(f"there is no entry {text!r}")
    return int(text)


def _entry(row: RowMapping | dict[str, Any]) -> Entry:
    said = {name: row[name] for name in Entry.__struct_fields__}
    said["digest"] = row["digest"].hex()
    organization_id = row["organization_id"]
    said["organization_id"] = None if organization_id is None else uuid.UUID(organization_id)
    for name in ("before", "after"):
        said[name] = None if row[name] is None else _DECODER.decode(row[name])
    return Entry(**said)


def _written(fields: dict[str, Any] | None) -> str | None:
    return None if fields is None else msgspec.json.encode(fields, order="sorted").decode()


def _said(text: str, longest: int) -> str:
    """What a caller says of itself, no longer than that, and without what PostgreSQL cannot take."""
    return text.replace("\0", "")[:longest]
