"""What came back, as the type that was wanted."""

from http import HTTPStatus
from typing import TypeVar

import httpx2
import msgspec

from aibridge.contract.roles import decode_hook
from aibridge.sdk._error import Error, is_json, not_json, shown

T = TypeVar("T")


def body_of(response: httpx2.Response, wanted: type[T]) -> T:
    """The body of a successful response that was read; with `bytes` as it came.

    Raises:
        Error: there is none, it is no JSON, or it is not of the type.
    """
    if wanted is bytes:
        return response.content  # type: ignore[return-value] # which mypy does not see from the line above
    if not response.content or response.status_code == HTTPStatus.NO_CONTENT:
        raise Error(response, "no response body")
    if not is_json(response):
        raise not_json(response)
    return decoded(response, response.content, wanted, shown(response))


def decoded(response: httpx2.Response, data: bytes, wanted: type[T], context: str = "") -> T:
    """JSON that came with a response, as the type.

    Raises:
        Error: it is not of the type. Its detail says what is wrong and where.
    """
    try:
        return msgspec.json.decode(data, type=wanted, dec_hook=decode_hook)
    except msgspec.DecodeError as reason:
        detail = f"{reason}: {context}" if context else str(reason)
        raise Error(response, "unexpected response body", detail=detail) from reason
