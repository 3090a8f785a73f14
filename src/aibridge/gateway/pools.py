"""The pools of a gateway: one for each origin that a provider is at, as long as one is."""

from collections.abc import Callable, Collection, Iterable, Sequence
from weakref import WeakSet

from aibridge.domain.provider import Origin, Provider
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.pool import Pool
from aibridge.gateway.whereabouts import Whereabouts, anywhere, public

LEAST = 64
"""Connections that a pool may have, however many pools there are."""


class Pools:
    """The pools, and how many of `connections` each may open: equal shares, as many as there are pools.

    Providers at the same origin share a pool, but for those that may be anywhere: what they are connected to is nothing
    for the others.
    """

    def __init__(
        self, deadlines: Deadlines, *, connections: int, whereabouts: Callable[[], Whereabouts] = public
    ) -> None:
        self._deadlines = deadlines
        self._connections = connections
        self._whereabouts = whereabouts
        self._pools: dict[tuple[Origin, bool], Pool] = {}
        self._retired: WeakSet[Pool] = WeakSet()
        """Those that calls are still on, or on their way to: nobody else holds them."""

    def keep(self, providers: Collection[Provider]) -> None:
        """Have a pool for each of these, and no other. What is left over is closed when its calls are done."""
        wanted = dict.fromkeys((provider.origin, provider.internal) for provider in providers)
        maximum = max(LEAST, self._connections // max(1, len(wanted)))
        for key in self._pools.keys() - wanted.keys():
            pool = self._pools.pop(key)
            pool.retire()
            self._retired.add(pool)
        for origin, internal in wanted.keys() - self._pools.keys():
            whereabouts = anywhere if internal else self._whereabouts()
            self._pools[origin, internal] = Pool(origin, self._deadlines, maximum=maximum, whereabouts=whereabouts)
        for pool in self._pools.values():
            pool.maximum = maximum

    def of(self, provider: Provider) -> Pool:
        """The pool of a provider.

        Raises:
            KeyError: it is none of those that were to be kept.
        """
        return self._pools[provider.origin, provider.internal]

    def values(self) -> Sequence[Pool]:
        """All that may have a connection, those included that are about to go."""
        return (*self._pools.values(), *self._retired)

    def connections(self) -> Iterable[tuple[tuple[str, str], int]]:
        """How many connections there are, by origin and whether they are idle or busy."""
        numbers: dict[tuple[str, str], int] = {}
        for pool in self.values():
            origin = str(pool.origin)
            for state, number in (("idle", pool.idle), ("busy", pool.open - pool.idle)):
                numbers[origin, state] = numbers.get((origin, state), 0) + number
        return numbers.items()

    def close(self) -> None:
        """Close every connection at once."""
        for pool in self.values():
            pool.close()
