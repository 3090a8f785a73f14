"""The simulator does what its model says, so that what it says of an algorithm can be believed."""

from dataclasses import replace
from math import inf, isnan

import pytest
from chance import seeded

from aibridge.overload.adaptive import AdaptiveLimiter, AdaptiveRule
from aibridge.overload.breaker import Breaker, BreakerRule
from aibridge.overload.concurrency import ConcurrencyLimiter, Permit
from aibridge.overload.outcome import Outcome
from aibridge.overload.retry_budget import RetryBudget
from aibridge.overload.simulation.gateway import GatewayRule
from aibridge.overload.simulation.report import Part, Report, percentile
from aibridge.overload.simulation.scenario import BrownOut, Scenario, run
from aibridge.overload.simulation.traffic import Flow
from aibridge.overload.simulation.upstream import UpstreamModel

STEADY = UpstreamModel(slots=2, queue=0, first_byte=0.5, mean=1.5, sigma=0.0)
"""Two slots, two seconds a call."""


OPEN = GatewayRule()
TWO = GatewayRule(limiter=lambda: ConcurrencyLimiter(2, "gateway"))


def four_clients(gateway: GatewayRule = OPEN, upstream: UpstreamModel = STEADY, **flow: float) -> Report:
    """Four people who call all the time, for twenty seconds."""
    flows = (Flow("all", clients=4, **flow),)  # type: ignore[arg-type]
    return run(Scenario(flows, gateway, upstream, seconds=20.0, warm_up=0.0), seeded(1))


def test_the_same_luck_gives_the_same_report() -> None:
    scenario = Scenario((Flow("all", rate=20.0, retries=2),), seconds=60.0)
    assert run(scenario, seeded(1)).requests == run(scenario, seeded(1)).requests
    assert run(scenario, seeded(1)).requests != run(scenario, seeded(2)).requests


def test_calls_come_and_take_as_long_as_the_model_says() -> None:
    report = run(Scenario((Flow("all", rate=5.0, patience=inf),), seconds=2000.0, warm_up=0.0), seeded(1))
    part = report.part()
    assert part.offered == pytest.approx(10_000, rel=0.03)
    assert sum(call.work.rest for call in part.calls) / part.offered == pytest.approx(8.0, rel=0.05)
    assert part.time(0.5) == pytest.approx(0.3 + 8.0 * 0.6065, rel=0.05)
    assert (part.first_byte(0.01), part.first_byte(0.99)) == pytest.approx((0.3, 0.3))
    assert report.goodput == part.share == 1.0
    assert (report.capacity, report.refusals, report.amplification()) == (12.5, 0, 1.0)


def test_a_provider_refuses_what_has_no_slot_and_no_place_in_its_queue() -> None:
    report = four_clients()
    assert report.refusals > 0
    assert report.turned_away == 0
    assert report.part().first_byte(1.0) == 0.5
    assert len(report.requests) == len(report.gateway_calls) == report.part().offered


def test_a_provider_lets_wait_who_has_a_place_in_its_queue() -> None:
    report = four_clients(upstream=UpstreamModel(slots=2, queue=2, first_byte=0.5, mean=1.5, sigma=0.0))
    assert report.refusals == 0
    assert report.part().first_byte(1.0) == 2.5
    assert report.rate == 1.1  # 20 of 20 seconds, and those who began last


def test_an_answer_after_the_patience_is_of_no_use() -> None:
    patient = four_clients(upstream=UpstreamModel(slots=2, queue=2, first_byte=0.5, mean=1.5, sigma=0.0), patience=4.0)
    hasty = four_clients(upstream=UpstreamModel(slots=2, queue=2, first_byte=0.5, mean=1.5, sigma=0.0), patience=3.9)
    assert patient.part().share == 1.0
    assert hasty.part().served == 2
    assert len(patient.requests) == len(hasty.requests)


def test_a_brown_out_lets_begin_fewer_and_ends() -> None:
    scenario = Scenario((Flow("all", rate=9.0),), brown_outs=(BrownOut(100.0, seconds=40.0, share=0.1),))
    report = run(scenario, seeded(1))
    assert report.part(until=95.0).share > 0.95
    assert report.part(since=120.0, until=135.0).share < 0.2
    assert report.recovery(140.0, 0.9) <= 5.0
    assert report.recovery(100.0, 0.9) >= 35.0
    assert report.recovery(296.0, 0.9) == inf


def test_a_refusal_that_costs_a_slot_is_paid_before_those_who_wait_are_served() -> None:
    dear = UpstreamModel(slots=2, queue=0, first_byte=0.5, mean=1.5, sigma=0.0, refusal_cost=0.5)
    assert four_clients(upstream=dear).rate < four_clients().rate


def test_an_sdk_tries_again_when_the_refusal_said() -> None:
    report = four_clients(retries=2)
    assert max(call.tries for call in report.calls) == 3
    assert len(report.gateway_calls) > report.part().offered
    retried = next(call for call in report.calls if call.tries > 1 and call.served)
    assert retried.answered_at is not None
    assert retried.answered_at - retried.arrived_at >= 1.0 + STEADY.round_trip


def test_a_limit_keeps_the_provider_from_refusing() -> None:
    report = four_clients(TWO)
    assert report.refusals == 0
    assert report.turned_away > 0
    assert len(report.requests) + report.turned_away == len(report.gateway_calls)
    assert report.limit == 2


