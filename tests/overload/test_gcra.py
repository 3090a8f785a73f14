"""`Gcra`: at most `rate * W + burst` in any W seconds, costs settled later, and the wait is the truth."""

import copy
from fractions import Fraction
from math import inf, nan

import pytest
from chance import seeded
from hypothesis import given
from hypothesis import strategies as st
from leaky_bucket import LeakyBucket

from aibridge.overload.outcome import Rejection
from aibridge.overload.rate import Gcra, RateLimiter

finite_rates = st.floats(min_value=1e-4, max_value=1e6)


def test_a_burst_goes_at_once_and_then_the_rate_holds() -> None:
    limiter: RateLimiter = Gcra(2.0, 4.0, "tokens")
    assert [limiter.take(10.0) for _ in range(4)] == [None] * 4
    assert limiter.take(10.0) == Rejection(limit="tokens", allowed=4.0, window=2.0, retry_after=0.5)
    assert limiter.take(10.5) is None
    assert limiter.take(10.75) == Rejection(limit="tokens", allowed=4.0, window=2.0, retry_after=0.25)


@pytest.mark.parametrize("now", [0.1, 86_400.3, 1e6 + 0.7, 3e8 + 0.9])
@pytest.mark.parametrize("burst", [3, 7, 10, 1000])
def test_rounding_takes_nothing_from_a_burst(now: float, burst: int) -> None:
    limiter = Gcra(burst / 7, burst, "tokens")
    assert [limiter.take(now) for _ in range(burst)] == [None] * burst
    assert limiter.take(now) is not None


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([0, 0, 1, 2, 7, 64, 640]),
            st.integers(0, 8),
            st.one_of(st.none(), st.none(), st.integers(-12, 12)),
        ),
        max_size=80,
    )
)
def test_it_decides_exactly_as_a_leaky_bucket(steps: list[tuple[int, int, int | None]]) -> None:
    limiter, bucket = Gcra(4.0, 8.0, "tokens"), LeakyBucket(Fraction(4), Fraction(8))
    now = 0.0
    for ticks, cost, difference in steps:
        now += ticks / 64
        rejection = limiter.take(now, cost)
        assert (0 if rejection is None else rejection.retry_after) == bucket.take(now, cost)
        if difference is not None:
            limiter.settle(now, difference)
            bucket.settle(now, difference)
        assert limiter.idle(now) == (bucket.level == 0)


@given(
    rate=finite_rates,
    burst=st.floats(min_value=1.0, max_value=1e6),
    start=st.floats(min_value=0.0, max_value=1e8),
    calls=st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 1.0)), max_size=60),
)
def test_no_window_holds_more_than_rate_times_its_length_plus_burst(
    rate: float, burst: float, start: float, calls: list[tuple[float, float]]
) -> None:
    limiter = Gcra(rate, burst, "tokens")
    now, taken = start, list[tuple[Fraction, Fraction]]()
    for gap, share in calls:
        now += gap * burst / rate
        cost = share * burst
        if limiter.take(now, cost) is None:
            taken.append((Fraction(now), Fraction(cost)))
    dust = Fraction(rate) * Fraction(now + 1.0) * Fraction(len(taken) + 1, 2**50) + Fraction(burst) / 2**40
    for first in range(len(taken)):
        spent = Fraction(0)
        for at, cost_taken in taken[first:]:
            spent += cost_taken
            assert spent <= Fraction(rate) * (at - taken[first][0]) + Fraction(burst) + dust


@pytest.mark.thorough
def test_a_million_arrivals_keep_the_bound_to_the_last_tick() -> None:
    rate, burst, second = 64, 32, 1 << 20  # a grid on which floats are exact, so that the oracle can count in integers
    limiter = Gcra(float(rate), float(burst), "tokens")
    take, chance = limiter.take, seeded(11)
    tick = spent = lowest = highest = 0
    for _ in range(1_000_000):
        luck = chance()
        tick += int(luck * 30_000) if luck < 0.9 else 0
        cost = 1 + int(luck * 8) % 3
        if take(tick / second, cost) is None:
            lowest = min(lowest, spent * second - rate * tick)
            spent += cost
            highest = max(highest, spent * second - rate * tick - lowest)
    assert highest == burst * second  # reached, and never exceeded
    assert spent >= 0.99 * rate * tick / second


@pytest.mark.interpreted
@given(
    rate=finite_rates,
    start=st.floats(min_value=0.0, max_value=1e8),
    calls=st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 10)), max_size=40),
)
def test_waiting_the_stated_time_admits_and_a_millisecond_less_does_not(
    rate: float, start: float, calls: list[tuple[float, int]]
) -> None:
    limiter, now = Gcra(rate, 10.0, "tokens"), start
    for share, cost in calls:
        now += share / rate
        rejection = limiter.take(now, cost)
        if rejection is not None:
            assert copy.deepcopy(limiter).take(now + rejection.retry_after, cost) is None
            assert copy.deepcopy(limiter).take(max(now, now + rejection.retry_after - 0.001), cost) is not None


