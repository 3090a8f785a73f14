"""Row 23: a hundred thousand tokens or models cost little memory, and more of them cost no more."""

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from conftest import Told
from engine_world import ADA, caller, driven
from layer_cases import a_call

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.price import Price
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.domain.usage import Usage, UsageSource
from aibridge.gateway.guards import Guards
from aibridge.limits.counts import Ask, Held
from aibridge.limits.engine import Limits, Size
from aibridge.limits.memory import Memory
from aibridge.overload.adaptive import AdaptiveRule
from aibridge.overload.breaker import BreakerRule
from aibridge.overload.outcome import Outcome
from aibridge.telemetry import Telemetry
from aibridge.telemetry_kinds import MOST_SERIES
from aibridge.wire.dialect import View
from aibridge.wire.request import LONGEST_MODEL

TOKENS, MORE = 100_000, 5000
MODELS = 100_000
MOST_GROWN = 20_000_000
"""Bytes."""
FEW = 1500
"""Tokens: enough to tell what one costs, by tables that are as full as those of a hundred thousand."""
RULES = [
    Rule(name="calls", unit=Unit.REQUESTS, amount=10, window=60.0, subject=Subject.TOKEN),
    Rule(name="spending", unit=Unit.TOTAL_TOKENS, amount=10_000, window=60.0, subject=Subject.TOKEN),
    Rule(name="slots", unit=Unit.CONCURRENT, amount=10, subject=Subject.TOKEN, queue_timeout=5.0, queue_size=10),
]


PATTERNS = ("gpt-*", "claude-*", "*-mini", "o?")
RULES_OF_MODELS = [
    Rule(name=f"{unit} of {model}", unit=unit, amount=10**9, window=window, model=model, subject=Subject.TOKEN)
    for model, unit, window in (
        ("gpt-*", Unit.REQUESTS, 60.0),
        ("claude-*", Unit.COST, 60.0),
        ("other-*", Unit.CONCURRENT, 0.0),
    )
]
PRICES = [Price(model=model, input=1, output=2) for model in PATTERNS]
USAGE = Usage(input_tokens=10, output_tokens=5)


@dataclass(slots=True, frozen=True)
class Growth:
    """Bytes: what the first calls left behind, and with what so many more left besides."""

    first: int
    flooded: int

    @classmethod
    def of(cls, call: Callable[[int], None], first: int, more: int) -> "Growth":
        """Make calls by their numbers."""
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(first):
                call(number)
            grown = tracemalloc.get_traced_memory()[0] - before
            for number in range(first, first + more):
                call(number)
            return cls(grown, tracemalloc.get_traced_memory()[0] - before)
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_hundred_thousand_tokens_cost_at_most_twenty_megabytes(rule: Rule, scorecard: Told) -> None:
    names = [f"tok-{number:06}" for number in range(TOKENS + MORE)]
    memory = Memory([rule])

    def call(number: int) -> None:
        now = 1e6 + number * 1e-6
        answer = memory.try_take((Ask(0, names[number], 1.0),), now)
        if isinstance(answer, Held):
            memory.settle(answer, (0.75 if rule.weighed else 1.0,), Outcome.SUCCESS, now)

    grown = Growth.of(call, TOKENS, MORE)
    scorecard(23, f"{TOKENS:,} tokens cost {grown.first / 1e6:.1f} MB under the rule {rule.name} (target: <= 20 MB)")
    assert len(memory._counters[0].limiters) == TOKENS
    assert grown.first <= MOST_GROWN
    assert grown.flooded <= grown.first + 100_000


@pytest.mark.parametrize(
    ("rules", "calls", "most"),
    [(RULES[:1], 10, 300), (RULES, 1, 470), (RULES, 10, 620)],
    ids=["a limit of ten used up", "three rules", "three rules and one used up"],
)
def test_a_token_costs_what_its_rules_keep_of_its_calls(
    rules: list[Rule], calls: int, most: int, scorecard: Told
) -> None:
    """Rules add up, and one that counts requests to the last keeps each of them: `most` is in bytes."""
    memory = Memory(rules)
    asks = [tuple(Ask(place, f"tok-{number:06}", 1.0) for place in range(len(rules))) for number in range(FEW)]
    costs = tuple(0.75 if rule.weighed else 1.0 for rule in rules)

    def call(number: int) -> None:
        for again in range(calls):
            now = 1e6 + number * 1e-6 + again * 0.125
            answer = memory.try_take(asks[number], now)
            assert isinstance(answer, Held)
            memory.settle(answer, costs, Outcome.SUCCESS, now)

    each = Growth.of(call, FEW, 0).first / FEW
    names = " and ".join(rule.name for rule in rules)
    scorecard(
        23,
        f"a token costs {each:.0f} bytes under {names} with {calls} calls in a window, "
        f"{TOKENS:,} of them {TOKENS * each / 1e6:.0f} MB (bound: {most} bytes)",
    )
    assert each <= most


class Gateway:
    """All that tells models apart: breakers and learnt limits, rules and prices, metrics."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limits = Limits(
            RULES_OF_MODELS,
            Memory(RULES_OF_MODELS, lambda: self.now),
            PRICES,
            clock=lambda: self.now,
            wall_clock=lambda: self.now,
        )
        self.guards = Guards(
            ["openai", "anthropic"],
            PATTERNS,
            rule=BreakerRule(failure_threshold=5),
            adaptive=AdaptiveRule(),
            shared=Memory(()),
            clock=lambda: self.now,
        )
        self.telemetry = Telemetry()
        self._call = a_call()

    def call(self, model: str) -> None:
        self.now += 0.001
        self._call.view = View(model=model)
        admission = driven(self.limits.admit(caller(), Size(model=model, body_bytes=40, max_output_tokens=90)))
        self.guards.of(self._call)
        series = self.telemetry.began(interception(model))
        self.telemetry.ended(series, ENDING, 1.0)
        self.limits.close(admission, USAGE, Outcome.SUCCESS)


ENDING = Ending(id="i", status=Status.COMPLETED, ended_at=2, usage=USAGE, usage_source=UsageSource.PROVIDER)


def interception(model: str) -> Interception:
    return Interception(
        id="i",
        actor_id=ADA.id,
        token_id=ADA.token_id,
        client="Codex",
        provider="openai",
        model=model,
        route="/v1/responses",
        streaming=True,
        session_id=None,
        user_agent="codex",
        started_at=1,
    )


def test_a_hundred_thousand_models_cost_at_most_twenty_megabytes(scorecard: Told) -> None:
    """Names as long as a call may have them, of which some match a pattern that was configured."""
    gateway = Gateway()

    def call(number: int) -> None:
        kind = ("gpt-", "claude-", "other-")[number % 3]
        gateway.call(f"{kind}{number:0{LONGEST_MODEL - len(kind)}}")

    places = len(gateway.guards.places)
    grown = Growth.of(call, MODELS, MORE)
    shown = sum(b"_interceptions_total{" in line for line in gateway.telemetry.exposition().splitlines())
    scorecard(
        23,
        f"{MODELS:,} models cost {grown.first / 1e6:.1f} MB (target: <= 20 MB), {shown} series and {places} breakers",
    )
    assert grown.first <= MOST_GROWN
    assert grown.flooded <= grown.first + 100_000
    assert len(gateway.guards.places) == places == 2 * 2 * (len(PATTERNS) + 1)
    assert shown == MOST_SERIES + 1
