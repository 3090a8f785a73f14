"""The API's documentation, as it is served: the OpenAPI document, and Swagger UI 5.35 to look at it and try it out.

The files of Swagger UI are here (`swagger/`, Apache License 2.0), so that nothing is fetched from elsewhere.
"""

from functools import cache
from importlib.resources import files

import msgspec
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aibridge import __version__
from aibridge.contract.endpoint import PREFIX
from aibridge.contract.openapi import document

_FILES = {
    "/docs": ("index.html", "text/html"),
    "/docs/start.js": ("start.js", "text/javascript"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript"),
    "/docs/swagger-ui.css": ("swagger-ui.css", "text/css"),
}
_HEADERS = {
    # Swagger UI sets styles in elements; nothing else than what is served here runs or is shown.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@cache
def openapi() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(__version__))


@cache
def _file(name: str) -> bytes:
    return files("aibridge.control").joinpath("swagger", name).read_bytes()


async def _document(_: Request) -> Response:
    content = await to_thread.run_sync(openapi)  # at first it takes 20 ms or more, for which nobody else shall wait
    return Response(content, media_type="application/json", headers={"cache-control": "no-cache"})


async def _page(request: Request) -> Response:
    name, media_type = _FILES[request.scope["path"]]
    return Response(_file(name), media_type=media_type, headers=_HEADERS)


ROUTES = [
    Route(f"{PREFIX}/openapi.json", _document),
    *(Route(path, _page) for path in _FILES),
]
