"""The control plane as an ASGI application: every route it has, and nothing else."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aibridge import __version__
from aibridge.control import breakers, interceptions, limits
from aibridge.control.dependencies import Dependencies
from aibridge.control.errors import ErrorBody, Validation, answer, json_response, unavailable
from aibridge.control.metrics import metrics_route
from aibridge.domain.errors import CallError
from aibridge.store.database import DatabaseUnavailable

__all__ = ["Dependencies", "create_app"]


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

    async def build_info(_: Request) -> Response:
        return json_response({"external_url": dependencies.external_url(), "version": __version__})

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/api/v2/buildinfo", build_info),
        *_both("/interceptions", interceptions.listing(dependencies)),
    ]
    if dependencies.limits is not None:
        routes += _both("/limits", limits.listing(dependencies, dependencies.limits))
    if dependencies.breakers is not None:
        routes += _both("/breakers", breakers.listing(dependencies, dependencies.breakers))
        # A name may hold a slash, as models' names do: it comes decoded, and `path` takes slashes too.
        routes += _both("/breakers/{name:path}/reset", breakers.reset(dependencies, dependencies.breakers), "POST")
    if dependencies.metrics is not None:
        routes.append(metrics_route(dependencies.metrics))

    handled = (CallError, DatabaseUnavailable, HTTPException, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(handled, answer))
    app.router.redirect_slashes = False
    return app


def _both(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "GET") -> list[Route]:
    """A route under each of the two names that the gateway goes by."""
    return [Route(f"/api/v2/{name}{path}", endpoint, methods=[method]) for name in ("aibridge", "ai-gateway")]
