"""What the control plane is given by whoever composes the server."""

from collections.abc import Callable

import msgspec

from aibridge.domain.snapshot import Snapshot
from aibridge.overload.outcome import Rejection
from aibridge.store.database import Database


class Dependencies(msgspec.Struct, frozen=True, kw_only=True):
    """Where the control plane's answers come from. All but the database answer from memory, without blocking.

    `snapshot` gives who may call, as of now. `ready` says whether calls should be sent here and, by the name of what is
    checked, why not. `metrics` gives Prometheus' text format; without it there is no such route. `clock` is the wall
    time in UTC seconds. `external_url` is where people reach this server.
    """

    database: Database
    snapshot: Callable[[], Snapshot]
    ready: Callable[[], tuple[bool, dict[str, str]]]
    clock: Callable[[], float]
    external_url: Callable[[], str]
    metrics: Callable[[], bytes] | None = None
    stranger: Callable[[str, list[tuple[bytes, bytes]]], Rejection | None] = lambda _address, _headers: None
    """Counts a failed attempt, by the peer's address and the request's headers; answers when there were too many."""
