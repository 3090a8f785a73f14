"""One path and the methods that it has. A wrong method is told which are right: all of them, whichever row they are in.

A path that is there hides those that would match it by a parameter: `DELETE /users/roles` is a wrong method of the list
of roles, and never the end of a user of that name.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import request_response
from starlette.types import Receive, Scope, Send

Serve = Callable[[Request], Awaitable[Response]]


class Methods:
    """Answers requests for one path, by their method."""

    def __init__(self, serving: Mapping[str, Serve]) -> None:
        self._serving = serving
        self._allowed = ", ".join(sorted(serving))
        self._app = request_response(self._serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    async def _serve(self, request: Request) -> Response:
        serve = self._serving.get(request.method)
        if serve is None:
            raise HTTPException(405, headers={"Allow": self._allowed})  # RFC 9110, 15.5.6
        return await serve(request)
