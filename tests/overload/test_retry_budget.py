"""`RetryBudget`: what retries add to the load is bounded in every stretch, and single failures are paid for."""

from math import inf, nan
from typing import Any

import pytest
from chance import seeded
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload.retry_budget import RetryBudget

ROUNDING = 1e-9


def withdrawn(budget: RetryBudget, now: float, attempts: int) -> int:
    """How many of so many retries are paid for at once."""
    return sum(budget.withdraw(now) for _ in range(attempts))


@given(
    ratio=st.sampled_from([0.0, 0.01, 0.1, 1 / 3, 1.0]),
    floor=st.sampled_from([0.0, 0.1, 2.0]),
    cap=st.sampled_from([1.0, 2.5, 10.0]),
    steps=st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30),
)
def test_in_no_stretch_are_there_more_retries_than_published(
    ratio: float, floor: float, cap: float, steps: list[tuple[float, int, int]]
) -> None:
    budget, now = RetryBudget(ratio, floor=floor, cap=cap), 50.0
    seen = list[tuple[float, int, int]]()
    for gap, calls, attempts in steps:
        now += gap
        for _ in range(calls):
            budget.deposit(now)
        seen.append((now, calls, withdrawn(budget, now, attempts)))
    for first, (begin, _, _) in enumerate(seen):
        calls = retries = 0
        for end, more_calls, more_retries in seen[first:]:
            calls, retries = calls + more_calls, retries + more_retries
            assert retries <= ratio * calls + floor * (end - begin) + cap + ROUNDING


@given(floor=st.floats(0.0, 10.0), steps=st.lists(st.tuples(st.floats(0.0, 1e6), st.booleans()), max_size=30))
def test_with_a_ratio_of_zero_nothing_is_ever_retried(floor: float, steps: list[tuple[float, bool]]) -> None:
    budget = RetryBudget(0.0, floor=floor)
    for now, calls in steps:
        if calls:
            budget.deposit(now)
        else:
            assert not budget.withdraw(now)


def test_it_begins_with_its_cap_and_saves_up_no_more() -> None:
    budget = RetryBudget(0.5, floor=1.0, cap=3.0)
    assert withdrawn(budget, 100.0, 9) == 3
    assert withdrawn(budget, 100.0 + 3600.0, 9) == 3
    for _ in range(1000):
        budget.deposit(3700.0)
    assert withdrawn(budget, 3700.0, 9) == 3


def test_calls_earn_their_share_of_a_retry() -> None:
    budget = RetryBudget(0.25, floor=0.0, cap=3.0)
    assert withdrawn(budget, 0.0, 9) == 3
    for _ in range(3):
        budget.deposit(1.0)
    assert not budget.withdraw(1e6)
    budget.deposit(1e6)
    assert withdrawn(budget, 1e6, 9) == 1


def test_a_gateway_with_hardly_a_call_may_retry_by_its_floor() -> None:
    budget = RetryBudget(0.001, floor=0.125, cap=1.0)
    assert withdrawn(budget, 0.0, 9) == 1
    assert not budget.withdraw(7.875)
    assert budget.withdraw(8.0)


def test_a_clock_that_steps_back_stands_still() -> None:
    budget = RetryBudget(0.5, floor=1.0, cap=1.0)
    assert withdrawn(budget, 100.0, 9) == 1
    assert not any(budget.withdraw(now) for now in (40.0, 99.0, 100.0, 40.0, 100.5))
    assert budget.withdraw(101.0)
    budget.deposit(40.0)
    budget.deposit(40.0)
    assert budget.withdraw(40.0)


def test_failures_here_and_there_are_paid_for_and_a_storm_is_not() -> None:
    """The figures of the docstring, and a provider of which seven calls in ten fail."""

    def paid(share_failing: float, at_once: int, cap: float) -> float:
        chance, budget, tries, retries = seeded(1), RetryBudget(floor=0.0, cap=cap), 0, 0
        for number in range(50_000):
            budget.deposit(float(number))
            if chance() < share_failing / at_once:
                tries += at_once
                retries += withdrawn(budget, float(number), at_once)
        return retries / tries

    assert paid(0.05, 1, 10.0) > 0.995
    assert paid(0.05, 5, 10.0) == pytest.approx(0.94, abs=0.02)
    assert paid(0.05, 5, 2.0) == pytest.approx(0.35, abs=0.02)
    assert 0.7 * paid(0.7, 1, 10.0) < 0.101


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": -0.1}, r"ratio must be 0 \(off\) or a share up to 1, not -0.1"),
        ({"ratio": 1.1}, "ratio must be .*, not 1.1"),
        ({"ratio": nan}, "ratio must be .*, not nan"),
        ({"floor": -1.0}, r"floor must be 0 \(off\) or a positive number of retries per second, not -1.0"),
        ({"floor": inf}, "floor must be .*, not inf"),
        ({"cap": 0.5}, "cap must be at least 1 retry, not 0.5"),
        ({"cap": inf}, "cap must be .*, not inf"),
    ],
)
def test_what_is_not_allowed_says_what_is(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        RetryBudget(**arguments)
