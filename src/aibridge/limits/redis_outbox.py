"""What one replica has to tell Redis or Valkey besides its questions, kept until it can be said.

Plain synchronous code; `now` is any monotonic clock's seconds, the same for all calls.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf

from aibridge.limits.probes import MOMENT
from aibridge.limits.redis_script import MICROSECONDS, Request, Settled, Word, leases, released

MOST_ENTRIES = 256
"""How much of each kind one request carries: the server does nothing else meanwhile."""

MOST_KEPT = 10_000
"""How many corrections, and how many asks that were admitted without asking, are kept for a server that is away."""

_SAME = 0.25
"""Seconds: ends of a breaker that are no further apart are the same one, told over a network."""


_CLOSED = -inf
"""In the place of the end of a break: there is none."""


class News:
    """Which breakers opened and closed, here and elsewhere."""

    __slots__ = ("_ends", "_unsaid", "seen")

    def __init__(self) -> None:
        self.seen = 0
        """What the server called the last news that were read."""
        self._ends: dict[str, float] = {}
        self._unsaid: dict[str, None] = {}

    def tripped(self, breaker: str, seconds: float, now: float) -> None:
        """A breaker of this replica opened for so long; 0.0 for a reset."""
        self._ends[breaker] = now + seconds if seconds > 0.0 else _CLOSED
        self._unsaid[breaker] = None

    def unsaid(self, now: float) -> list[tuple[str, float]]:
        """What the others are to be told: names, and the microseconds left."""
        trips = [(name, _left(self._ends[name], now) * MICROSECONDS) for name in self._unsaid]
        self._unsaid.clear()
        return trips

    def again(self, trips: Iterable[tuple[str, float]]) -> None:
        """These were perhaps not heard."""
        self._unsaid.update((name, None) for name, _ in trips)

    def heard(self, news: int, trips: Iterable[tuple[str, float]], now: float) -> list[tuple[str, float]]:
        """What is new in the server's news, by name and seconds left. A server that forgot all has none."""
        if news in {0, self.seen}:
            return []
        self.seen = news
        ends = {name: now + left / MICROSECONDS if left else _CLOSED for name, left in trips}
        told = {name: end for name, end in ends.items() if name not in self._unsaid}
        changed = [(name, _left(end, now)) for name, end in told.items() if not self._knows(name, end)]
        self._ends |= told
        return changed

    def _knows(self, breaker: str, end: float) -> bool:
        known = self._ends.get(breaker, _CLOSED)
        return known == end or abs(known - end) <= _SAME


def _left(end: float, now: float) -> float:
    """The seconds for which a breaker is to be told to be open: a moment for a half-open one, 0.0 for a closed one."""
    return 0.0 if end == _CLOSED else max(MOMENT, end - now)


class Outbox:
    """Leases to keep alive, corrections, and calls admitted without asking; and what of them to say now."""

    __slots__ = ("_charges", "_held", "_renewals", "_settles", "lost")

    def __init__(self) -> None:
        self._held: dict[int, list[tuple[str, str]]] = {}
        self._renewals: deque[int] = deque()
        self._settles: deque[Settled] = deque()
        self._charges: deque[tuple[float, Word]] = deque()
        self.lost = 0
        """How much was forgotten and will never be said."""

    def hold(self, number: int, words: Sequence[Word]) -> None:
        """Keep what this call holds alive, until `release`."""
        held = leases(words)
        if held:
            self._held[number] = held

    def renew(self) -> None:
        """Have all leases renewed, or made again where the server has lost them."""
        self._renewals = deque(self._held)

    def release(self, number: int, entries: Iterable[Settled]) -> None:
        """Keep nothing of this call alive any more, and have it corrected."""
        self._held.pop(number, None)
        self.settle(entries)

    def settle(self, entries: Iterable[Settled]) -> None:
        """Have these corrected. Beyond `MOST_KEPT` the oldest is forgotten: a lease ends by itself."""
        self._settles.extend(entries)
        while len(self._settles) > MOST_KEPT:
            self._settles.popleft()
            self.lost += 1

    def charge(self, words: Iterable[Word], now: float) -> None:
        """Have counted what was spent without asking. Beyond `MOST_KEPT` the oldest is forgotten."""
        self._charges.extend((now, word) for word in words if not word.held)
        while len(self._charges) > MOST_KEPT:
            self._charges.popleft()
            self.lost += 1

    def fill(self, request: Request, now: float) -> None:
        """Put into a request what there is room for."""
        while self._renewals and len(request.leases) < MOST_ENTRIES:
            request.leases += self._held.get(self._renewals.popleft(), ())
        charges = [self._charges.popleft() for _ in range(min(len(self._charges), MOST_ENTRIES))]
        request.charges = [((now - at) * MICROSECONDS, word) for at, word in charges]
        # A correction never overtakes what it corrects.
        most = MOST_ENTRIES if not self._charges else 0
        request.settles = [self._settles.popleft() for _ in range(min(len(self._settles), most))]

    def failed(self, request: Request) -> None:
        """Take back from a request that was perhaps not heeded what may be said twice; of its calls, end the leases."""
        again = [settled for settled in request.settles if settled.again]
        unknown = [entry for words in request.takes for entry in released(words)]
        self._settles.extendleft(reversed((*again, *unknown)))
        self.lost += len(request.settles) - len(again) + len(request.charges)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not (self._renewals or self._settles or self._charges)

    @property
    def many(self) -> bool:
        """Whether there is so much to say that it should not wait."""
        return bool(self._renewals or self._charges) or len(self._settles) >= MOST_ENTRIES

    def leave(self) -> None:
        """Give back all that is held."""
        for held in self._held.values():
            self._settles.extend(Settled.release(key, name) for key, name in held)
        self._held.clear()
