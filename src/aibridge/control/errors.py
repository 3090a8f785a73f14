"""Errors as the management API tells them: `{message, detail, validations: [{field, detail}]}`, with any status."""

import logging
import random
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aibridge.contract.errors import ErrorBody, Validation
from aibridge.contract.roles import encode_hook
from aibridge.domain.errors import (
    BadRequest,
    CallError,
    InternalError,
    RateLimited,
    Refused,
    RouteNotSupported,
    Unauthenticated,
)
from aibridge.overload.retry import hint, rate_headers, retry_headers
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import DatabaseUnavailable

_LOG = logging.getLogger(__name__)
__all__ = [
    "BypassRefused",
    "Conflicting",
    "ErrorBody",
    "InvalidBody",
    "InvalidQuery",
    "NotFound",
    "Validation",
    "answer",
    "json_response",
    "unavailable",
]

_RETRY_AFTER = 2.0
"""Seconds after which to ask again when nothing better is known."""


class InvalidQuery(BadRequest):
    """Query parameters that cannot be understood: all that is wrong with them at once."""

    def __init__(self, validations: list[Validation]) -> None:
        super().__init__("Query parameters have invalid values.")
        self.validations = validations


class InvalidBody(BadRequest):
    """A body that cannot be understood: all that is wrong with it at once."""

    def __init__(self, validations: list[Validation], message: str = "Validation failed.") -> None:
        super().__init__(message)
        self.validations = validations


class NotFound(Refused):
    """What the path names is not there, or not for this caller: nobody can tell which."""

    code = "not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__("Resource not found or you do not have access to this resource.")


class Conflicting(Refused):
    """What is asked does not go together with what is there."""

    code = "conflict"
    status = 409

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.validations = [Validation(field=field, detail=message)] if field else []


class BypassRefused(Refused):
    """A request counts on not being limited, and its sender is no owner."""

    code = "bypass_refused"
    status = 428

    def __init__(self) -> None:
        super().__init__(
            '"X-Coder-Bypass-Ratelimit" provided but user is not owner.', "Send the request without this header."
        )


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody may keep, since it is one caller's view of one moment."""
    all_headers = {"cache-control": "no-store", **(headers or {})}
    return Response(
        msgspec.json.encode(content, enc_hook=encode_hook), status, all_headers, media_type="application/json"
    )


def unavailable(body: ErrorBody, wait: float = _RETRY_AFTER) -> Response:
    """A 503 that says when to come back: after `wait` seconds, jittered so that not all come at once."""
    return json_response(body, 503, _retry_headers(wait))


async def answer(request: Request, error: Exception) -> Response:
    """The answer to an exception, whatever it is. What we did not foresee keeps its reason to itself."""
    asked = f"{request.method} {request.scope['path']}"  # not from `url`, which believes the Host header
    match error:
        case CallError():
            return _refusal(error)
        case Conflict() | Invalid():
            return _refusal(_of_the_store(error))
        case DatabaseUnavailable():
            _LOG.warning("%r: %s", asked, error)  # a path may have line breaks in it, which begin no line of the log
            return unavailable(ErrorBody(message="The database is unavailable. Please try again later."))
        case HTTPException(status_code=404):
            return _refusal(RouteNotSupported(f"route not supported: {asked}"))
        case HTTPException():
            return json_response(ErrorBody(message=f"{error.detail}: {asked}"), error.status_code, error.headers)
        case _:
            return _refusal(InternalError("Internal error.", "The cause is in the server's log."))


def _of_the_store(error: Conflict | Invalid) -> CallError:
    if isinstance(error, Conflict):
        return Conflicting(error.message, error.field)
    return InvalidBody([Validation(field=error.field, detail=error.message)])


def _refusal(error: CallError) -> Response:
    validations = getattr(error, "validations", [])
    headers = {} if error.retry_after is None else _retry_headers(error.retry_after)
    if isinstance(error, RateLimited) and error.rejection is not None:
        headers = dict(rate_headers(error.rejection, hint(error.rejection.retry_after, random.random())))  # noqa: S311
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"  # RFC 9110, 11.6.1: a 401 names a scheme
    body = ErrorBody(message=error.message, detail=error.detail, validations=validations)
    return json_response(body, error.status, headers)


def _retry_headers(wait: float) -> dict[str, str]:
    return dict(retry_headers(hint(wait, random.random())))  # noqa: S311 - jitter is no secret
