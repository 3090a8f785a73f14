"""Row 23: a hundred thousand tokens cost little memory, and more of them cost no more."""

import tracemalloc
from collections.abc import Callable

import pytest

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.counts import Ask, Held
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome

TOKENS, MORE = 100_000, 5000
RULES = [
    Rule(name="calls", unit=Unit.REQUESTS, amount=10, window=60.0, subject=Subject.TOKEN),
    Rule(name="spending", unit=Unit.TOTAL_TOKENS, amount=10_000, window=60.0, subject=Subject.TOKEN),
    Rule(name="slots", unit=Unit.CONCURRENT, amount=10, subject=Subject.TOKEN, queue_timeout=5.0, queue_size=10),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_hundred_thousand_tokens_cost_at_most_twenty_megabytes(
    rule: Rule, scorecard: Callable[[int, str], None]
) -> None:
    names = [f"tok-{number:06}" for number in range(TOKENS + MORE)]
    memory = Memory([rule])

    def call(number: int) -> None:
        now = 1e6 + number * 1e-6
        answer = memory.try_take((Ask(0, names[number], 1.0),), now)
        if isinstance(answer, Held):
            memory.settle(answer, (0.75 if rule.weighed else 1.0,), Outcome.SUCCESS, now)

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(TOKENS):
            call(number)
        grown = tracemalloc.get_traced_memory()[0] - before
        limiters = memory._counters[0].limiters
        for number in range(TOKENS, TOKENS + MORE):
            call(number)
        flooded = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    scorecard(23, f"{TOKENS:,} tokens cost {grown / 1e6:.1f} MB under the rule {rule.name} (target: <= 20 MB)")
    assert len(limiters) == TOKENS
    assert grown <= 20_000_000
    assert flooded <= grown + 100_000
