"""Where errors become HTTP: one place, in the caller's dialect.

Of an error that is told again and again, the answer is written once, with places for what is new each time: the
request's id and what is left of the wait.
"""

from http import HTTPStatus

from aibridge.domain.errors import PATIENCE, BudgetSpent, CallError, RateLimited
from aibridge.domain.provider import Provider
from aibridge.gateway.relay import STATUS_LINES
from aibridge.gateway.routes import FAMILIES
from aibridge.overload.retry import (
    Blank,
    Form,
    in_seconds,
    limit_headers,
    rate_headers,
    retry_headers,
    spread,
    whole_seconds,
)
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
"""Stands where an id will, and is as long; no id is this one, whose time is far away."""
_BLANK = Blank()
_ID = _BLANK.id.encode()
_NOT_AGAIN = [("x-should-retry", "false")]
_UNKNOWN_WAIT = 1.0
"""Seconds, for a refusal that ought to say when to come back and does not know."""


def response(  # noqa: PLR0913 (all that an answer depends on)
    error: CallError, dialect: Dialect, request_id: str, *, keep_alive: bool, luck: float, now: float
) -> bytes:
    """The whole response for an error. `now` is the wall time in UTC seconds.

    Every 429 and 503 says when to come back (see `overload.retry`, to which `luck`, uniform in [0, 1), goes), but for
    one that says that nothing is left for long. An answer that coming back cannot change, or not before a client's
    patience ends, says `x-should-retry: false`, which the vendors' SDKs obey.
    """
    news = _news(error, dialect, request_id, luck, now)
    prepared = error.prepared
    if prepared is None:
        body = dialect.render(error, request_id)
        return Form(_head(error, dialect, len(body), keep_alive=keep_alive)).filled(news) + body
    way = dialect.name, keep_alive
    form = prepared.get(way)
    if form is None:
        form = prepared[way] = _form(error, dialect, keep_alive=keep_alive)
    return form.filled(news)


def _news(error: CallError, dialect: Dialect, request_id: str, luck: float, now: float) -> tuple[bytes, ...]:
    """What is new in an answer each time an error is told: for each place of a form, also those that this one lacks."""
    seconds = milliseconds = left = reset = b""
    wait, rejection = error.retry_after, error.rejection
    if wait is not None or error.status in _MUST_SAY_WHEN:
        later = spread(_UNKNOWN_WAIT if wait is None else wait, luck)
        seconds, milliseconds = str(in_seconds(later)).encode(), str(later).encode()
    if rejection is not None:
        left = str(whole_seconds(rejection.retry_after)).encode()
        if error.policies:
            reset = dialect.reset(rejection.retry_after, now).encode()
    return seconds, milliseconds, left, reset, request_id.encode()


def _form(error: CallError, dialect: Dialect, *, keep_alive: bool) -> Form:
    """The whole response for an error that is told again and again, with places for what is new."""
    body = dialect.render(error, _SOME_ID)
    head = _head(error, dialect, len(body), keep_alive=keep_alive)
    return Form(head + body.replace(_SOME_ID.encode(), _ID))


def _head(error: CallError, dialect: Dialect, length: int, *, keep_alive: bool) -> bytes:
    """Status line and headers for a body of `length` bytes, with places for what is new."""
    fields = [*_retry(error), *dialect.limit_headers(error, _BLANK.reset)]
    if error.status == HTTPStatus.UPGRADE_REQUIRED:
        fields.append(("upgrade", "HTTP/1.1"))  # RFC 9110, 15.5.22
    if not keep_alive:
        fields.append(("connection", "close"))
    further = "".join([f"{name}: {value}\r\n" for name, value in fields])
    return b"%bcontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b\r\n" % (
        STATUS_LINES[dialect.status_of(error)],
        length,
        _ID,
        further.encode(),
    )


def _retry(error: CallError) -> list[tuple[str, str]]:
    """The headers that say when, and whether, to come back."""
    rejection = error.rejection
    if isinstance(error, BudgetSpent) and rejection is not None:
        return [*_NOT_AGAIN, *limit_headers(rejection, error.policies, _BLANK)]
    if error.retry_after is None and error.status not in _MUST_SAY_WHEN:
        return _NOT_AGAIN if error.status in _USELESS_TO_RETRY else []
    if isinstance(error, RateLimited) and rejection is not None:
        return rate_headers(rejection, _BLANK, error.policies)
    if rejection is not None and error.policies:
        return [*retry_headers(_BLANK), *limit_headers(rejection, error.policies, _BLANK)]
    if error.retry_after is not None and error.retry_after > PATIENCE:  # a breaker may stay open for so long
        return [*retry_headers(_BLANK), *_NOT_AGAIN]
    return retry_headers(_BLANK)


def limit_of(error: CallError) -> str:
    """The limit that refused, for the metrics; empty when it was none."""
    return error.rejection.limit if error.rejection is not None else ""


def dialect_of(provider: Provider | None) -> Dialect:
    """The dialect for a request without a route: its provider's, or, without one, the most widely understood."""
    return openai_chat.DIALECT if provider is None else FAMILIES[provider.kind].dialect
