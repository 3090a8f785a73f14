"""How calls ended lately: counts over a sliding window, in constant time and memory."""

from collections import deque
from dataclasses import dataclass
from math import inf

PARTS = 10
"""A window forgets in this many steps."""


@dataclass(slots=True)
class Tally:
    """How many calls ended, how many of them failed, and how many of the others were slow."""

    calls: int = 0
    failures: int = 0
    slow: int = 0


@dataclass(slots=True)
class _Part(Tally):
    """What a part of a window counted, and the instant at which that is forgotten."""

    leaves: float = inf


class TallyWindow:
    """A tally of the last `interval` seconds.

    It forgets in parts: a call counts for nine tenths of the interval at least, and never for longer than all of it.
    When the clock steps back, it stands still until the clock has caught up; beyond a whole interval, it starts afresh.
    """

    __slots__ = ("_due", "_ends", "_interval", "_parts", "_present", "_reaches_back", "_total")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._parts = deque[_Part]()  # the oldest first, the present one last
        self.clear()

    def add(self, now: float, *, failed: bool, slow: bool) -> Tally:
        """Count a call, and give the tally of all, which stays the window's own."""
        total = self.at(now)
        if now >= self._ends:
            self._begin(now)
        present = self._present
        total.calls += 1
        present.calls += 1
        if failed:
            total.failures += 1
            present.failures += 1
        elif slow:
            total.slow += 1
            present.slow += 1
        return total

    def at(self, now: float) -> Tally:
        """The tally, which stays the window's own."""
        if not self._reaches_back <= now < self._due:
            self._forget(now)
        return self._total

    def clear(self) -> None:
        """Forget everything."""
        self._total = Tally()
        self._parts.clear()
        self._present = _Part()
        self._ends = self._reaches_back = -inf  # of the present part, and of the clock that may still step back
        self._due = inf  # when the oldest part leaves

    def _begin(self, now: float) -> None:
        """Begin a part with the first call after the one before has ended."""
        self._present = _Part(leaves=now + self._interval)
        self._parts.append(self._present)
        self._ends = now + self._interval / PARTS
        self._reaches_back = now - self._interval
        self._due = self._parts[0].leaves

    def _forget(self, now: float) -> None:
        """Drop the parts that have left, or all of them if that is all, or if no clock steps back that far."""
        if now < self._reaches_back or now >= self._present.leaves:
            self.clear()
            return
        total, parts = self._total, self._parts
        while now >= parts[0].leaves:
            gone = parts.popleft()
            total.calls -= gone.calls
            total.failures -= gone.failures
            total.slow -= gone.slow
        self._due = parts[0].leaves
