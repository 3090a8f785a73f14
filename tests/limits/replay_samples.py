"""Calls and rules to rehearse with."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from aibridge.domain.price import Price
from aibridge.domain.rule import Rule, Unit
from aibridge.limits.arrivals import Arrival
from aibridge.limits.replay import Decision, Replay
from aibridge.limits.replay_report import Report, Summary

START = 1_790_000_040.0
"""On a full minute."""


def a_call(at: float, duration: float = 1.0, actor: str = "ada", **changes: Any) -> Arrival:
    """A call `at` seconds after the start."""
    values: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-6",
        "input_tokens": 100,
        "output_tokens": 50,
    }
    return Arrival(at=START + at, actor=actor, duration=duration, **values | changes)


def a_rule(unit: Unit = Unit.REQUESTS, amount: int = 1, **changes: Any) -> Rule:
    values: dict[str, Any] = {"name": "r", "unit": unit, "amount": amount}
    return Rule(**values | changes)


def played(
    calls: Iterable[Arrival], *rules: Rule, retries: int = 0, prices: Sequence[Price] = (), seed: int = 1
) -> list[Decision]:
    chance = random.Random(seed)
    with Replay(rules, prices, retries=retries, luck=chance.random) as replay:
        decisions = [decision for call in calls for decision in replay.arrive(call)]
        return decisions + replay.finish()


def summed(calls: Sequence[Arrival], *rules: Rule, retries: int = 0, prices: Sequence[Price] = ()) -> Summary:
    chance = random.Random(1)
    report = Report(rules, prices)
    with Replay(rules, prices, retries=retries, luck=chance.random) as replay:
        for call in calls:
            report.arrived(call)
            for decision in replay.arrive(call):
                report.decided(decision)
        for decision in replay.finish():
            report.decided(decision)
    return report.summary()
