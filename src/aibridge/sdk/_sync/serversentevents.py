# Written by `make gen` from `src/aibridge/sdk/_async/serversentevents.py`.
"""Read a stream of events as it comes."""

from collections.abc import Iterator
from typing import Generic, TypeVar

import httpx2

from aibridge.contract.serversentevents import LINE_LIMIT, Decoder, EventType
from aibridge.sdk._events import checked, value_of

T = TypeVar("T")


class Reader(Generic[T]):
    """The data of a stream of events, as the type; pings are passed over.

    Iterating raises:
        Error: an event is an error, or its data are not of the type.
        MalformedEvents: it is no stream of events as the API speaks them, or ends within one.
        httpx2.TransportError: the stream broke.
    """

    def __init__(self, response: httpx2.Response, wanted: type[T], limit: int = LINE_LIMIT) -> None:
        """Read a response that was not read yet, whose lines have `limit` bytes at most.

        Raises:
            Error: the response is no stream of events.
        """
        self.response = checked(response)
        self._wanted = wanted
        self._limit = limit

    def __iter__(self) -> Iterator[T]:
        decoder = Decoder(self._limit)
        for piece in self.response.iter_bytes():
            for event in decoder.feed(piece):
                if event.type is not EventType.PING:
                    yield value_of(event, self.response, self._wanted)
        decoder.finish()
