"""A limit that learns what a provider takes does nearly as well as one that knows, and answers stay prompt."""

import random
from collections.abc import Callable
from statistics import fmean

import pytest
from conftest import Told

from aibridge.overload.adaptive import AdaptiveLimiter, AdaptiveRule
from aibridge.overload.concurrency import ConcurrencyLimiter, Permit
from aibridge.overload.outcome import Outcome
from aibridge.overload.simulation.gateway import GatewayRule
from aibridge.overload.simulation.report import Part, Report
from aibridge.overload.simulation.scenario import Scenario, run
from aibridge.overload.simulation.traffic import Flow
from aibridge.overload.simulation.upstream import UpstreamModel

SEEDS = range(101, 107)
"""Not those that the limiter's constants were chosen with. The heavy tail of the calls moves a single run by 3 %,
with a known limit by 2 %: the promise is about the mean, and the worst run is told beside it."""
PROVIDERS = {
    "no queue": UpstreamModel(queue=0),
    "queue of 50": UpstreamModel(queue=50),
    "varied first bytes": UpstreamModel(queue=50, first_sigma=0.6),
}
TIMEOUT = 5.0


class LatencyLimiter(AdaptiveLimiter):
    """The same AIMD, told that whatever takes longer than five seconds was refused."""

    __slots__ = ()

    def answered(self, permit: Permit, first_byte: float, now: float) -> None:
        """Look at the total only."""

    def leave(
        self,
        permit: Permit,
        outcome: Outcome,
        now: float,
        *,
        overloaded: bool = False,
        first_byte: float | None = None,
    ) -> None:
        late = now - permit.entered_at > TIMEOUT
        super().leave(permit, outcome, now, overloaded=overloaded or late, first_byte=first_byte)


def known() -> ConcurrencyLimiter:
    return ConcurrencyLimiter(100, "provider")


def learnt() -> AdaptiveLimiter:
    return AdaptiveLimiter(AdaptiveRule(), "provider")


def by_latency() -> AdaptiveLimiter:
    return LatencyLimiter(AdaptiveRule(), "provider")


def reports(limiter: Callable[[], ConcurrencyLimiter], upstream: UpstreamModel, load: float) -> list[Report]:
    flows = (Flow("all", rate=load * upstream.capacity),)
    return [
        run(Scenario(flows, GatewayRule(limiter), upstream, seconds=360.0), random.Random(seed).random)
        for seed in SEEDS
    ]


def mean(some: list[Report]) -> float:
    return fmean(report.goodput for report in some) * 100.0


def worst(some: list[Report]) -> float:
    return min(report.goodput for report in some) * 100.0


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_learnt_limit_serves_nearly_as_many_as_a_known_one_and_answers_are_prompt(name: str, scorecard: Told) -> None:
    light, heavy = (reports(learnt, PROVIDERS[name], load) for load in (0.7, 2.0))
    first_byte = max(
        Part(tuple(call for report in some for call in report.part().calls)).first_byte(0.99) for some in (light, heavy)
    )
    scorecard(
        18,
        f"adaptive limit, provider with {name}: mean goodput {mean(light):.1f} % at 0.7x, {mean(heavy):.1f} % at 2x "
        f"(>= 98, >= 90; worst runs {worst(light):.1f}, {worst(heavy):.1f}), first byte p99 {first_byte:.2f} s (<= 2)",
    )
    assert mean(light) >= 98.0
    assert mean(heavy) >= 90.0
    assert first_byte <= 2.0


def test_a_known_limit_is_the_measure_and_total_latency_is_no_signal(scorecard: Told) -> None:
    goodput = {}
    for name, limiter in (("a known limit of 100", known), ("the same AIMD on totals above 5 s", by_latency)):
        light, heavy = (reports(limiter, PROVIDERS["queue of 50"], load) for load in (0.7, 2.0))
        scorecard(
            18,
            f"for comparison, {name}: mean goodput {mean(light):.1f} % at 0.7x, {mean(heavy):.1f} % at 2x "
            f"(worst runs {worst(light):.1f}, {worst(heavy):.1f})",
        )
        goodput[limiter] = mean(light)
    assert goodput[known] >= 98.0
    assert goodput[by_latency] < 80.0
