"""Row 6: what a decision costs in process."""

import gc
import time
import timeit
from collections.abc import Callable

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.counts import Ask, Held
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome
from aibridge.overload.rate import Gcra

BATCHES, CALLS = 100, 1000
RULES = [
    Rule(name="calls", unit=Unit.REQUESTS, amount=10**6, window=0.001, burst=10**6, subject=Subject.TOKEN),
    Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=10**12, window=60.0, subject=Subject.USER),
    Rule(name="slots", unit=Unit.CONCURRENT, amount=1000),
]


def test_a_decision_over_three_limits_takes_microseconds(scorecard: Callable[[int, str], None]) -> None:
    """The best of many short batches, since other processes disturb the rest of them."""
    memory, clock = Memory(RULES), time.perf_counter
    callers = [(Ask(0, f"token-{number}"), Ask(1, f"user-{number}", 700.0), Ask(2, "")) for number in range(CALLS)]
    best = 1.0
    for _ in range(BATCHES):
        took = []
        gc.disable()
        for number in range(CALLS):
            asks = callers[number]
            began = clock()
            answer = memory.try_take(asks, began)
            took.append(clock() - began)
            assert isinstance(answer, Held)
            memory.settle(answer, (1.0, 500.0, 1.0), Outcome.SUCCESS, began)
        gc.enable()
        took.sort()
        best = min(best, took[CALLS * 99 // 100])
    scorecard(6, f"p99 of a decision over 3 limits {best * 1e6:.1f} us of {BATCHES * CALLS:,} calls (target: <= 10 us)")
    assert best <= 10e-6


def test_a_bare_gcra_decision_takes_less_than_a_microsecond(scorecard: Callable[[int, str], None]) -> None:
    limiter = Gcra(1e6, 1e6, "calls")
    runs = timeit.repeat("take(clock())", globals={"take": limiter.take, "clock": time.monotonic}, number=20_000)
    best = min(runs) / 20_000
    scorecard(6, f"a bare GCRA decision {best * 1e6:.2f} us (target: <= 1 us)")
    assert best <= 1e-6
