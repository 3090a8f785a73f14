# Written by `make gen` from `src/aibridge/sdk/_async/transport.py`.
"""How a client asks: one request, with the token and nothing that could carry it elsewhere."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Final, Self, TypeVar, overload

import httpx2

from aibridge.contract.endpoint import BYPASS
from aibridge.contract.serversentevents import HEARTBEAT, MEDIA_TYPE
from aibridge.sdk._error import error_of
from aibridge.sdk._log import Log
from aibridge.sdk._request import JSON, Query, Question, base_of, content_of, url_of
from aibridge.sdk._response import body_of
from aibridge.sdk._sync.serversentevents import Reader
from aibridge.sdk._token import HEADER, SessionTokenProvider, provider_of, sendable
from aibridge.sdk._waiting import wait_after_failure, wait_after_status

T = TypeVar("T")

TIMEOUT: Final = 30.0
"""Seconds to connect, and between two pieces of a response, in clients that are our own."""

_QUIET: Final = 3 * HEARTBEAT
"""Seconds without a byte after which a stream of events is taken for dead."""


class Transport:
    """What every client can do, whatever it is asked.

    Args:
        url: where the server is; it may have a path.
        session_token: the token, or what gives it. Empty sends none.
        headers: sent with every request.
        http_client: what to ask with. It is not closed with this client, and its settings hold. Left out, one is made.
        logger: told about each request and response at its debug level.
        log_bodies: whether the logger is shown bodies of JSON and text, too, without what looks like a secret.
        retries: how often a request is repeated at most that met a passing failure. Only what may arrive twice is, and
            what the server refused with 429 or 503 and a time to come back. Streams are sent once.
        timeout: seconds to connect, and between two pieces of a response; not with `http_client`.
        sleep: what waits between repetitions, seconds.

    Raises:
        ValueError: the URL is none, or has more in it than where the server is.
    """

    def __init__(  # noqa: PLR0913 - each of them is one setting, by name
        self,
        url: str,
        session_token: str | SessionTokenProvider = "",
        *,
        headers: Mapping[str, str] | None = None,
        http_client: httpx2.Client | None = None,
        logger: logging.Logger | None = None,
        log_bodies: bool = False,
        retries: int = 0,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url: Final = base_of(url)
        self.headers: Final = dict(headers or {})
        self._provider = provider_of(session_token)
        self._is_own = http_client is None
        self.http_client: Final = http_client or _own_client(timeout)
        self._log = Log(logger, bodies=log_bodies)
        self._retries = retries
        self._sleep = sleep

    @property
    def session_token(self) -> str:
        """The token that is sent; set a token or what gives it."""
        return self._provider.token()

    @session_token.setter
    def session_token(self, token: str | SessionTokenProvider) -> None:
        self._provider = provider_of(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless they belong to a client that was given."""
        if self._is_own:
            self.http_client.close()

    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        response: type[T],
    ) -> T: ...
    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        response: None = None,
    ) -> None: ...
    def request(  # noqa: PLR0913 - what a request has
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        response: type[T] | None = None,
    ) -> T | None:
        """Ask with the token.

        Args:
            method: of HTTP, in capitals.
            path: from the server's root, percent-encoded.
            body: bytes, an iterator of bytes, or anything else, which is sent as JSON.
            query: its parameters.
            headers: of this request, beside those of the client.
            response: the type of the body; `bytes` gives it as it came, None does not look at it.

        Raises:
            Error: the server answered something else.
            httpx2.TransportError: it did not answer; see `is_connection_error`.
        """
        question = _question(method, path, body, query, headers)
        answer = self._answer(question)
        return None if response is None else body_of(answer, response)

    @overload
    def request_without_token(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        response: type[T],
    ) -> T: ...
    @overload
    def request_without_token(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        response: None = None,
    ) -> None: ...
    def request_without_token(  # noqa: PLR0913 - what a request has
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        response: type[T] | None = None,
    ) -> T | None:
        """Ask as nobody: as `request`, without the token, cookies, and the header that only an owner may send."""
        question = _question(method, path, body, query, headers, with_token=False)
        answer = self._answer(question)
        return None if response is None else body_of(answer, response)

    @contextmanager
    def events(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] | None = None, response: type[T]
    ) -> Iterator[Reader[T]]:
        """Listen to a stream of events, whose data are of the type.

        Raises:
            Error: the server answered something else, or the stream told an error.
            httpx2.TransportError: it did not answer, or the stream broke.
        """
        question = _question("GET", path, None, query, {"accept": MEDIA_TYPE, **(headers or {})})
        answer = self._answer(question, stream=True)
        try:
            yield Reader(answer, response)
        finally:
            answer.close()

    def _answer(self, question: Question, *, stream: bool = False) -> httpx2.Response:
        """Ask until there is a success, or no hope of one. A stream that succeeds is left unread, and open."""
        attempt = 0
        while True:
            last = attempt >= self._retries or not question.replayable
            try:
                response = self._sent(question, stream=stream)
            except httpx2.TransportError:
                wait = None if last else wait_after_failure(question.method, attempt)
                if wait is None:
                    raise
            else:
                if response.is_success:
                    return response
                wait = None
                if not last:
                    wait = wait_after_status(question.method, response.status_code, response.headers, attempt)
                if wait is None:
                    raise error_of(response)
            attempt += 1
            self._sleep(wait)

    def _sent(self, question: Question, *, stream: bool) -> httpx2.Response:
        content = content_of(question.body) if question.body is not None and question.replayable else None
        request = self._built(question, content, stream=stream)
        self._log.request(request, content)
        # Redirects are never followed, whatever a client that was given would do: they would carry the token along.
        response = self.http_client.send(request, stream=stream, follow_redirects=False)
        if stream and not response.is_success:
            try:
                response.read()
            finally:
                response.close()
        self._log.response(response, response.content if response.is_closed else None)
        return response

    def _built(self, question: Question, content: bytes | None, *, stream: bool) -> httpx2.Request:
        headers = httpx2.Headers({"accept": JSON})
        headers.update(self.headers)
        headers.update(question.headers)
        if question.body is not None:
            headers.setdefault("content-type", JSON)
        token = sendable(self._provider.token()) if question.with_token else ""
        if token:
            headers[HEADER] = token
        request = self.http_client.build_request(
            question.method,
            url_of(self.url, question.path, question.query),
            content=content if question.replayable else question.body,  # type: ignore[arg-type]
            headers=headers,
            timeout=_patient(self.http_client.timeout) if stream else httpx2.USE_CLIENT_DEFAULT,
        )
        if not question.with_token:
            # A client that was given may have these from elsewhere; and nobody may go round the limits.
            for name in (HEADER, "cookie", BYPASS):
                request.headers.pop(name, None)
        return request


def _question(  # noqa: PLR0913 - what a request has
    method: str,
    path: str,
    body: object,
    query: Query | None,
    headers: Mapping[str, str] | None,
    *,
    with_token: bool = True,
) -> Question:
    return Question(
        method=method,
        path=path,
        query=query or {},
        headers=headers or {},
        body=body,
        with_token=with_token,
        replayable=not isinstance(body, Iterator),
    )


def _patient(usual: httpx2.Timeout) -> httpx2.Timeout:
    """The usual timeouts, but for a stream that may be quiet between two pings."""
    return httpx2.Timeout(connect=usual.connect, read=_QUIET, write=usual.write, pool=usual.pool)


def _own_client(timeout: float) -> httpx2.Client:
    # A cookie of a sign-in would be a second token, which nobody sees and `session_token` does not change.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.Client(timeout=timeout, cookies=no_cookies, follow_redirects=False)
