"""What a request is for, as it stands in its head: refused before any route is looked for, if it is not what it looks.

Paths are matched as they stand in the request line, and never by a URL that is put together with the Host header: that
is how requests came around the checks of others (CVE-2026-48710). So a header that would change where such a URL's path
begins is nothing that an honest client sends. And a path that ends with a line break is none of ours, though a regular
expression's `$` takes it for one.
"""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aibridge.control.errors import answer
from aibridge.domain.errors import BadRequest

_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
"""RFC 9112, 3.2 and RFC 3986, 3.2.2: a registered name or IPv4 address, or an IPv6 address in brackets."""
_FORM = "It is the name or address of this server, and a port where it is another than usual."
_NOT_FOUND = 404


class Target:
    """Lets requests through to `app` whose Host header is one, or that have none: the server knows if one is needed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        wrong = _wrong(scope) if scope["type"] == "http" else None
        if wrong is None:
            await self._app(scope, receive, send)
        else:
            await (await answer(Request(scope), wrong))(scope, receive, send)


def _wrong(scope: Scope) -> Exception | None:
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1 or any(not _HOST.fullmatch(host) for host in hosts):
        return BadRequest("The Host header is not one.", _FORM, field="host")
    if scope["path"].endswith("\n"):
        return HTTPException(_NOT_FOUND)
    return None
