"""What an event of a stream is to who reads it: a value, or an error."""

from typing import TypeVar

import httpx2
import msgspec

from aibridge.contract.errors import ErrorBody
from aibridge.contract.serversentevents import MEDIA_TYPE, Event, EventType
from aibridge.sdk._error import Error
from aibridge.sdk._response import decoded

T = TypeVar("T")


def checked(response: httpx2.Response) -> httpx2.Response:
    """The response itself.

    Raises:
        Error: it is no stream of events.
    """
    kind = response.headers.get("content-type", "none")
    if kind.partition(";")[0].strip().lower() != MEDIA_TYPE:
        detail = f"content type {kind}, not {MEDIA_TYPE}"
        raise Error(response, "unexpected response: it is no stream of events", detail=detail)
    return response


def value_of(event: Event, response: httpx2.Response, wanted: type[T]) -> T:
    """The value of an event with data.

    Raises:
        Error: the event is an error, or its data are not of the type.
    """
    if event.type is EventType.ERROR:
        try:
            told = msgspec.json.decode(event.data, type=ErrorBody)
        except msgspec.DecodeError:
            told = ErrorBody(message="the stream ended with an error that cannot be read")
        raise Error(response, told.message, detail=told.detail, validations=told.validations)
    return decoded(response, event.data, wanted)
