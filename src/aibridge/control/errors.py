"""Errors as the management API tells them: `{message, detail, validations: [{field, detail}]}`, with any status."""

import logging
import random
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aibridge.domain.errors import BadRequest, CallError, InternalError, RateLimited, RouteNotSupported, Unauthenticated
from aibridge.overload.retry import hint, rate_headers, retry_headers
from aibridge.store.database import DatabaseUnavailable

_LOG = logging.getLogger(__name__)
_RETRY_AFTER = 2.0
"""Seconds after which to ask again when nothing better is known."""


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one part of a request."""

    field: str
    detail: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every error."""

    message: str
    detail: str = ""
    validations: list[Validation] = []


class InvalidQuery(BadRequest):
    """Query parameters that cannot be understood: all that is wrong with them at once."""

    def __init__(self, validations: list[Validation]) -> None:
        super().__init__("Query parameters have invalid values.")
        self.validations = validations


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody may keep, since it is one caller's view of one moment."""
    all_headers = {"cache-control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(content), status, all_headers, media_type="application/json")


def unavailable(body: ErrorBody, wait: float = _RETRY_AFTER) -> Response:
    """A 503 that says when to come back: after `wait` seconds, jittered so that not all come at once."""
    return json_response(body, 503, _retry_headers(wait))


async def answer(request: Request, error: Exception) -> Response:
    """The answer to an exception, whatever it is. What we did not foresee keeps its reason to itself."""
    asked = f"{request.method} {request.scope['path']}"  # not from `url`, which believes the Host header
    match error:
        case CallError():
            return _refusal(error)
        case DatabaseUnavailable():
            _LOG.warning("%s: %s", asked, error)
            return unavailable(ErrorBody(message="The database is unavailable. Please try again later."))
        case HTTPException(status_code=404):
            return _refusal(RouteNotSupported(f"route not supported: {asked}"))
        case HTTPException():
            return json_response(ErrorBody(message=f"{error.detail}: {asked}"), error.status_code, error.headers)
        case _:
            return _refusal(InternalError("Internal error.", "The cause is in the server's log."))


def _refusal(error: CallError) -> Response:
    validations = error.validations if isinstance(error, InvalidQuery) else []
    headers = {} if error.retry_after is None else _retry_headers(error.retry_after)
    if isinstance(error, RateLimited) and error.rejection is not None:
        headers = dict(rate_headers(error.rejection, hint(error.rejection.retry_after, random.random())))  # noqa: S311
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"  # RFC 9110, 11.6.1: a 401 names a scheme
    body = ErrorBody(message=error.message, detail=error.detail, validations=validations)
    return json_response(body, error.status, headers)


def _retry_headers(wait: float) -> dict[str, str]:
    return dict(retry_headers(hint(wait, random.random())))  # noqa: S311 - jitter is no secret
