"""The listing of interceptions: who called what, when, and what it used."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from aibridge.contract.aibridge import (
    InitiatorView,
    InterceptionsQuery,
    InterceptionsView,
    InterceptionView,
    TokenUsageView,
)
from aibridge.control.ask import Ask, Handler
from aibridge.control.filters import merged
from aibridge.control.instants import instant, microseconds
from aibridge.control.paging import cursor, paged
from aibridge.domain.interception import Ending
from aibridge.domain.permission import Resource
from aibridge.store import interceptions
from aibridge.store.interceptions import Record
from aibridge.store.names import SELF


def _list(ask: Ask[InterceptionsQuery, None], connection: Connection) -> InterceptionsView:
    sight, asked = ask.sight(Resource.INTERCEPTION), merged(ask.query)
    query = interceptions.Query(
        visible_to=None if sight.everything else ask.caller.id,
        visible_organizations=tuple(map(str, sorted(sight.organizations))),
        initiator=ask.caller.id if asked.initiator == SELF else asked.initiator,
        provider=asked.provider,
        model=asked.model,
        client=asked.client,
        started_after=None if asked.started_after is None else microseconds(asked.started_after),
        started_before=None if asked.started_before is None else microseconds(asked.started_before),
        **paged(asked),
    )
    with cursor():
        page = interceptions.page(connection, query)
    return InterceptionsView(count=page.count, results=[_view(record) for record in page.records])


def _view(record: Record) -> InterceptionView:
    started, ending = record.interception, record.ending
    view = InterceptionView(
        id=started.id,
        initiator=InitiatorView(id=started.actor_id, username=record.username),
        api_key_id=started.token_id,
        provider=started.provider,
        route=started.route,
        model=started.model,
        client=started.client,
        session_id=started.session_id,
        user_agent=started.user_agent,
        streaming=started.streaming,
        started_at=instant(started.started_at),
    )
    if ending is None:
        return view
    return msgspec.structs.replace(
        view,
        status=ending.status,
        http_status=ending.http_status,
        error=ending.error,
        first_byte_at=instant(ending.first_byte_at),
        ended_at=instant(ending.ended_at),
        token_usages=_usages(ending),
    )


def _usages(ending: Ending) -> list[TokenUsageView]:
    if ending.usage is None:
        return []
    usage = TokenUsageView(
        id=ending.id,
        interception_id=ending.id,
        provider_response_id=ending.response_id,
        input_tokens=ending.usage.input_tokens,
        output_tokens=ending.usage.output_tokens,
        cache_read_input_tokens=ending.usage.cache_read_input_tokens,
        cache_write_input_tokens=ending.usage.cache_write_input_tokens,
        metadata=ending.usage.extra,
        source=ending.usage_source,
        created_at=instant(ending.ended_at),
    )
    return [usage]


HANDLERS: Mapping[str, Handler] = {"interceptions": _list}
