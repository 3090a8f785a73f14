"""What the Host header may be: a name or an address, and a port. Anything else is refused before it is looked at.

Paths are matched as they stand in the request line, and never by a URL that is put together with this header: that is
how requests came around the checks of others (CVE-2026-48710). So a header that would change where such a URL's path
begins is nothing that an honest client sends.
"""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aibridge.control.errors import answer
from aibridge.domain.errors import BadRequest

_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
"""RFC 9112, 3.2 and RFC 3986, 3.2.2: a registered name or IPv4 address, or an IPv6 address in brackets."""
_FORM = "It is the name or address of this server, and a port where it is another than usual."


class Authority:
    """Lets requests through to `app` whose Host header is one, or that have none: the server knows if one is needed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) > 1 or any(not _AUTHORITY.fullmatch(host) for host in hosts):
                error = BadRequest("The Host header is not one.", _FORM, field="host")
                await (await answer(Request(scope), error))(scope, receive, send)
                return
        await self._app(scope, receive, send)
