"""Row 8: a call that is refused by its last limit takes nothing of the others."""

from collections.abc import Callable

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.counts import Ask, Held, Refusal
from aibridge.limits.memory import Memory

REFUSALS = 100_000
OTHERS = [
    Rule(name="calls", unit=Unit.REQUESTS, amount=1000, window=3600.0, subject=Subject.TOKEN),
    Rule(name="pace", unit=Unit.REQUESTS, amount=1000, window=3600.0, burst=1000, subject=Subject.USER),
    Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=1_000_000, window=3600.0, subject=Subject.USER),
    Rule(name="cost", unit=Unit.COST, amount=10**12, window=86_400.0, subject=Subject.ORGANIZATION),
    Rule(name="slots", unit=Unit.CONCURRENT, amount=100),
]
LASTS = {
    Unit.REQUESTS: Rule(name="last", unit=Unit.REQUESTS, amount=1, window=3600.0),
    Unit.OUTPUT_TOKENS: Rule(name="last", unit=Unit.OUTPUT_TOKENS, amount=1, window=3600.0),
    Unit.CONCURRENT: Rule(name="last", unit=Unit.CONCURRENT, amount=1),
}
ASKS = (Ask(0, "token"), Ask(1, "user"), Ask(2, "user", 5000.0), Ask(3, "org", 1e8), Ask(4, ""), Ask(5, ""))


def test_a_refusal_by_the_last_limit_consumes_nothing_of_the_others(scorecard: Callable[[int, str], None]) -> None:
    taken = 0.0
    for last in LASTS.values():
        memory = Memory([*OTHERS, last])
        assert isinstance(memory.try_take(ASKS[-1:], 0.0), Held)
        for number in range(REFUSALS // len(LASTS) + 1):
            now = number * 1e-6
            answer = memory.try_take(ASKS, now)
            assert isinstance(answer, Refusal)
            assert answer.rule == 5
        taken += sum(memory._counters[ask.rule].limiters.get(ask.key, now).used(now) for ask in ASKS[:-1])
    scorecard(8, f"{taken:g} taken of the other limits by {REFUSALS:,} refusals of the last (target: 0)")
    assert taken == 0.0
