"""A virtual clock, and what is to happen when."""

from collections.abc import Callable
from heapq import heappop, heappush

Action = Callable[[], None]
Luck = Callable[[], float]
"""A source of uniform numbers in [0, 1)."""


class Timeline:
    """Actions in the order of their instants; those of one instant in the order in which they were asked for."""

    __slots__ = ("_actions", "_asked", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._actions: list[tuple[float, int, Action]] = []
        self._asked = 0

    def after(self, seconds: float, action: Action) -> None:
        """Do something so many seconds from now."""
        self._asked += 1
        heappush(self._actions, (self.now + seconds, self._asked, action))

    def run(self) -> None:
        """Let everything happen, until nothing is left to do."""
        while self._actions:
            self.now, _, action = heappop(self._actions)
            action()
