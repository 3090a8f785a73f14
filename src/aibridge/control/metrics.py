"""The metrics: beside everything else, or on a port of their own, apart from what callers reach."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def metrics_route(metrics: Callable[[], Awaitable[bytes]]) -> Route:
    """`/metrics`, in Prometheus' text format."""

    async def exposition(_: Request) -> Response:
        return Response(await metrics(), headers={"content-type": PROMETHEUS_TEXT})

    return Route("/metrics", exposition)


def metrics_app(metrics: Callable[[], Awaitable[bytes]]) -> Starlette:
    """An application with the metrics and nothing else."""
    return Starlette(routes=[metrics_route(metrics)])
