"""One who asks for all cannot have it: an elephant among mice, and a hog beside a light user, on a virtual clock."""

import random

import pytest
from conftest import Told

from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.simulation.gateway import GatewayRule
from aibridge.overload.simulation.report import Part, Report
from aibridge.overload.simulation.scenario import Scenario, run
from aibridge.overload.simulation.traffic import Flow
from aibridge.overload.simulation.upstream import UpstreamModel

SEEDS = (1, 2, 3)
ELEPHANT = Flow("elephant", rate=100.0)
MICE = 20
PROVIDERS = {
    "100 slots of 8 s": (UpstreamModel(queue=0), 0.25),
    "8 slots of 200 ms": (UpstreamModel(slots=8, queue=0, first_byte=0.05, mean=0.15, sigma=0.5), 0.5),
}
"""Providers, and the calls per second of each mouse: together two fifths, and a quarter, of what they can do."""

HOG = (Flow("hog", clients=40), Flow("light", rate=2.0))
DEMO = UpstreamModel(slots=8, queue=0, first_byte=0.05, mean=0.15, sigma=0.0)


def crowd(flows: tuple[Flow, ...], upstream: UpstreamModel, seed: int, *, fair: bool = True) -> Report:
    """The provider behind a limit that knows its slots, and a queue before that."""
    gateway = GatewayRule(
        lambda: ConcurrencyLimiter(upstream.slots, "provider"), queue_size=100, queue_timeout=10.0, fair=fair
    )
    scenario = Scenario(flows, gateway, upstream, seconds=70.0, warm_up=10.0)
    return run(scenario, random.Random(seed).random)


def mice(rate: float) -> tuple[Flow, ...]:
    return tuple(Flow(f"mouse {number}", rate=rate, patience=300.0) for number in range(MICE))


def theirs(report: Report) -> Part:
    return Part(tuple(call for call in report.part().calls if call.flow is not ELEPHANT))


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_elephant_does_not_hurt_mice(name: str, scorecard: Told) -> None:
    upstream, rate = PROVIDERS[name]
    alone = [theirs(crowd(mice(rate), upstream, seed)) for seed in SEEDS]
    beside = [theirs(crowd((*mice(rate), ELEPHANT), upstream, seed)) for seed in SEEDS]
    one_line = theirs(crowd((*mice(rate), ELEPHANT), upstream, SEEDS[0], fair=False))
    served = min(part.share for part in beside)
    slower = max(part.time(0.99) / calm.time(0.99) for part, calm in zip(beside, alone, strict=True))
    later = max(part.first_byte(0.99) - calm.first_byte(0.99) for part, calm in zip(beside, alone, strict=True))
    scorecard(
        17,
        f"an elephant among mice, {name}: {served * 100.0:.1f} % of the mice's calls served (>= 99), "
        f"p99 {slower:.2f}x alone (<= 1.5), first byte p99 {later * 1000.0:.0f} ms later; "
        f"in one line {one_line.share * 100.0:.1f} % served",
    )
    assert served >= 0.99
    assert slower <= 1.5
    assert one_line.share < 0.5


def test_a_hog_does_not_hurt_a_light_user_and_no_slot_is_idle(scorecard: Told) -> None:
    fair = [crowd(HOG, DEMO, seed) for seed in SEEDS]
    one_line = crowd(HOG, DEMO, SEEDS[0], fair=False)
    served = min(report.part("light").share for report in fair)
    p95 = max(report.part("light").time(0.95) for report in fair)
    rate = min(report.rate for report in fair)
    scorecard(
        17,
        f"a hog of 40 clients beside a light user, 8 slots of 200 ms: {served * 100.0:.1f} % served (>= 99), "
        f"p95 {p95 * 1000.0:.0f} ms (<= 450), {rate:.1f} calls/s in all (>= 38); "
        f"in one line p95 {one_line.part('light').time(0.95) * 1000.0:.0f} ms",
    )
    assert served >= 0.99
    assert p95 <= 0.45
    assert rate >= 38.0
    assert one_line.part("light").time(0.95) > 1.0
