"""What the provider saw: the last calls and a few counts, for tests and for the curious.

Counting always happens; keeping the calls can be switched off for a load test.
"""

from collections import deque
from typing import Any

import msgspec

from aibridge.demo.exchange import Request

KEPT_CALLS = 1000
KEPT_BODY = 64 * 1024
"""Bytes of a request's body that are kept."""


class Call(msgspec.Struct, kw_only=True):
    """One call. Instants are UTC microseconds; `aborted_at` is set when the client left or a fault ended the answer.

    `status` is that of the planned answer, even when a fault kept it from being sent.
    """

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    received_at: int
    status: int
    finished_at: int | None = None
    aborted_at: int | None = None
    client_left: bool = False

    def as_json(self) -> dict[str, Any]:
        """The call for `GET /demo/calls`: texts instead of bytes, header names in lower case."""
        fields = msgspec.structs.asdict(self)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        return fields | {"headers": headers, "body": self.body.decode("utf-8", "replace")}


class CallLog:
    """The calls in flight as numbers, and the last ones in full when `record` is set."""

    def __init__(self, *, record: bool) -> None:
        self.record = record
        self.in_flight = 0
        self.max_in_flight = 0
        self.total = 0
        self.open_connections = 0
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)

    def began(self, request: Request, status: int, now_us: int) -> Call:
        """Count a call that has arrived whole; give what `ended` needs."""
        self.total += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        call = Call(
            method=request.method,
            path=request.target,
            headers=request.headers,
            body=request.body[:KEPT_BODY],
            received_at=now_us,
            status=status,
        )
        if self.record:
            self._calls.append(call)
        return call

    def ended(self, call: Call, now_us: int, *, finished: bool, client_left: bool = False) -> None:
        """Count out a call: every byte of its answer was handed over, or it was cut short."""
        self.in_flight -= 1
        call.client_left = client_left
        if finished:
            call.finished_at = now_us
        else:
            call.aborted_at = now_us

    def forget(self) -> None:
        """Drop the kept calls and start the counts anew; what is in flight stays counted."""
        self._calls.clear()
        self.total = 0
        self.max_in_flight = self.in_flight

    def calls(self) -> bytes:
        """The body of `GET /demo/calls`, oldest call first."""
        return msgspec.json.encode([call.as_json() for call in self._calls])

    def stats(self) -> bytes:
        """The body of `GET /demo/stats`."""
        names = ("in_flight", "max_in_flight", "total", "open_connections")
        return msgspec.json.encode({name: getattr(self, name) for name in names})
