"""What the control plane is given by whoever composes the server."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from anyio import CapacityLimiter, to_thread

from aibridge.control.passwords import Passwords
from aibridge.control.throttle import Throttle
from aibridge.domain.errors import AtCapacity
from aibridge.domain.provider import Provider
from aibridge.domain.rule import Rule
from aibridge.domain.snapshot import Snapshot
from aibridge.options import Settings, load
from aibridge.overload.breaker import State
from aibridge.overload.outcome import Rejection
from aibridge.store.database import Database
from aibridge.store.sealing import Keyring

if TYPE_CHECKING:  # who signs in by password only shall not wait for what it imports
    from aibridge.control.oidc import OpenIDConnect

T = TypeVar("T")
_THREADS = 4
"""Queries at one time. Further ones wait; the data plane's own use of threads (names are resolved in some) does not."""
WAITING = 256
"""Requests that may wait for one of these: a second's worth, or all that ask while the database is gone silently."""
_WAIT = 2.0
"""Seconds after which those beyond that should come back."""


async def _nothing() -> None:
    """Nobody else has to know."""


class SubjectPresent(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a rule one subject uses now, in the rule's unit. `key` is its id, empty for everyone."""

    key: str
    used: float


class LimitPresent(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, the subjects that use most of it now, and how often it decided which way since the start.

    `decisions` are by outcome: admitted, refused, shadow_refused, queued.
    """

    rule: Rule
    subjects: Sequence[SubjectPresent]
    decisions: Mapping[str, int]


class BreakerPresent(msgspec.Struct, frozen=True, kw_only=True):
    """A circuit breaker as it is now.

    `seconds_left` is the time until it lets probes through, 0.0 unless it is open. `calls`, `failures` and `slow` are
    those in its window; `trips` and `rejections` count since the start. `credential` is a name, never the secret.
    """

    name: str
    provider: str
    credential: str
    model: str
    state: State
    seconds_left: float
    calls: int
    failures: int
    slow: int
    trips: int
    rejections: int


class Breakers(Protocol):
    """The circuit breakers of this server."""

    def present(self) -> Sequence[BreakerPresent]:
        """Each of them as it is now."""
        ...

    def reset(self, name: str) -> None:
        """Close a breaker, here and wherever its state is shared, and forget what it has seen.

        Raises:
            LookupError: there is no breaker of that name.
        """
        ...


class Dependencies(msgspec.Struct, frozen=True, kw_only=True):
    """Where the control plane's answers come from. All but the database answer from memory, without blocking.

    `snapshot` gives who may call, as of now. `ready` says whether calls should be sent here and, by the name of what is
    checked, why not. `metrics` gives Prometheus' text format. `clock` is the wall time in UTC seconds. `external_url`
    is where people reach this server. Without `metrics`, `limits` or `breakers` there is no route for them.
    """

    database: Database
    snapshot: Callable[[], Snapshot]
    ready: Callable[[], tuple[bool, dict[str, str]]]
    clock: Callable[[], float]
    external_url: Callable[[], str]
    metrics: Callable[[], Awaitable[bytes]] | None = None
    limits: Callable[[], Awaitable[Sequence[LimitPresent]]] | None = None
    breakers: Breakers | None = None
    settings: Settings = msgspec.field(default_factory=lambda: load({}, {}))
    """The options that the server was started with."""
    keyring: Keyring | None = None
    """Seals the keys of providers."""
    configured_providers: Sequence[Provider] = ()
    configured_rules: Sequence[Rule] = ()
    """What the configuration has, which the API shows and does not change."""
    refresh: Callable[[], Awaitable[None]] = _nothing
    """Let this process know of a change at once; others learn of it within a second."""
    address_of: Callable[[str, list[tuple[bytes, bytes]]], str] = lambda peer, _headers: peer
    """The client's address, by the peer's and the request's headers."""
    passwords: Passwords = msgspec.field(default_factory=Passwords)
    throttle: Throttle = msgspec.field(default_factory=Throttle)
    oidc: "OpenIDConnect | None" = None
    """Signs people in elsewhere, if the options name where."""
    threads: CapacityLimiter = msgspec.field(default_factory=lambda: CapacityLimiter(_THREADS))
    used: Callable[[str], None] = lambda _token_id: None
    """Learns by which token the control plane was asked."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the server is about to stop: then what has no end of its own ends."""
    watching: Counter[str] = msgspec.field(default_factory=Counter)
    """How many streams of events each user has open."""
    stranger: Callable[[str, list[tuple[bytes, bytes]]], Rejection | None] = lambda _address, _headers: None
    """Counts a failed attempt, by the peer's address and the request's headers; answers when there were too many."""

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what waits for the database, where nobody waits for it but those who ask.

        Raises:
            AtCapacity: too many wait already, as they do while a database does not answer.
        """
        if self.threads.statistics().tasks_waiting >= WAITING:
            raise AtCapacity.caller(
                f"{WAITING} requests wait for the database, which is as many as may.", retry_after=_WAIT
            )
        return await to_thread.run_sync(work, limiter=self.threads)
