"""What the gateway shows of itself: Prometheus metrics and, on request, one JSON line per record.

Counting on the hot path is a dictionary and an integer; everything else happens when somebody scrapes. The names are
those of the system whose dashboards exist already, plus rejections, connections, permits and the journal, which it does
not have. An interception that its client or a stop ended counts as failed there, and so here. Labels that callers
choose (models, user agents) are bounded: past `MOST_SERIES` new combinations are counted under `other`.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.telemetry_kinds import MOST_SERIES, OTHER, PREFIX, Counter, Distribution, Gauge, Tally

DURATION_BUCKETS: Final = (0.5, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
"""Seconds."""

_COMPLETED: Final = Status.COMPLETED
_log: Final = logging.getLogger("aibridge.interceptions")


class Series:
    """The numbers of the interceptions of one client, actor, model, provider and route: one look-up counts them all."""

    __slots__ = (
        *("cache_read_input_tokens", "cache_write_input_tokens", "completed", "durations", "failed", "in_flight"),
        *("input_tokens", "output_tokens", "seconds"),
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.completed = 0
        self.failed = 0
        self.seconds = 0.0
        self.durations = [0] * (len(DURATION_BUCKETS) + 1)
        self.input_tokens = 0
        self.output_tokens = 0
        self.cache_read_input_tokens = 0
        self.cache_write_input_tokens = 0


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

    def began(self, interception: Interception, series: Series | None = None) -> Series:
        """An interception is in progress. Answers what it is counted in: `series`, if given, that of one like it."""
        if series is None:
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
