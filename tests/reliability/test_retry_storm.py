"""A brown-out of twenty seconds with callers that retry: the gateway adds little to the storm, and it ends in time."""

import random

from conftest import Told

from aibridge.overload.adaptive import AdaptiveLimiter, AdaptiveRule
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.retry_budget import RetryBudget
from aibridge.overload.simulation.gateway import GatewayRule
from aibridge.overload.simulation.report import Report
from aibridge.overload.simulation.scenario import BrownOut, Scenario, run
from aibridge.overload.simulation.traffic import Flow
from aibridge.overload.simulation.upstream import UpstreamModel

SEEDS = (101, 102, 103)
DARK = 120.0
LIGHT = 140.0
PROVIDER = UpstreamModel(slots=300, queue=150, breaking_off=0.02, refusal_cost=1.0)
"""A refusal costs it an eighth of what a call does: enough for retries to keep it down after the brown-out."""

BUDGET = GatewayRule(tries=3, budget=RetryBudget)
NAIVE = GatewayRule(tries=3, retry_wait=0.1)


def storm(gateway: GatewayRule, seed: int) -> Report:
    flows = (Flow("sdk", rate=0.9 * PROVIDER.capacity, retries=2),)
    brown_out = BrownOut(DARK, seconds=LIGHT - DARK, share=0.3)
    scenario = Scenario(flows, gateway, PROVIDER, (brown_out,), seconds=220.0)
    return run(scenario, random.Random(seed).random)


def recovery(report: Report) -> float:
    """Seconds from the end of the brown-out until calls are served to 95 % of what was usual before it."""
    return report.recovery(LIGHT, 0.95 * report.part(until=DARK - 10.0).share)


def test_a_budget_keeps_retries_from_making_a_storm_of_a_brown_out(scorecard: Told) -> None:
    reports = [storm(BUDGET, seed) for seed in SEEDS]
    amplification = max(report.amplification(DARK, LIGHT) for report in reports)
    seconds = max(recovery(report) for report in reports)
    late = sum(report.late for report in reports)
    broken_off = sum(call.work.breaks_off and call.answered_at is not None for r in reports for call in r.calls)
    retries = sum(report.retries for report in reports)
    scorecard(
        24,
        f"retry storm, simulated: {amplification:.2f}x by the gateway (<= 1.1), 95 % after {seconds:.0f} s (<= 5), "
        f"{late} of {retries} retries after the first byte (0; {broken_off} answers broke off)",
    )
    assert amplification <= 1.1
    assert seconds <= 5.0
    assert late == 0
    assert retries > 100
    assert broken_off > 100


def test_without_a_budget_the_same_storm_does_not_end(scorecard: Told) -> None:
    report = storm(NAIVE, SEEDS[0])
    amplification, seconds = report.amplification(DARK, LIGHT), recovery(report)
    scorecard(24, f"for comparison, three tries without a budget: {amplification:.2f}x, 95 % after {seconds} s")
    assert amplification > 2.0
    assert seconds > 75.0


def test_a_limit_that_learns_spares_the_provider_the_storm(scorecard: Told) -> None:
    served, seconds = {}, {}
    for name, limiter in (
        ("a limit of 300", lambda: ConcurrencyLimiter(300, "provider")),
        ("the adaptive limit", lambda: AdaptiveLimiter(AdaptiveRule(), "provider")),
    ):
        reports = [storm(GatewayRule(limiter, tries=3, budget=RetryBudget), seed) for seed in SEEDS]
        amplification = max(report.amplification(DARK, LIGHT) for report in reports)
        served[name] = min(report.part(since=DARK, until=LIGHT).share for report in reports)
        seconds[name] = max(map(recovery, reports))
        scorecard(
            24,
            f"with {name} besides: {amplification:.2f}x, {served[name] * 100.0:.0f} % of the calls begun in the "
            f"brown-out served, 95 % after {seconds[name]:.0f} s (<= 5)",
        )
        assert amplification <= 1.1
        assert seconds[name] <= 5.0
    assert served["the adaptive limit"] >= 2.0 * served["a limit of 300"]
