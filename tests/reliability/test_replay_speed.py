"""A rehearsal of a million calls takes a minute."""

import random
import time
from collections.abc import Callable

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.replay import Replay
from aibridge.limits.replay_report import Report
from aibridge.limits.synthetic import synthetic

CALLS = 50_000
ALLOWED = 3.0
"""Seconds for so many: a million in a minute."""

RULES = (
    Rule(name="house", unit=Unit.CONCURRENT, amount=30, queue_timeout=10.0, queue_size=500),
    Rule(name="rate", unit=Unit.REQUESTS, amount=120, window=60.0, subject=Subject.TOKEN),
    Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=2_000_000, window=60.0, subject=Subject.USER),
)


def seconds_for_a_rehearsal() -> float:
    """Of this thread's own time: the machine may be busy with other things."""
    calls = list(synthetic(1, CALLS))
    chance = random.Random(1)
    report = Report(RULES, ())
    began = time.thread_time()
    with Replay(RULES, (), retries=2, luck=chance.random) as replay:
        for call in calls:
            report.arrived(call)
            for decision in replay.arrive(call):
                report.decided(decision)
        for decision in replay.finish():
            report.decided(decision)
    took = time.thread_time() - began
    totals = report.summary().totals
    assert totals.calls == totals.admitted + totals.refused == CALLS
    assert totals.refusals > 0
    assert totals.queued > 0
    return took


def test_a_million_calls_are_rehearsed_in_a_minute(scorecard: Callable[[int, str], None]) -> None:
    took = seconds_for_a_rehearsal()
    for _ in range(4):
        if took <= ALLOWED:
            break
        took = min(took, seconds_for_a_rehearsal())
    million = took * 1e6 / CALLS
    scorecard(0, f"simulate: {CALLS} calls, {len(RULES)} rules: {took:.2f} s, a million in {million:.0f} s (<= 60)")
    assert took <= ALLOWED
