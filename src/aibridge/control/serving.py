"""From a row of the table and a handler to a route: who asks, whether they may, what they sent, and the answer.

Every endpoint goes this way, so that none can leave out a step: a row without a handler is an error at start, and a
permission is asked before anything that was sent is looked at.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from aibridge.contract.endpoint import BYPASS, Access, Endpoint
from aibridge.contract.shapes import Parameters
from aibridge.control import csrf
from aibridge.control.ask import Ask, AsyncHandler, Handler
from aibridge.control.caller import Caller, Origin
from aibridge.control.dependencies import Dependencies
from aibridge.control.errors import json_response
from aibridge.control.identity import identify
from aibridge.control.rate import RateLimit
from aibridge.control.reading import body_of, query_of
from aibridge.domain.errors import BodyTooLarge, Unauthenticated

LARGEST_BODY = 1 << 20
"""Bytes. The largest thing that is sent here is a list of a thousand names."""


def served(
    endpoint: Endpoint, handler: Handler | AsyncHandler, world: Dependencies, rate: RateLimit
) -> Callable[[Request], Awaitable[Response]]:
    """What answers requests for an endpoint."""
    waits = inspect.iscoroutinefunction(handler)

    async def serve(request: Request) -> Response:
        caller = None if endpoint.needs is Access.PUBLIC else identify(request, world)
        origin, bypass = _origin(request, world), request.headers.get(BYPASS)
        asks = caller if caller is not None or bypass is None else _known(request, world)
        rate.take(endpoint.operation, asks, origin.address, bypass)
        ask: Ask[Any, Any] = Ask(endpoint, request, world, caller, origin)
        if caller is not None and caller.by_cookie:
            csrf.refuse_forged(request.method, request.headers.raw, ask.own_origins)
        content = await _content(request) if endpoint.body is not None else b""

        def prepare(connection: Connection) -> None:
            ask.authorize(connection)
            ask.query = query_of(request.query_params.multi_items(), endpoint.query or Parameters)
            if endpoint.body is not None:
                ask.body = body_of(content, endpoint.body)

        def answer(connection: Connection) -> object:
            prepare(connection)
            return cast("Handler", handler)(ask, connection)

        if waits:
            await ask.reading(prepare)
            result = await cast("AsyncHandler", handler)(ask)
        elif endpoint.changes:
            result = await ask.writing(answer)
        else:
            result = await ask.reading(answer)
        return _response(result, endpoint)

    return serve


def _known(request: Request, world: Dependencies) -> Caller | None:
    """Who asks where nobody has to say it, for the limit of requests that is theirs."""
    try:
        return identify(request, world)
    except Unauthenticated:
        return None


def _origin(request: Request, world: Dependencies) -> Origin:
    peer = request.client.host if request.client else ""
    return Origin(
        address=world.address_of(peer, list(request.headers.raw)),
        user_agent=request.headers.get("user-agent", ""),
    )


async def _content(request: Request) -> bytes:
    """The body, bounded.

    Raises:
        BodyTooLarge: it is larger than `LARGEST_BODY`.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise BodyTooLarge(f"The body is larger than {LARGEST_BODY} bytes.")
    return bytes(content)


def _response(result: object, endpoint: Endpoint) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status_code=endpoint.status, headers={"cache-control": "no-store"})
    return json_response(result, endpoint.status)
