"""The kinds of metrics that are read when somebody scrapes, and how Prometheus is given them. Labels are bounded."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, islice

import msgspec
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

PREFIX = "coder_ai_gateway_"
MOST_SERIES = 2000
"""Label combinations of one metric."""
OTHER = "other"


class Counter:
    """Numbers that only grow, by label values, bounded."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, values: tuple[str, ...], number: float = 1) -> None:
        """Add to a combination of label values."""
        before = self._values.get(values)
        if before is None and len(self._values) >= MOST_SERIES:
            values = (OTHER,) * len(values)
            before = self._values.get(values)
        self._values[values] = number if before is None else before + number

    def collected(self) -> Metric:
        """For Prometheus."""
        family = CounterMetricFamily(PREFIX + self.name, self.text, labels=self.labels)
        for values, number in self._values.items():
            family.add_metric(values, number)
        return family


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """A number that is read when somebody scrapes: the values of `labels`, and the number, of each series.

    Series past `MOST_SERIES` are left out, since there is no sum of them that would mean something.
    """

    name: str
    text: str
    labels: tuple[str, ...] = ()
    read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]

    def collected(self) -> Metric:
        """For Prometheus."""
        family = GaugeMetricFamily(PREFIX + self.name, self.text, labels=self.labels)
        for values, number in islice(self.read(), MOST_SERIES):
            family.add_metric(values, number)
        return family


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """A number that only grows and is read when somebody scrapes; the rest is as with `Gauge`, but nothing is lost."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]

    def collected(self) -> Metric:
        """For Prometheus."""
        counter = Counter(self.name, self.text, self.labels)
        for values, number in self.read():
            counter.add(values, number)
        return counter.collected()


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds by size, read when somebody scrapes; the rest is as with `Tally`.

    Of each series: the values of `labels`, how many fell into each bucket (the last is for what is above all `bounds`),
    and the sum of the seconds. Series of the same values are added up.
    """

    name: str
    text: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...]
    read: Callable[[], Iterable[tuple[tuple[str, ...], Sequence[int], float]]]

    def collected(self) -> Metric:
        """For Prometheus, which wants each bucket with all that are below it."""
        found: dict[tuple[str, ...], tuple[Sequence[int], float]] = {}
        for values, counts, seconds in self.read():
            key = values if values in found or len(found) < MOST_SERIES else (OTHER,) * len(values)
            before = found.get(key)
            if before is None:
                found[key] = counts, seconds
            else:
                found[key] = [a + b for a, b in zip(before[0], counts, strict=True)], before[1] + seconds
        family = HistogramMetricFamily(PREFIX + self.name, self.text, labels=self.labels)
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        for values, (counts, seconds) in found.items():
            family.add_metric(values, list(zip(names, accumulate(counts), strict=True)), seconds)
        return family
