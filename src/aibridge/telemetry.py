"""What the gateway shows of itself: Prometheus metrics and, on request, one JSON line per record.

Counting on the hot path is a dictionary and an integer; everything else happens when somebody scrapes. The names are
those of the system whose dashboards exist already, plus `rejections_total`, which it does not have. Labels that callers
choose (models, user agents) are bounded: past `MOST_SERIES` new combinations are counted under `other`.
"""

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

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

_log = logging.getLogger("aibridge.interceptions")


class Counter:
    """Numbers by label values, bounded."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self._values: dict[tuple[str, ...], int] = {}

    def add(self, values: tuple[str, ...], amount: int = 1) -> None:
        """Add to one combination of label values."""
        try:
            self._values[values] += amount
        except KeyError:
            if len(self._values) >= MOST_SERIES:
                values = (OTHER,) * len(values)
            self._values[values] = self._values.get(values, 0) + amount

    def items(self) -> Iterable[tuple[tuple[str, ...], int]]:
        """The combinations and their numbers."""
        return self._values.items()

    def as_counter(self) -> Metric:
        """For Prometheus, as what only grows."""
        family = CounterMetricFamily(PREFIX + self.name, self.text, labels=self.labels)
        for values, number in self._values.items():
            family.add_metric(values, number)
        return family

    def as_gauge(self) -> Metric:
        """For Prometheus, as what goes up and down."""
        family = GaugeMetricFamily(PREFIX + self.name, self.text, labels=self.labels)
        for values, number in self._values.items():
            family.add_metric(values, number)
        return family


class Histogram:
    """Durations by label values, bounded."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self.buckets = buckets
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, values: tuple[str, ...], seconds: float) -> None:
        """Add one duration."""
        if values not in self._counts:
            if len(self._counts) >= MOST_SERIES:
                values = (OTHER,) * len(values)
            self._counts.setdefault(values, [0] * (len(self.buckets) + 1))
        self._counts[values][bisect_left(self.buckets, seconds)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + seconds

    def collected(self) -> Metric:
        """For Prometheus."""
        family = HistogramMetricFamily(PREFIX + self.name, self.text, labels=self.labels)
        bounds = [*(f"{bound:g}" for bound in self.buckets), "+Inf"]
        for values, counts in self._counts.items():
            total, buckets = 0, []
            for bound, count in zip(bounds, counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(values, buckets, self._sums[values])
        return family


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """A number that is read when somebody scrapes: the values of `labels`, and the number, of each series."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]


class Telemetry:
    """The metrics of one process. `gauges` are read from the rooms that know them."""

    def __init__(self, *, structured_logging: bool = False) -> None:
        self.gauges: list[Gauge] = []
        self._structured = structured_logging
        self._interceptions = Counter(
            "interceptions",
            "Interceptions that ended.",
            ("client", "initiator_id", "method", "model", "provider", "route", "status"),
        )
        self._in_flight = Counter(
            "interceptions_inflight", "Interceptions in progress.", ("model", "provider", "route")
        )
        self._durations = Histogram(
            "interceptions_duration_seconds", "How long interceptions took.", ("model", "provider"), DURATION_BUCKETS
        )
        self._tokens = Counter(
            "tokens", "Tokens used, as providers count them.", ("client", "initiator_id", "model", "provider", "type")
        )
        self._pass_through = Counter("passthrough", "Calls passed through.", ("method", "provider", "route"))
        self._rejections = Counter("rejections", "Calls refused, by limit and reason.", ("limit", "reason"))

    def began(self, interception: Interception) -> None:
        """An interception is in progress."""
        self._in_flight.add((interception.model, interception.provider, interception.route))
        if self._structured:
            _log.info(_line("interception_start", interception))

    def ended(self, interception: Interception, ending: Ending, seconds: float) -> None:
        """An interception ended, after `seconds`."""
        model, provider, route = interception.model, interception.provider, interception.route
        client, actor = interception.client, interception.actor_id
        self._in_flight.add((model, provider, route), -1)
        status = "completed" if ending.status is Status.COMPLETED else "failed"
        self._interceptions.add((client, actor, "POST", model, provider, route, status))
        self._durations.observe((model, provider), seconds)
        usage = ending.usage
        if usage is not None:
            add = self._tokens.add
            add((client, actor, model, provider, "input"), usage.input_tokens)
            add((client, actor, model, provider, "output"), usage.output_tokens)
            if usage.cache_read_input_tokens:
                add((client, actor, model, provider, "cache_read_input"), usage.cache_read_input_tokens)
            if usage.cache_write_input_tokens:
                add((client, actor, model, provider, "cache_write_input"), usage.cache_write_input_tokens)
        if self._structured:
            if usage is not None:
                _log.info(_line("token_usage", usage, interception.id))
            _log.info(_line("interception_end", ending))

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
        for counter in (self._interceptions, self._tokens, self._pass_through, self._rejections):
            yield counter.as_counter()
        yield self._in_flight.as_gauge()
        yield self._durations.collected()
        for gauge in self.gauges:
            family = GaugeMetricFamily(PREFIX + gauge.name, gauge.text, labels=gauge.labels)
            for values, number in gauge.read():
                family.add_metric(values, number)
            yield family


def _line(record_type: str, record: msgspec.Struct, interception_id: str | None = None) -> str:
    """One log line: the record, flat, and what it is."""
    fields = {"msg": "interception log", "record_type": record_type, **msgspec.to_builtins(record)}
    if interception_id is not None:
        fields["interception_id"] = interception_id
    elif "id" in fields:
        fields["interception_id"] = fields.pop("id")
    return msgspec.json.encode(fields).decode()
