"""How much goes on at a time: calls in progress, use within a window, and both by the minute."""

from collections import defaultdict, deque
from heapq import heappop, heappush

MINUTE = 60.0
"""Seconds."""

_PARTS = 1000
"""A `Window` tells this many instants apart."""


class InProgress:
    """How many of some calls are in progress. Instants are given in order."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: list[float] = []

    def begin(self, at: float, duration: float) -> int:
        """Count a call that begins; how many there are now, this one included."""
        ends = self._ends
        while ends and ends[0] <= at:
            heappop(ends)
        heappush(ends, at + duration)
        return len(ends)

    def at(self, instant: float) -> int:
        """How many there are. A call that ends at that instant is over."""
        ends = self._ends
        while ends and ends[0] <= instant:
            heappop(ends)
        return len(ends)


class Window:
    """The sum of what was used in the last `length` seconds. Instants are given in order.

    What is used within a thousandth of the window leaves it together, so the sum may be that much short, and memory is
    bounded.
    """

    __slots__ = ("_length", "_parts", "_sum")

    def __init__(self, length: float) -> None:
        self._length = length
        self._parts: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def add(self, at: float, amount: float) -> float:
        """Count a use; the sum now, this one included."""
        parts = self._parts
        while parts and at >= parts[0][0] + self._length:
            self._sum -= parts.popleft()[1]
        if parts and at < parts[-1][0] + self._length / _PARTS:
            began, so_far = parts[-1]
            parts[-1] = (began, so_far + amount)
        else:
            parts.append((at, amount))
        self._sum = self._sum + amount if len(parts) > 1 else parts[0][1]  # no rounding outlives its window
        return self._sum


class Load:
    """What a provider has to do, by the minute since 1970: the most calls in progress at one time, calls and tokens.

    All tokens of a call are counted in the minute in which it begins.
    """

    __slots__ = ("_ends_at", "_minute", "_progress", "calls", "concurrency", "tokens")

    def __init__(self) -> None:
        self.calls: dict[int, int] = defaultdict(int)
        self.concurrency: dict[int, int] = {}
        self.tokens: dict[int, int] = defaultdict(int)
        self._progress = InProgress()
        self._minute = 0
        self._ends_at = MINUTE

    def begin(self, at: float, duration: float, tokens: int) -> None:
        """Count a call that begins. Instants are given in order."""
        if at >= self._ends_at:
            self._turn(int(at // MINUTE))
        minute = self._minute
        self.calls[minute] += 1
        self.tokens[minute] += tokens
        number = self._progress.begin(at, duration)
        if number > self.concurrency.get(minute, 0):
            self.concurrency[minute] = number

    def _turn(self, minute: int) -> None:
        """Note what is still in progress in the minutes in which nothing began."""
        for between in range(self._minute + 1, minute + 1):
            number = self._progress.at(between * MINUTE)
            if not number:
                break
            self.concurrency[between] = number
        self._minute = minute
        self._ends_at = (minute + 1) * MINUTE
