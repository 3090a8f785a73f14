"""A share of every limit, counted in this process: what a replica decides by while the shared counts are out of reach.

The share is kept warm: whatever is admitted is counted here as well, so that the moment of parting gives nobody a
second burst. A replica that had more than its share waits until it has no more; one that had less may take the rest of
it, so within one window of the parting as much may be admitted beyond the limit as calls were unevenly spread.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from aibridge.domain.rule import Rule
from aibridge.limits.counts import Ask, Held, Place, Present, Refusal
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome

Kept = list[tuple[Memory, Held]]
"""What of a call is counted here, and where."""


def share(rule: Rule, replicas: int) -> Rule:
    """A replica's part of a rule: rounded down, so that all parts together are no more than the rule, and at least 1.

    Of an amount smaller than the number of replicas they are more than the rule all the same.
    """
    burst = None if rule.burst is None else max(1, rule.burst // replicas)
    return msgspec.structs.replace(rule, amount=max(1, rule.amount // replicas), burst=burst)


class Share:
    """The counts of one of `replicas` replicas by itself."""

    def __init__(self, rules: Sequence[Rule], clock: Callable[[], float], replicas: int) -> None:
        self._rules: Mapping[int, Rule] = dict(enumerate(rules))
        self._clock = clock
        self.resize(replicas)

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Count for these rules from now on; see `Counts`."""
        self._rules = rules
        self._memory.replace({number: share(rule, self._replicas) for number, rule in rules.items()})

    def resize(self, replicas: int) -> None:
        """There are so many replicas now. The new share begins unused; what was counted is settled where it was."""
        self._replicas = replicas
        self._memory = Memory((), self._clock)
        self.replace(self._rules)

    async def take(self, asks: tuple[Ask, ...], place: Place | None) -> tuple[Held, Kept] | Refusal:
        """Decide by the share."""
        memory = self._memory
        taken = await memory.take(asks, place)
        return taken if isinstance(taken, Refusal) else (taken, [(memory, taken)])

    def keep(self, asks: tuple[Ask, ...]) -> Kept:
        """Count what was admitted elsewhere, each ask for which there is room in the share."""
        memory = self._memory
        now = self._clock()
        taken = memory.try_take(asks, now)
        if isinstance(taken, Held):
            return [(memory, taken)]
        parts = (memory.try_take((ask,), now) for ask in asks)
        return [(memory, part) for part in parts if isinstance(part, Held)]

    def settle(self, kept: Kept, costs: dict[int, float], outcome: Outcome) -> None:
        """Give back and correct; `costs` are the true ones by rule, as far as they are known."""
        for memory, held in kept:
            memory.settle(held, tuple(costs.get(ask.rule, ask.cost) for ask in held.asks), outcome)

    def full(self, rule: int, key: str) -> Refusal | None:
        """Whether the share of a held rule has nothing left."""
        return self._memory.full(rule, key)

    def refused(self, asks: tuple[Ask, ...]) -> Refusal | None:
        """Whether the share would refuse a call."""
        return self._memory.refused(asks)

    async def present(self, most: int) -> list[Present]:
        """The present use of the share."""
        return await self._memory.present(most)

    async def close(self) -> None:
        """Refuse those who wait."""
        await self._memory.close()
