"""The audit log, to read, to take away and to check."""

import csv
import io
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from aibridge.contract.audit import AuditCSVQuery, AuditLog, AuditLogsQuery, AuditLogsResponse, AuditVerification
from aibridge.control.ask import Ask, AsyncHandler, Handler
from aibridge.control.errors import NotFound
from aibridge.control.instants import instant, microseconds
from aibridge.control.paging import cursor, paged
from aibridge.domain.permission import Resource
from aibridge.store import audit as stored

_Ask = Ask[Any, Any]
MOST_LINES = 100_000
_AT_ONCE = 200
"""Lines that are in memory at one time: an entry on a large group takes 100 kB."""
_OF_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet may take for a formula; the last four are the first, of full width."""


def _list(ask: Ask[AuditLogsQuery, None], connection: Connection) -> AuditLogsResponse:
    with cursor():
        page = stored.page(connection, msgspec.structs.replace(_query(ask), **paged(ask.query)))
    return AuditLogsResponse(audit_logs=[_view(entry) for entry in page.entries], count=page.count)


async def _csv(ask: Ask[AuditCSVQuery, None]) -> Response:
    headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="audit.csv"'}
    return StreamingResponse(_lines(ask, _query(ask)), media_type="text/csv", headers=headers)


async def _lines(ask: Ask[AuditCSVQuery, None], query: stored.Query) -> AsyncGenerator[str, None]:
    """The log as CSV, some lines at a time: each from a transaction of its own, so that nobody waits for all of it."""
    yield _written([AuditLog.__struct_fields__])
    left, last = MOST_LINES, None
    while left:
        entries = await ask.reading(partial(_some, query, min(left, _AT_ONCE), last))
        if not entries:
            return
        yield _written(_cells(entry) for entry in entries)
        left, last = left - len(entries), entries[-1].number


def _some(query: stored.Query, number: int, before: int | None, connection: Connection) -> list[stored.Entry]:
    return list(islice(stored.rows(connection, query, before=before), number))


def _cells(entry: stored.Entry) -> list[str]:
    row = msgspec.to_builtins(_view(entry))
    return [_cell(row[name]) for name in AuditLog.__struct_fields__]


def _written(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _verify(_: _Ask, connection: Connection) -> AuditVerification:
    found = stored.verify(connection)
    return AuditVerification(count=found.count, valid=found.broken_at is None, broken_at=found.broken_at)


def _query(ask: Ask[AuditLogsQuery, None] | Ask[AuditCSVQuery, None]) -> stored.Query:
    asked, sight = ask.query, ask.sight(Resource.AUDIT_LOG)
    visible: frozenset[uuid.UUID] | None = None if sight.everything else sight.organizations
    if asked.organization_id is not None:
        if visible is not None and asked.organization_id not in visible:
            raise NotFound
        visible = frozenset((asked.organization_id,))
    return stored.Query(
        actor=asked.actor,
        action=asked.action,
        resource=asked.resource,
        resource_id=asked.resource_id,
        organization_ids=visible,
        date_from=None if asked.date_from is None else microseconds(asked.date_from),
        date_to=None if asked.date_to is None else microseconds(asked.date_to),
    )


def _view(entry: stored.Entry) -> AuditLog:
    return AuditLog(
        number=entry.number,
        time=instant(entry.at),
        actor_id=entry.actor_id,
        actor_name=entry.actor_name,
        token_id=entry.token_id,
        action=entry.action,
        resource=entry.resource,
        resource_id=entry.resource_id,
        resource_name=entry.resource_name,
        organization_id=entry.organization_id,
        before=entry.before,
        after=entry.after,
        address=entry.address,
        user_agent=entry.user_agent,
        digest=entry.digest,
    )


def _cell(value: object) -> str:
    """A value in one cell. What a spreadsheet would take for a formula is marked as text (OWASP, CSV injection)."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"'{text}" if text.startswith(_OF_FORMULAS) else text


HANDLERS: Mapping[str, Handler | AsyncHandler] = {"audit_logs": _list, "audit_csv": _csv, "audit_verification": _verify}
