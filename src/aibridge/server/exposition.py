"""The metrics of several processes as those of one: what any worker shows when it is scraped.

Series of the same name and labels are added up, which is right for counters, for histograms and for gauges that count
something. The others are named here by the end of their name: of a healthy flag the smallest counts, of an age, a
maximum or a state the largest.
"""

from collections.abc import Iterable
from typing import Final

_SMALLEST: Final = ("_healthy",)
_LARGEST: Final = ("_maximum", "_seconds", "_state")
_GROWING: Final = ("counter", "histogram")


class _Family:
    """A metric: its head, and its series in the order in which they were first seen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = ""
        self.head: list[str] = []
        self.series: dict[str, float] = {}

    def add(self, series: str, value: float) -> None:
        """Join the number of one process to those of others."""
        known = self.series.get(series)
        if known is not None:
            value = self._join(known, value)
        self.series[series] = value

    def _join(self, one: float, other: float) -> float:
        if self.kind in _GROWING:
            return one + other
        if self.name.endswith(_SMALLEST):
            return min(one, other)
        return max(one, other) if self.name.endswith(_LARGEST) else one + other


def merged(expositions: Iterable[bytes], *, growing_only: bool = False) -> bytes:
    """Join what several processes show in Prometheus' text format.

    With `growing_only`, gauges are left out: what a process that has ended leaves behind.
    """
    families: dict[str, _Family] = {}
    for exposition in expositions:
        family = _Family("")
        for line in exposition.decode().removesuffix("\n").split("\n"):  # labels may hold other line ends
            if line.startswith("#"):
                _, word, name, text = line.split(" ", 3)
                family = families.setdefault(name, _Family(name))
                if word == "TYPE":
                    family.kind = text
                if line not in family.head:
                    family.head.append(line)
            elif line:
                series, _, value = line.rpartition(" ")
                family.add(series, float(value))
    lines: list[str] = []
    for family in families.values():
        if not growing_only or family.kind in _GROWING:
            lines += family.head
            lines += [f"{series} {value!r}" for series, value in family.series.items()]
    return "".join(line + "\n" for line in lines).encode()
