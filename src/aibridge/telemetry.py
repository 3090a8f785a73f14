"""What the gateway shows of itself: Prometheus metrics and, on request, one JSON line per record.

Counting on the hot path is a dictionary and an integer; everything else happens when somebody scrapes. The names are
those of the system whose dashboards exist already, plus rejections, connections, permits and the journal, which it does
not have. An interception that its client or a stop ended counts as failed there, and so here. Labels that callers
choose (models, user agents) are bounded: past `MOST_SERIES` new combinations are counted under `other`.
"""

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from aibridge.domain.interception import Ending, Interception, Status

PREFIX = "coder_ai_gateway_"
MOST_SERIES = 2000
"""Label combinations of one metric."""
OTHER = "other"
DURATION_BUCKETS = (0.5, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
"""Seconds."""

_COMPLETED: Final = Status.COMPLETED
_log = logging.getLogger("aibridge.interceptions")


class Counter:
    """Numbers that only grow, by label values, bounded."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, values: tuple[str, ...], number: float = 1) -> None:
        """Add to a combination of label values."""
        if values not in self._values and len(self._values) >= MOST_SERIES:
            values = (OTHER,) * len(values)
        self._values[values] = self._values.get(values, 0) + number

    def collected(self) -> Metric:
        """For Prometheus."""
        family = CounterMetricFamily(PREFIX + self.name, self.text, labels=self.labels)
        for values, number in self._values.items():
            family.add_metric(values, number)
        return family


@dataclass(slots=True)
class Series:
    """The numbers of the interceptions of one client, actor, model, provider and route: one look-up counts them all."""

    in_flight: int = 0
    completed: int = 0
    failed: int = 0
    seconds: float = 0.0
    durations: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0


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


class Telemetry:
    """The metrics of one process. `gauges`, `tallies` and `distributions` are read from the rooms that know them."""

    def __init__(self, *, structured_logging: bool = False) -> None:
        self.gauges: list[Gauge] = []
        self.tallies: list[Tally] = []
        self.distributions: list[Distribution] = []
        self._structured = structured_logging
        self._series: dict[tuple[str, ...], Series] = {}
        self._pass_through = Counter("passthrough", "Calls passed through.", ("method", "provider", "route"))
        self._rejections = Counter("rejections", "Calls refused, by limit and reason.", ("limit", "reason"))

    def began(self, interception: Interception) -> Series:
        """An interception is in progress. Answers the series that it is counted in."""
        series = self._series_of(interception)
        series.in_flight += 1
        if self._structured:
            _log.info(_line("interception_start", interception))
        return series

    def ended(self, series: Series, ending: Ending, seconds: float) -> None:
        """An interception of that series ended, after `seconds`."""
        series.in_flight -= 1
        if ending.status is _COMPLETED:
            series.completed += 1
        else:
            series.failed += 1
        series.seconds += seconds
        series.durations[bisect_left(DURATION_BUCKETS, seconds)] += 1
        usage = ending.usage
        if usage is not None:
            series.input_tokens += usage.input_tokens
            series.output_tokens += usage.output_tokens
            series.cache_read_input_tokens += usage.cache_read_input_tokens
            series.cache_write_input_tokens += usage.cache_write_input_tokens
        if self._structured:
            if usage is not None:
                _log.info(_line("token_usage", usage, ending.id))
            _log.info(_line("interception_end", ending))

    def _series_of(self, interception: Interception) -> Series:
        """The numbers of all interceptions that look like this one to a dashboard."""
        labels = (
            interception.client,
            interception.actor_id,
            interception.model,
            interception.provider,
            interception.route,
        )
        series = self._series.get(labels)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                labels = (OTHER, OTHER, OTHER, OTHER, OTHER)
            series = self._series.setdefault(labels, Series())
        return series

    def passed_through(self, method: str, provider: str, route: str) -> None:
        """A call was passed through."""
        self._pass_through.add((method, provider, route))

    def refused(self, limit: str, reason: str) -> None:
        """A call was refused: by which limit, where one did, and the error's code."""
        self._rejections.add((limit, reason))

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus' client asks of a collector."""
        yield from self._interceptions()
        yield self._pass_through.collected()
        yield self._rejections.collected()
        yield from (gauge.collected() for gauge in self.gauges)
        yield from (tally.collected() for tally in self.tallies)
        yield from (distribution.collected() for distribution in self.distributions)

    def _interceptions(self) -> Iterator[Metric]:
        """The numbers of the series, added up by the labels that each metric has."""
        ended = CounterMetricFamily(
            PREFIX + "interceptions",
            "Interceptions that ended.",
            labels=("client", "initiator_id", "method", "model", "provider", "route", "status"),
        )
        tokens = CounterMetricFamily(
            PREFIX + "tokens",
            "Tokens used, as providers count them.",
            labels=("client", "initiator_id", "model", "provider", "type"),
        )
        in_flight: dict[tuple[str, str, str], int] = {}
        used: dict[tuple[str, str, str, str, str], int] = {}
        for (client, actor, model, provider, route), series in self._series.items():
            for status, number in (("completed", series.completed), ("failed", series.failed)):
                if number:
                    ended.add_metric((client, actor, "POST", model, provider, route, status), number)
            for kind, number in (
                ("input", series.input_tokens),
                ("output", series.output_tokens),
                ("cache_read_input", series.cache_read_input_tokens),
                ("cache_write_input", series.cache_write_input_tokens),
            ):
                if number:
                    labels = (client, actor, model, provider, kind)
                    used[labels] = used.get(labels, 0) + number
            place = (model, provider, route)
            in_flight[place] = in_flight.get(place, 0) + series.in_flight
        for labels, number in used.items():
            tokens.add_metric(labels, number)
        running = GaugeMetricFamily(
            PREFIX + "interceptions_inflight", "Interceptions in progress.", labels=("model", "provider", "route")
        )
        for place, number in in_flight.items():
            running.add_metric(place, number)
        durations = Distribution(
            name="interceptions_duration_seconds",
            text="How long interceptions took.",
            labels=("model", "provider"),
            bounds=DURATION_BUCKETS,
            read=lambda: [((key[2], key[3]), series.durations, series.seconds) for key, series in self._series.items()],
        )
        yield from (ended, tokens, running, durations.collected())


def _line(record_type: str, record: msgspec.Struct, interception_id: str | None = None) -> str:
    """One log line: the record, flat, and what it is."""
    fields = {"msg": "interception log", "record_type": record_type, **msgspec.to_builtins(record)}
    if interception_id is not None:
        fields["interception_id"] = interception_id
    elif "id" in fields:
        fields["interception_id"] = fields.pop("id")
    return msgspec.json.encode(fields).decode()
