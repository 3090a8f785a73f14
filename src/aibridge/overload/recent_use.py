"""Who used how much lately: the memory behind fairness, decaying and bounded."""

from collections import OrderedDict
from collections.abc import Hashable
from math import inf, log2
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MOST_KEYS = 10_000
"""How many are remembered at most. Beyond, those charged longest ago are forgotten."""

FORGOTTEN = 20.0
"""Half-lives after which one unit is as good as none: a millionth is left of it."""


class RecentUse(Generic[K]):
    """What each key used, halved every `half_life` seconds.

    Kept as a level: the logarithm of the use, plus the time in half-lives. As all uses decay alike, their levels stand
    in the order of the uses at any instant and need no upkeep (forward decay: Cormode et al., ICDE 2009). Every method
    takes constant time. Instants must not step back.
    """

    __slots__ = ("_half_life", "_highest", "_levels")

    def __init__(self, half_life: float) -> None:
        if not 0.0 < half_life < inf:
            raise ValueError(f"half_life must be a positive number of seconds, not {half_life}")
        self._half_life = half_life
        self._levels: OrderedDict[K, float] = OrderedDict()  # those charged longest ago first
        self._highest = -inf

    def level(self, key: K) -> float:
        """A number that orders keys by their use; minus infinity for one without."""
        return self._levels.get(key, -inf)

    def used(self, key: K, now: float) -> float:
        """What is left at `now` of all that was added."""
        return float(2.0 ** (self.level(key) - now / self._half_life))

    def add(self, key: K, amount: float, now: float) -> None:
        """Add a positive amount."""
        level = now / self._half_life + log2(self.used(key, now) + amount)
        self._levels[key] = level
        self._levels.move_to_end(key)
        self._highest = max(self._highest, level)
        oldest = next(iter(self._levels))
        if len(self._levels) > MOST_KEYS or self._faded(self._levels[oldest], now):
            del self._levels[oldest]

    def idle(self, now: float) -> bool:
        """Whether nobody has a use worth remembering."""
        return self._faded(self._highest, now)

    def __len__(self) -> int:
        return len(self._levels)

    def _faded(self, level: float, now: float) -> bool:
        return level < now / self._half_life - FORGOTTEN
