"""Where errors become HTTP: one place, in the caller's dialect."""

from http import HTTPStatus

from aibridge.domain.errors import CallError, RateLimited
from aibridge.domain.provider import Provider
from aibridge.gateway.relay import STATUS_LINES
from aibridge.gateway.routes import FAMILIES
from aibridge.overload.retry import hint, rate_headers, retry_headers
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
_UNKNOWN_WAIT = 1.0
"""Seconds, for a refusal that ought to say when to come back and does not know."""


def response(error: CallError, dialect: Dialect, request_id: str, *, keep_alive: bool, luck: float) -> bytes:
    """The whole response for an error.

    Every 429 and 503 says when to come back (see `overload.retry`, to which `luck`, uniform in [0, 1), goes). An answer
    that coming back cannot change says `x-should-retry: false`, which the vendors' SDKs obey.
    """
    body = dialect.render(error, request_id)
    lines = [
        STATUS_LINES[error.status],
        b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
        % (len(body), request_id.encode()),
    ]
    if error.status == HTTPStatus.UPGRADE_REQUIRED:
        lines.append(b"upgrade: HTTP/1.1\r\n")  # RFC 9110, 15.5.22
    for name, value in _retry(error, luck):
        lines.append(f"{name}: {value}\r\n".encode())
    lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    lines.append(body)
    return b"".join(lines)


def _retry(error: CallError, luck: float) -> list[tuple[str, str]]:
    """The headers that say when, and whether, to come back."""
    wait = error.retry_after
    if wait is None:
        if error.status not in _MUST_SAY_WHEN:
            return [("x-should-retry", "false")] if error.status in _USELESS_TO_RETRY else []
        wait = _UNKNOWN_WAIT
    if isinstance(error, RateLimited) and error.rejection is not None:
        return rate_headers(error.rejection, hint(wait, luck))
    return retry_headers(hint(wait, luck))


def limit_of(error: CallError) -> str:
    """The limit that refused, for the metrics; empty when it was none."""
    return error.rejection.limit if error.rejection is not None else ""


def dialect_of(provider: Provider | None) -> Dialect:
    """The dialect for a request without a route: its provider's, or, without one, the most widely understood."""
    return openai_chat.DIALECT if provider is None else FAMILIES[provider.kind].dialect
