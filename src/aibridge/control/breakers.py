"""The circuit breakers: how each stands, and closing one by hand."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from aibridge.control.dependencies import BreakerPresent, Breakers, Dependencies
from aibridge.control.errors import ErrorBody, json_response
from aibridge.control.identity import identify
from aibridge.domain.errors import Forbidden

_Endpoint = Callable[[Request], Awaitable[Response]]


class BreakersView(msgspec.Struct, frozen=True, kw_only=True):
    """All breakers: those of the process that answers."""

    count: int
    results: list[BreakerPresent]


def listing(dependencies: Dependencies, breakers: Breakers) -> _Endpoint:
    """The endpoint that shows them, to everybody who has a token: whether a provider is down is no secret."""

    async def list_breakers(request: Request) -> Response:
        identify(request, dependencies)
        results = sorted(breakers.present(), key=lambda breaker: breaker.name)
        return json_response(BreakersView(count=len(results), results=results))

    return list_breakers


def reset(dependencies: Dependencies, breakers: Breakers) -> _Endpoint:
    """The endpoint that closes one, for owners: 204, or 404 where there is none of that name."""

    async def reset_breaker(request: Request) -> Response:
        if not identify(request, dependencies).is_owner:
            raise Forbidden("Only an owner may reset a circuit breaker.")
        name = request.path_params["name"]
        try:
            breakers.reset(name)
        except LookupError:
            return json_response(ErrorBody(message=f"There is no circuit breaker {name!r}."), 404)
        return Response(status_code=204)

    return reset_breaker
