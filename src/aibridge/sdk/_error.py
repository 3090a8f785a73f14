"""What a server's refusal is in Python, and how to read one from a response."""

import socket
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

import httpx2
import msgspec

from aibridge.contract.errors import ErrorBody, Validation
from aibridge.sdk._waiting import retry_after

PREFIX: Final = 1024
"""Bytes of a body that is no JSON which an error shows at most."""

_LOGIN: Final = "Try logging in using `aibridge login`."
_NO_MESSAGE: Final = "unexpected status code {}, response has no message"


class Error(Exception):
    """The server answered, but not with what was asked for.

    Attributes:
        status: of the response.
        method: of the request.
        url: of the request.
        message: what happened, for people.
        detail: more of it, empty where there is no more.
        validations: what is wrong with which field of the request.
        response: the response as it came, its body read unless it was a stream of events.
        helper: what to do about it, empty where nothing is known.
        retry_after: seconds after which the server wants to be asked again; None where it did not say.
    """

    def __init__(
        self,
        response: httpx2.Response,
        message: str,
        *,
        detail: str = "",
        validations: Sequence[Validation] = (),
        helper: str = "",
    ) -> None:
        super().__init__(message)
        self.status = response.status_code
        self.method = response.request.method
        self.url = str(response.request.url)
        self.message = message
        self.detail = detail
        self.validations = tuple(validations)
        self.response = response
        self.helper = helper
        self.retry_after = retry_after(response.headers)

    def __str__(self) -> str:
        first = f"{self.method} {self.url}: status {self.status}: {self.message}"
        if self.helper:
            first = f"{first.rstrip('.')}. {self.helper}"
        details = [f"\tdetail: {self.detail}"] if self.detail else []
        return "\n".join([first, *details, *(f"\t{at.field}: {at.detail}" for at in self.validations)])


def error_of(response: httpx2.Response) -> Error:
    """The error that a response with an unwelcome status is. Its body was read."""
    helper = _LOGIN if response.status_code == HTTPStatus.UNAUTHORIZED else ""
    if response.has_redirect_location:
        return _redirect(response)
    if not response.content:
        return Error(response, "no response body", helper=helper)
    if not is_json(response):
        return not_json(response, helper)
    try:
        body = msgspec.json.decode(response.content, type=ErrorBody)
    except msgspec.DecodeError as reason:
        message = _NO_MESSAGE.format(response.status_code)
        return Error(response, message, detail=f"{reason}: {shown(response)}", helper=helper)
    if not body.message:
        return Error(response, _NO_MESSAGE.format(response.status_code), detail=body.detail, helper=helper)
    return Error(response, body.message, detail=body.detail, validations=body.validations, helper=helper)


def not_json(response: httpx2.Response, helper: str = "") -> Error:
    """The error that a body of another type is: often the page of a proxy, or of what else listens there."""
    kind = response.headers.get("content-type", "none")
    detail = f"content type {kind}: {shown(response)}"
    if not helper and "html" in kind:
        helper = "Is this the URL of an AI Bridge?"
    return Error(response, "unexpected non-JSON response", detail=detail, helper=helper)


def is_json(response: httpx2.Response) -> bool:
    """Whether the body says that it is JSON."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def shown(response: httpx2.Response) -> str:
    """The beginning of a body, for people."""
    return response.content[:PREFIX].decode(errors="replace")


def is_connection_error(exception: BaseException) -> bool:
    """Whether an exception means that the server was not reached: no such name, no way to it, or the line broke."""
    kinds = (httpx2.NetworkError, httpx2.ConnectTimeout, ConnectionError, socket.gaierror)
    return any(isinstance(cause, kinds) for cause in _causes(exception))


def _redirect(response: httpx2.Response) -> Error:
    """Redirects are not followed: they would carry the token, and the body, to wherever they point."""
    location = response.headers["location"]
    return Error(
        response,
        "unexpected redirect",
        detail=f"it points to {location[:PREFIX]}",
        helper="Redirects are never followed with a token: give the client the URL that the server is known by.",
    )


def _causes(exception: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from."""
    found: BaseException | None = exception
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
