"""The control plane as an ASGI application: every route it has, and nothing else."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aibridge import __version__
from aibridge.control.dependencies import Dependencies
from aibridge.control.errors import ErrorBody, Validation, answer, json_response, unavailable
from aibridge.control.interceptions import listing
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

    list_interceptions = listing(dependencies)
    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/api/v2/buildinfo", build_info),
        Route("/api/v2/aibridge/interceptions", list_interceptions),
        Route("/api/v2/ai-gateway/interceptions", list_interceptions),
    ]
    if dependencies.metrics is not None:
        routes.append(metrics_route(dependencies.metrics))

    handled = (CallError, DatabaseUnavailable, HTTPException, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(handled, answer))
    app.router.redirect_slashes = False
    return app
