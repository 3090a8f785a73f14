"""The overload engine's metrics: their names, and the numbers of the rooms under them."""

from dataclasses import dataclass
from typing import Any

import pytest

from aibridge.overload.breaker import State
from aibridge.telemetry import Telemetry
from aibridge.telemetry_kinds import MOST_SERIES, PREFIX, Distribution, Gauge, Tally
from aibridge.telemetry_overload import show_breakers, show_limits, show_upstreams


@dataclass
class Seen:
    """A breaker as its room shows it."""

    provider: str = "openai"
    credential: str = "main"
    model: str = "gpt-*"
    state: State = State.CLOSED
    trips: int = 0
    rejections: int = 0


ROUTE = '{credential="main",model="gpt-*",provider="openai"}'


def exposed(telemetry: Telemetry) -> dict[str, float]:
    """The samples, by name and labels as they are written."""
    lines = telemetry.exposition().decode().splitlines()
    return {
        name.removeprefix(PREFIX): float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def show(telemetry: Telemetry, **told: Any) -> None:
    """Show limits of which nothing is known but what is `told`."""
    nothing: dict[str, Any] = {"decisions": dict, "depths": list, "waits": list, "healthy": lambda: True}
    show_limits(telemetry, bounds=(0.01, 0.5), **nothing | told)


def kinds(telemetry: Telemetry) -> dict[str, str]:
    """What Prometheus is told of the type of each metric."""
    lines = [line.split() for line in telemetry.exposition().decode().splitlines()]
    return {words[2].removeprefix(PREFIX): words[3] for words in lines if words[:2] == ["#", "TYPE"]}


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def test_decisions_are_counted_by_rule_subject_and_outcome_as_they_grow(telemetry: Telemetry) -> None:
    decisions = {("rate", "token", "admitted"): 7}
    show(telemetry, decisions=lambda: decisions)
    name = 'limit_decisions_total{outcome="%s",rule="rate",subject="token"}'
    assert exposed(telemetry)[name % "admitted"] == 7
    decisions["rate", "token", "admitted"] += 1
    decisions["rate", "token", "shadow_refused"] = 2
    samples = exposed(telemetry)
    assert (samples[name % "admitted"], samples[name % "shadow_refused"]) == (8, 2)


def test_queues_show_their_depth_and_their_waits(telemetry: Telemetry) -> None:
    counts = [2, 1, 0]
    show(telemetry, depths=lambda: [("global", 4)], waits=lambda: [("global", counts, 0.25)])
    counts[2] = 3
    samples = exposed(telemetry)
    assert samples['limit_queue_depth{rule="global"}'] == 4
    name = 'limit_queue_wait_seconds_bucket{le="%s",rule="global"}'
    assert [samples[name % le] for le in ("0.01", "0.5", "+Inf")] == [2, 3, 6]
    assert samples['limit_queue_wait_seconds_sum{rule="global"}'] == 0.25


def test_counts_that_are_not_shared_as_they_should_be_are_seen(telemetry: Telemetry) -> None:
    healthy = True
    show(telemetry, healthy=lambda: healthy)
    assert exposed(telemetry)["counts_healthy"] == 1
    healthy = False
    assert exposed(telemetry)["counts_healthy"] == 0


@pytest.mark.parametrize(("state", "number"), [(State.CLOSED, 0), (State.HALF_OPEN, 1), (State.OPEN, 2)])
def test_a_breakers_state_is_a_number(telemetry: Telemetry, state: State, number: int) -> None:
    show_breakers(telemetry, lambda: [Seen(state=state)])
    assert exposed(telemetry)[f"circuit_breaker_state{ROUTE}"] == number


def test_breakers_show_trips_and_rejects(telemetry: Telemetry) -> None:
    show_breakers(telemetry, lambda: [Seen(trips=3, rejections=40), Seen(model="*", trips=1)])
    samples = exposed(telemetry)
    assert samples[f"circuit_breaker_trips_total{ROUTE}"] == 3
    assert samples[f"circuit_breaker_rejects_total{ROUTE}"] == 40
    assert samples['circuit_breaker_trips_total{credential="main",model="*",provider="openai"}'] == 1


def test_upstreams_show_retries_and_the_limit_that_was_found(telemetry: Telemetry) -> None:
    show_upstreams(telemetry, retries={"openai": 5}, adaptive=lambda: [(("openai", "main", "gpt-*"), 12.5)])
    samples = exposed(telemetry)
    assert samples['upstream_retries_total{provider="openai"}'] == 5
    assert samples[f"adaptive_limit{ROUTE}"] == 12.5


def test_each_metric_is_of_its_kind(telemetry: Telemetry) -> None:
    show(telemetry)
    show_breakers(telemetry, list)
    show_upstreams(telemetry, retries={}, adaptive=list)
    expected = {
        "limit_decisions_total": "counter",
        "limit_queue_depth": "gauge",
        "limit_queue_wait_seconds": "histogram",
        "counts_healthy": "gauge",
        "circuit_breaker_state": "gauge",
        "circuit_breaker_trips_total": "counter",
        "circuit_breaker_rejects_total": "counter",
        "upstream_retries_total": "counter",
        "adaptive_limit": "gauge",
    }
    told = kinds(telemetry)
    assert {name: told[name] for name in expected} == expected


def test_whatever_a_room_shows_is_bounded_and_sums_lose_nothing(telemetry: Telemetry) -> None:
    total = MOST_SERIES + 500
    keys = [(f"k{number}",) for number in range(total)]
    telemetry.gauges.append(Gauge(name="g", text="G.", labels=("x",), read=lambda: [(key, 1) for key in keys]))
    telemetry.tallies.append(Tally(name="t", text="T.", labels=("x",), read=lambda: [(key, 2) for key in keys]))
    telemetry.distributions.append(
        Distribution(
            name="d", text="D.", labels=("x",), bounds=(1.0,), read=lambda: [(key, [1, 2], 4.0) for key in keys]
        )
    )
    samples = exposed(telemetry)
    assert len([name for name in samples if name.startswith("g{")]) == MOST_SERIES
    tallies = {name: number for name, number in samples.items() if name.startswith("t_total{")}
    assert (len(tallies), sum(tallies.values())) == (MOST_SERIES + 1, 2 * total)
    assert tallies['t_total{x="other"}'] == 1000
    counts = {name: number for name, number in samples.items() if name.startswith("d_count{")}
    assert (len(counts), sum(counts.values())) == (MOST_SERIES + 1, 3 * total)
    assert (samples['d_bucket{le="1",x="other"}'], samples['d_sum{x="other"}']) == (500, 2000)


def test_series_of_the_same_values_are_added_up(telemetry: Telemetry) -> None:
    telemetry.tallies.append(Tally(name="t", text="T.", read=lambda: [((), 1), ((), 2)]))
    telemetry.distributions.append(
        Distribution(name="d", text="D.", bounds=(1.0,), read=lambda: [((), [1, 0], 0.5), ((), [0, 2], 9.0)])
    )
    samples = exposed(telemetry)
    assert samples["t_total"] == 3
    assert (samples['d_bucket{le="1"}'], samples["d_count"], samples["d_sum"]) == (1, 3, 9.5)