@given(
    rate=finite_rates,
    start=st.floats(min_value=0.0, max_value=1e8),
    calls=st.lists(st.tuples(st.floats(-1.0, 3.0), st.integers(0, 10), st.integers(-12, 12)), max_size=40),
)
def test_asking_for_the_wait_says_what_taking_would_and_changes_nothing(
    rate: float, start: float, calls: list[tuple[float, int, int]]
) -> None:
    limiter, now = Gcra(rate, 10.0, "tokens"), start
    for share, cost, difference in calls:
        now += share / rate
        before = limiter._since, limiter._spent
        admits, wait = limiter.admits(now, cost), limiter.wait(now, cost)
        assert (limiter._since, limiter._spent) == before
        rejection = limiter.take(now, cost)
        assert admits == (rejection is None)
        assert wait == (0.0 if rejection is None else rejection.retry_after)
        if rejection is not None:
            assert wait > 0.0
        limiter.settle(now, difference)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0, 0, 1, 7, 64, 640]), st.integers(0, 8), st.integers(-9, 9)), max_size=60
    )
)
def test_the_use_is_what_was_spent_and_is_not_yet_refilled(steps: list[tuple[int, int, int]]) -> None:
    limiter, bucket = Gcra(4.0, 8.0, "tokens"), LeakyBucket(Fraction(4), Fraction(8))
    now = 0.0
    for ticks, cost, difference in steps:
        now += ticks / 64
        limiter.take(now, cost)
        bucket.take(now, cost)
        assert limiter.used(now) == bucket.level
        limiter.settle(now, difference)
        bucket.settle(now, difference)
        assert limiter.used(now) == bucket.level


def test_the_use_does_not_grow_where_the_clock_steps_back() -> None:
    limiter = Gcra(1.0, 5.0, "tokens")
    limiter.take(100.0, 3.0)
    assert limiter.used(50.0) == 3.0


@given(
    nows=st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0, 9.0]), min_size=1, max_size=40),
    costs=st.lists(st.integers(1, 4), min_size=40, max_size=40),
)
def test_a_clock_that_steps_back_counts_as_one_that_stands_still(nows: list[float], costs: list[int]) -> None:
    limiter, latest, taken = Gcra(1.0, 4.0, "tokens"), 0.0, list[tuple[float, int]]()
    for now, cost in zip(nows, costs, strict=False):
        latest = max(latest, now)
        if limiter.take(now, cost) is None:
            taken.append((latest, cost))
    for first, (start, _) in enumerate(taken):
        spent = 0
        for at, cost in taken[first:]:
            spent += cost
            assert spent <= (at - start) + 4.0


def test_a_clock_that_steps_back_takes_nothing_from_a_burst() -> None:
    limiter = Gcra(1.0, 3.0, "tokens")
    assert [limiter.take(now) for now in (100.0, 50.0, 0.0)] == [None] * 3
    assert limiter.take(50.0) is not None


def test_a_credit_while_the_clock_is_behind_is_clamped_as_well() -> None:
    limiter = Gcra(1.0, 5.0, "tokens")
    limiter.take(100.0, 5.0)
    limiter.settle(50.0, -1000.0)
    assert limiter.take(50.0, 5.0) is None
    assert limiter.take(60.0, 5.0) is not None


@given(gaps=st.lists(st.sampled_from([0.0, 0.25, 1.0, 4.0]), min_size=1, max_size=30), data=st.data())
def test_forgetting_an_idle_limiter_changes_no_later_decision(gaps: list[float], data: st.DataObject) -> None:
    limiter, now, nows = Gcra(1.0, 3.0, "tokens"), 50.0, list[float]()
    for gap in gaps:
        now += gap
        nows.append(now)
    cut = data.draw(st.integers(0, len(nows) - 1))
    for earlier in nows[:cut]:
        limiter.take(earlier)
    if limiter.idle(nows[cut]):
        fresh = Gcra(1.0, 3.0, "tokens")
        assert [limiter.take(later) for later in nows[cut:]] == [fresh.take(later) for later in nows[cut:]]


def test_a_credit_never_lets_more_than_the_burst_go_at_once() -> None:
    limiter = Gcra(1.0, 5.0, "tokens")
    limiter.take(0.0, 5.0)
    limiter.settle(0.0, -1000.0)
    assert [limiter.take(0.0, 5.0), limiter.take(0.0, 5.0) is None] == [None, False]


def test_a_credit_to_an_idle_limiter_is_nothing_and_a_debt_delays() -> None:
    limiter = Gcra(1.0, 5.0, "tokens")
    limiter.settle(0.0, -3.0)
    assert limiter.idle(0.0)
    limiter.settle(0.0, 7.0)
    rejection = limiter.take(0.0)
    assert rejection is not None
    assert rejection.retry_after == 3.0
    assert limiter.take(3.0) is None


def test_a_refused_call_costs_nothing() -> None:
    limiter = Gcra(1.0, 2.0, "tokens")
    limiter.take(0.0, 2.0)
    waits = {limiter.take(0.5, 1.0).retry_after for _ in range(100)}  # type: ignore[union-attr]
    assert waits == {0.5}


@pytest.mark.parametrize("cost", [5.5, -0.5, nan, inf])
def test_a_cost_that_can_never_pass_is_an_error_not_a_wait(cost: float) -> None:
    with pytest.raises(ValueError, match="can never pass a burst of 5"):
        Gcra(1.0, 5.0, "tokens").take(0.0, cost)
    with pytest.raises(ValueError, match="can never pass a burst of 5"):
        Gcra(1.0, 5.0, "tokens").wait(0.0, cost)
    with pytest.raises(ValueError, match="can never pass"):
        Gcra(1.0, 5.0, "tokens").admits(0.0, cost)


@pytest.mark.parametrize(
    ("rate", "burst"), [(0.0, 1.0), (-1.0, 1.0), (nan, 1.0), (inf, 1.0), (1.0, 0.0), (1.0, nan), (1.0, inf)]
)
def test_a_rate_that_means_nothing_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match=r"(rate|burst) must be"):
        Gcra(rate, burst, "tokens")
