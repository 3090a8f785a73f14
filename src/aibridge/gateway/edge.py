"""Where errors become HTTP: one place, in the caller's dialect."""

from http import HTTPStatus

from aibridge.domain.errors import BudgetSpent, CallError, RateLimited
from aibridge.domain.provider import Provider
from aibridge.gateway.relay import STATUS_LINES
from aibridge.gateway.routes import FAMILIES
from aibridge.overload.retry import hint, limit_headers, rate_headers, retry_headers
from aibridge.wire import openai_chat
from aibridge.wire.dialect import Dialect

_MUST_SAY_WHEN = frozenset((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))
_USELESS_TO_RETRY = frozenset(
    (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UPGRADE_REQUIRED,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        HTTPStatus.NOT_IMPLEMENTED,
    )
)
"""Not 401: clients that get their token from a helper ask it again then."""
_SOME_ID = "ffffffff-ffff-7fff-8fff-ffffffffffff"
"""Stands where an id will; no id is this one, whose time has long passed."""
_NOT_AGAIN = [("x-should-retry", "false")]
_UNKNOWN_WAIT = 1.0
"""Seconds, for a refusal that ought to say when to come back and does not know."""


def response(  # noqa: PLR0913 (all that an answer depends on)
    error: CallError, dialect: Dialect, request_id: str, *, keep_alive: bool, luck: float, now: float
) -> bytes:
    """The whole response for an error. `now` is the wall time in UTC seconds.

    Every 429 and 503 says when to come back (see `overload.retry`, to which `luck`, uniform in [0, 1), goes), but for
    one that says that nothing is left for long. An answer that coming back cannot change says `x-should-retry: false`,
    which the vendors' SDKs obey.
    """
    body = dialect.render(error, request_id) if error.prepared is None else _again(error, dialect, request_id)
    fields = [*_retry(error, luck), *dialect.limit_headers(error, now)]
    if error.status == HTTPStatus.UPGRADE_REQUIRED:
        fields.append(("upgrade", "HTTP/1.1"))  # RFC 9110, 15.5.22
    if not keep_alive:
        fields.append(("connection", "close"))
    further = "".join([f"{name}: {value}\r\n" for name, value in fields])
    return b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b" % (
        STATUS_LINES[dialect.status_of(error)],
        len(body),
        f"x-request-id: {request_id}\r\n{further}".encode(),
        body,
    )


def _again(error: CallError, dialect: Dialect, request_id: str) -> bytes:
    """The body for an error that is told again and again: only the request's id is new in it."""
    prepared = {} if error.prepared is None else error.prepared
    pieces = prepared.get(dialect.name)
    if pieces is None:
        before, _, after = dialect.render(error, _SOME_ID).partition(_SOME_ID.encode())
        pieces = prepared[dialect.name] = before, after
    return b"%b%b%b" % (pieces[0], request_id.encode(), pieces[1])


def _retry(error: CallError, luck: float) -> list[tuple[str, str]]:
    """The headers that say when, and whether, to come back."""
    wait = error.retry_after
    rejection = error.rejection
    if isinstance(error, BudgetSpent) and rejection is not None:
        return [*_NOT_AGAIN, *limit_headers(rejection, error.policies)]
    if wait is None:
        if error.status not in _MUST_SAY_WHEN:
            return _NOT_AGAIN if error.status in _USELESS_TO_RETRY else []
        wait = _UNKNOWN_WAIT
    if isinstance(error, RateLimited) and rejection is not None:
        return rate_headers(rejection, hint(wait, luck), error.policies)
    if rejection is not None and error.policies:
        return [*retry_headers(hint(wait, luck)), *limit_headers(rejection, error.policies)]
    return retry_headers(hint(wait, luck))


def limit_of(error: CallError) -> str:
    """The limit that refused, for the metrics; empty when it was none."""
    return error.rejection.limit if error.rejection is not None else ""


def dialect_of(provider: Provider | None) -> Dialect:
    """The dialect for a request without a route: its provider's, or, without one, the most widely understood."""
    return openai_chat.DIALECT if provider is None else FAMILIES[provider.kind].dialect