class Recording(AdaptiveLimiter):
    """Remembers what it is told."""

    __slots__ = ("first_bytes", "refusals")

    def __init__(self) -> None:
        super().__init__(AdaptiveRule(initial=9), "gateway")
        self.first_bytes = list[float]()
        self.refusals = 0

    def answered(self, permit: Permit, first_byte: float, now: float) -> None:
        self.first_bytes.append(first_byte)
        super().answered(permit, first_byte, now)

    def leave(
        self,
        permit: Permit,
        outcome: Outcome,
        now: float,
        *,
        overloaded: bool = False,
        first_byte: float | None = None,
    ) -> None:
        self.refusals += overloaded
        super().leave(permit, outcome, now, overloaded=overloaded, first_byte=first_byte)


@pytest.mark.interpreted
def test_an_adaptive_limit_is_told_of_refusals_and_of_first_bytes() -> None:
    limiter = Recording()
    report = four_clients(GatewayRule(limiter=lambda: limiter, queue_size=9))
    assert limiter.refusals == report.refusals > 0
    assert limiter.first_bytes == [0.5] * report.part().served
    assert report.limit == limiter.limit < 9


def test_a_queue_before_the_limit_serves_all() -> None:
    report = four_clients(replace(TWO, queue_size=2))
    assert (report.refusals, report.turned_away) == (0, 0)
    assert report.part().first_byte(1.0) == 2.5


def test_a_full_queue_pushes_out_and_a_late_one_gives_up() -> None:
    full = four_clients(replace(TWO, queue_size=1))
    late = four_clients(replace(TWO, queue_size=2, queue_timeout=1.0))
    for report in (full, late):
        assert report.turned_away > 0
        assert report.part().served == len(report.requests)
    assert late.part().first_byte(1.0) <= 1.5


def test_who_has_waited_too_long_goes_nowhere_when_a_permit_comes_free_at_that_instant() -> None:
    report = four_clients(replace(TWO, queue_size=2, queue_timeout=2.0))
    assert report.turned_away > 0
    assert report.part().served == len(report.requests)


def test_a_fair_queue_serves_the_light_one_first_and_one_line_does_not() -> None:
    flows = (Flow("hog", clients=20), Flow("light", rate=0.2))
    fair, unfair = (
        run(Scenario(flows, replace(TWO, queue_size=50, queue_timeout=100.0, fair=fair), STEADY), seeded(1))
        for fair in (True, False)
    )
    assert fair.part("light").first_byte(0.9) <= 3.0
    assert unfair.part("light").first_byte(0.9) > 15.0


def test_a_breaker_spares_a_provider_that_refuses() -> None:
    rule = GatewayRule(breaker=lambda: Breaker("breaker", BreakerRule(timeout=5.0)))
    report = four_clients(rule, UpstreamModel(slots=0, queue=0))
    assert report.refusals == len(report.requests) < report.turned_away + 12
    assert report.part().served == 0
    assert isnan(report.part().first_byte(0.5))


def test_a_gateway_retries_as_often_as_its_tries_and_its_budget_allow() -> None:
    dead = UpstreamModel(slots=0, queue=0)
    assert four_clients(GatewayRule(tries=3), dead).amplification() == 3.0
    report = four_clients(GatewayRule(tries=3, budget=lambda: RetryBudget(0.1, floor=0.0, cap=1.0)), dead)
    assert 1.0 < report.amplification() <= 1.1 + 1.0 / len(report.gateway_calls)
    assert report.retries == len(report.requests) - len(report.gateway_calls)


def test_a_gateway_that_listens_waits_as_long_as_the_provider_asked_for() -> None:
    dead = UpstreamModel(slots=0, queue=0, retry_after=3.0, round_trip=0.0)
    listening, deaf = (
        run(Scenario((Flow("all", clients=1),), GatewayRule(tries=2, retry_wait=wait), dead, seconds=1.0), seeded(1))
        for wait in (None, 0.1)
    )
    assert 3.0 <= listening.requests[1] - listening.requests[0] <= 3.6
    assert deaf.requests[:2] == (0.0, 0.1)


def test_a_breaker_that_refuses_gives_the_permit_back() -> None:
    rule = replace(TWO, breaker=lambda: Breaker("breaker", BreakerRule(timeout=5.0)))
    report = four_clients(rule, UpstreamModel(slots=0, queue=0))
    assert report.requests[-1] > 10.0


def test_goodput_is_of_the_offered_calls_or_of_the_capacity() -> None:
    light, heavy = (
        run(Scenario((Flow("all", rate=rate),), upstream=UpstreamModel(queue=0)), seeded(1)) for rate in (5.0, 50.0)
    )
    assert light.goodput == light.part().share > 0.95
    assert heavy.goodput == pytest.approx(heavy.rate / 12.5)
    assert 0.9 < heavy.goodput < 1.0
    assert heavy.part().share < 0.3


def test_nobody_retries_what_broke_off() -> None:
    report = four_clients(GatewayRule(tries=3), UpstreamModel(slots=4, breaking_off=1.0, sigma=0.0), retries=2)
    assert report.part().served == 0
    assert (report.retries, report.late) == (0, 0)
    assert {call.tries for call in report.calls} == {1}
    times = [call.ended_at - call.arrived_at for call in report.calls if call.ended_at is not None]
    assert times == pytest.approx([0.3 + 8.0 / 2.0] * len(report.calls))


def test_percentiles_are_values_that_were_seen() -> None:
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (0.0, 0.25, 0.5, 0.51, 1.0)] == [1, 1, 2, 3, 4]
    assert isnan(percentile([], 0.5))
    assert isnan(Part(()).share)
