"""Limits over what is held that were found full a moment ago: so that under overload not every refusal has to ask."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from aibridge.limits.counts import Ask, Count

BRIEFLY = 0.01
"""Seconds for which a limit that was found full is taken to be so without asking, unless something is given back here.

What comes free elsewhere may stay unused for as long, where only those want it who look here.
"""

MOST = 1_000
"""Limits remembered; beyond, all are forgotten. Each then costs one question more."""

T = TypeVar("T")


class KnownFull(Generic[T]):
    """What is to be said of each limit that was found full, while that is believed; `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[Count, tuple[float, T]] = {}

    def found(self, count: Count, said: T) -> None:
        """Somebody who counts says that it is full."""
        if len(self._said) >= MOST:
            self._said.clear()
        self._said[count] = self._clock() + BRIEFLY, said

    def get(self, count: Count) -> T | None:
        """What was said when it was found full; None where that is not known any more."""
        known = self._said.get(count)
        return None if known is None or self._clock() >= known[0] else known[1]

    def of(self, asks: Iterable[Ask]) -> T | None:
        """What was said of the first that is known to be full of what a call asks for."""
        if self._said:
            for ask in asks:
                said = self.get((ask.rule, ask.key))
                if said is not None:
                    return said
        return None

    def given_back(self, count: Count) -> None:
        """It is not full any more."""
        if self._said:
            self._said.pop(count, None)

    def clear(self) -> None:
        """Nothing is known, since the rules have changed."""
        self._said.clear()
