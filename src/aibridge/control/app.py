"""The control plane as an ASGI application: every route it has, and nothing else."""

from collections.abc import Iterator, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aibridge.contract.endpoint import PREFIX
from aibridge.contract.serversentevents import MEDIA_TYPE as EVENT_STREAM
from aibridge.contract.table import ENDPOINTS
from aibridge.control import (
    audit,
    breakers,
    deployment,
    documentation,
    groups,
    interceptions,
    limits,
    members,
    organizations,
    password_change,
    providers,
    roles,
    signin,
    tokens,
    users,
    workspaces,
)
from aibridge.control.ask import AsyncHandler, Handler
from aibridge.control.dependencies import Dependencies
from aibridge.control.errors import ErrorBody, Validation, answer, json_response, unavailable
from aibridge.control.methods import Methods, Serve
from aibridge.control.metrics import metrics_route
from aibridge.control.rate import RateLimit
from aibridge.control.serving import served
from aibridge.control.target import Target
from aibridge.domain.errors import CallError
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import DatabaseUnavailable

__all__ = ["HANDLERS", "Dependencies", "create_app"]

HANDLERS: Mapping[str, Handler | AsyncHandler] = {
    **audit.HANDLERS,
    **breakers.HANDLERS,
    **deployment.HANDLERS,
    **groups.HANDLERS,
    **interceptions.HANDLERS,
    **limits.HANDLERS,
    **members.HANDLERS,
    **organizations.HANDLERS,
    **password_change.HANDLERS,
    **providers.HANDLERS,
    **roles.HANDLERS,
    **signin.HANDLERS,
    **tokens.HANDLERS,
    **users.HANDLERS,
    **workspaces.HANDLERS,
}
"""What answers, by operation: one for every row of the table."""


def create_app(dependencies: Dependencies) -> Starlette:
    """Build the application. Paths match exactly; whatever is no route of ours is a 404."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        ready, reasons = dependencies.ready()
        if ready:
            return json_response({"ready": True, "reasons": reasons})
        why = [Validation(field=name, detail=reason) for name, reason in reasons.items()]
        detail = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        return unavailable(ErrorBody(message="Not ready.", detail=detail, validations=why))

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), *_api(dependencies), *documentation.ROUTES]
    if dependencies.metrics is not None:
        routes.append(metrics_route(dependencies.metrics))

    handled = (CallError, Conflict, Invalid, DatabaseUnavailable, HTTPException, Exception)
    middleware = [Middleware(Target)]
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=dict.fromkeys(handled, answer))
    app.router.redirect_slashes = False
    return app


def _api(dependencies: Dependencies) -> Iterator[Route]:
    rate = RateLimit(dependencies.settings.api_rate_limit)
    serving: dict[str, dict[str, Serve]] = {}
    for endpoint in ENDPOINTS:
        serve = served(endpoint, HANDLERS[endpoint.operation], dependencies, rate)
        for path in (endpoint.path, *endpoint.aliases):
            methods = serving.setdefault(f"{PREFIX}{path}", {})
            methods[endpoint.method] = serve
            if endpoint.method == "GET" and endpoint.media_type != EVENT_STREAM:  # a stream has no end to leave out
                methods["HEAD"] = serve
    return (Route(path, Methods(methods)) for path, methods in serving.items())
