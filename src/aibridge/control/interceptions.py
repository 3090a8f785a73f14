"""The listing of interceptions: who called what, when, and what it used."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from aibridge.control.dependencies import Dependencies
from aibridge.control.errors import json_response
from aibridge.control.filters import EPOCH, query_of
from aibridge.control.identity import identify
from aibridge.domain.errors import BadRequest
from aibridge.domain.interception import Ending, Status
from aibridge.domain.usage import UsageSource
from aibridge.store import interceptions
from aibridge.store.interceptions import Record

_THREADS = 4
"""Queries at one time. Further ones wait; the data plane's own use of threads (names are resolved in some) does not."""


class InitiatorView(msgspec.Struct, frozen=True, kw_only=True):
    """Who called. The name is null when the user is gone."""

    id: str
    username: str | None


class TokenUsageView(msgspec.Struct, frozen=True, kw_only=True):
    """What a response used, in tokens; `metadata` holds the provider's further kinds."""

    id: str
    interception_id: str
    provider_response_id: str | None
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    metadata: dict[str, int]
    source: UsageSource
    created_at: datetime


class InterceptionView(msgspec.Struct, frozen=True, kw_only=True):
    """One call. What is only known at its end is null while it runs."""

    id: str
    initiator: InitiatorView
    api_key_id: str
    provider: str
    route: str
    model: str
    client: str
    session_id: str | None
    user_agent: str
    streaming: bool
    status: Status | None = None
    http_status: int | None = None
    error: str | None = None
    started_at: datetime
    first_byte_at: datetime | None = None
    ended_at: datetime | None = None
    metadata: dict[str, str] = {}
    token_usages: list[TokenUsageView] = []
    user_prompts: list[str] = []
    tool_usages: list[str] = []


class InterceptionsView(msgspec.Struct, frozen=True, kw_only=True):
    """A page, and how many match in all."""

    count: int
    results: list[InterceptionView]


def listing(dependencies: Dependencies) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint: an owner sees all, others what they did themselves."""
    threads = CapacityLimiter(_THREADS)

    async def list_interceptions(request: Request) -> Response:
        actor = identify(request, dependencies)
        query = query_of(request.query_params.multi_items(), actor)
        try:
            page = await to_thread.run_sync(partial(interceptions.page, dependencies.database, query), limiter=threads)
        except LookupError as error:
            raise BadRequest("Invalid pagination cursor.") from error
        return json_response(InterceptionsView(count=page.count, results=[_view(record) for record in page.records]))

    return list_interceptions


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
        started_at=_time(started.started_at),
    )
    if ending is None:
        return view
    return msgspec.structs.replace(
        view,
        status=ending.status,
        http_status=ending.http_status,
        error=ending.error,
        first_byte_at=None if ending.first_byte_at is None else _time(ending.first_byte_at),
        ended_at=_time(ending.ended_at),
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
        created_at=_time(ending.ended_at),
    )
    return [usage]


def _time(instant: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant)
