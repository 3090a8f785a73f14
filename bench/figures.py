"""The arithmetic of the benchmark."""

import math
from collections.abc import Sequence
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """What several rounds gave: the one in the middle, and how far the others were from it."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Sum up rounds. There has to be at least one."""
    return Spread(median=median(values), least=min(values), most=max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours in units of theirs, round by round.

    The speed of a shared machine drifts from one minute to the next. Two figures of one round have that in common, and
    their ratio is free of it; the ratio of two medians of different rounds is not.

    Raises:
        ValueError: the rounds do not match.
    """
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least `share` of all are not above (the nearest rank), for a share above 0 up to 1."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def shown(value: float) -> str:
    """A figure with three digits that mean something, and never in powers of ten."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
