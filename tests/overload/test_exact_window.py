"""`ExactWindow`: never above the limit in any window, never below it, and the wait is the truth."""

import copy
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate, pairwise
from math import nextafter

import pytest
from chance import seeded
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload import rate
from aibridge.overload.outcome import Rejection
from aibridge.overload.rate import ExactWindow

instants = st.floats(min_value=0.0, max_value=1e9)
windows = st.floats(min_value=1e-3, max_value=1e5)


@pytest.fixture
def few_places(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limits of more than four calls share places."""
    rate._rule.cache_clear()
    monkeypatch.setattr(rate, "PLACES", 4)
    yield
    rate._rule.cache_clear()


def arrivals(gaps: list[float], start: float) -> list[float]:
    """Instants from the gaps between them."""
    result = [start]
    for gap in gaps:
        result.append(result[-1] + gap)
    return result


def admitted(limiter: ExactWindow, nows: list[float]) -> list[float]:
    return [now for now in nows if limiter.take(now) is None]


def assert_no_window_holds_more(admissions: list[float], limit: int, window: float) -> None:
    for first, beyond in zip(admissions, admissions[limit:], strict=False):
        assert Fraction(beyond) - Fraction(first) >= Fraction(window)


def test_the_first_calls_of_a_quiet_caller_go_at_once_and_the_next_waits_a_window() -> None:
    limiter = ExactWindow(3, 1.0, "token")
    assert [limiter.take(5.0) for _ in range(3)] == [None] * 3
    assert limiter.take(5.25) == Rejection(limit="token", allowed=3, window=1.0, retry_after=0.75)
    assert [limiter.take(6.0) for _ in range(3)] == [None] * 3
    assert limiter.take(6.0) is not None


def test_a_window_is_half_open_so_its_end_is_already_the_next() -> None:
    limiter = ExactWindow(1, 1.0)
    assert limiter.take(0.0) is None
    assert limiter.take(0.999) is not None
    assert limiter.take(1.0) is None


def test_the_window_slides_call_by_call() -> None:
    limiter = ExactWindow(2, 10.0)
    assert admitted(limiter, [0.0, 4.0, 9.0, 10.0, 13.0, 14.0, 19.0, 20.0]) == [0.0, 4.0, 10.0, 14.0, 20.0]


@given(
    limit=st.integers(1, 6),
    window=windows,
    start=instants,
    gaps=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 1.0), st.sampled_from([1.0, 0.5, 2.0])), max_size=60),
)
def test_a_call_is_admitted_if_and_only_if_fewer_than_the_limit_are_in_the_window_before_it(
    limit: int, window: float, start: float, gaps: list[float]
) -> None:
    limiter = ExactWindow(limit, window)
    admissions: list[Fraction] = []
    for now in arrivals([gap * window for gap in gaps], start):
        exact = Fraction(now)
        recent = sum(1 for earlier in admissions if exact - earlier < Fraction(window))
        went = limiter.take(now) is None
        assert went == (recent < limit)
        if went:
            admissions.append(exact)


@pytest.mark.interpreted
@given(limit=st.integers(1, 5), window=windows, start=instants, shares=st.lists(st.floats(0.0, 0.4), max_size=30))
def test_waiting_the_stated_time_admits_and_a_millisecond_less_does_not(
    limit: int, window: float, start: float, shares: list[float]
) -> None:
    limiter = ExactWindow(limit, window)
    for now in arrivals([share * window for share in shares], start):
        rejection = limiter.take(now)
        if rejection is not None:
            wait = rejection.retry_after
            assert 0.0 < wait <= window * 1.000001 + 1e-6
            assert copy.deepcopy(limiter).take(now + wait) is None
            assert copy.deepcopy(limiter).take(max(now, now + wait - 0.001)) is not None


def test_the_wait_admits_where_the_difference_of_two_floats_is_rounded_down() -> None:
    limiter, now = (
        ExactWindow(1, 1.5 + 2.0**-52),
        2.0**-53,
    )  # both the difference and the sum are halfway between floats
    limiter.take(0.0)
    rejection = limiter.take(now)
    assert rejection is not None
    assert limiter.take(now + rejection.retry_after) is None


@given(limit=st.integers(1, 4), window=windows, nows=st.lists(instants, max_size=60))
def test_a_clock_that_steps_back_counts_as_one_that_stands_still(limit: int, window: float, nows: list[float]) -> None:
    admissions = admitted(ExactWindow(limit, window), nows)
    assert_no_window_holds_more(list(accumulate(admissions, max)), limit, window)


@given(limit=st.integers(1, 4), gaps=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]), max_size=40), data=st.data())
def test_forgetting_an_idle_limiter_changes_no_later_decision(
    limit: int, gaps: list[float], data: st.DataObject
) -> None:
    nows = arrivals(gaps, 100.0)
    limiter = ExactWindow(limit, 1.0)
    assert limiter.idle(nows[0])
    cut = data.draw(st.integers(0, len(nows) - 1))
    for now in nows[:cut]:
        limiter.take(now)
    if limiter.idle(nows[cut]):
        fresh = ExactWindow(limit, 1.0)
        assert [limiter.take(now) for now in nows[cut:]] == [fresh.take(now) for now in nows[cut:]]
    else:
        assert nows[cut] - nows[cut - 1] < 1.0 or limiter.take(nows[cut]) is None


def test_an_admitted_call_keeps_the_limiter_busy_until_it_leaves_the_window() -> None:
    limiter = ExactWindow(2, 1.0)
    limiter.take(7.0)
    assert not limiter.idle(7.999)
    assert limiter.idle(8.0)


@pytest.mark.thorough
def test_a_million_arrivals_never_put_more_than_the_limit_into_a_window() -> None:
    limit, second = 50, 1 << 20  # a grid on which floats are exact, so that the oracle can count in integers
    limiter = ExactWindow(limit, 1.0)
    take, chance = limiter.take, seeded(7)
    tick, admissions = 0, []
    for _ in range(1_000_000):
        luck = chance()
        tick += int(luck * 20_000) if luck < 0.9 else int(luck * 300) % 3
        if take(tick / second) is None:
            admissions.append(tick)
    assert len(admissions) > 300_000
    assert all(later - earlier >= second for earlier, later in zip(admissions, admissions[limit:], strict=False))
    elapsed = tick / second
    assert len(admissions) >= 0.99 * limit * elapsed


@pytest.mark.interpreted
@pytest.mark.usefixtures("few_places")
@pytest.mark.parametrize("limit", [4, 5, 8, 17, 40])
def test_calls_that_share_a_place_stay_below_the_limit_and_close_to_it(limit: int) -> None:
    limiter = ExactWindow(limit, 1.0)
    group = -(-limit // 4)
    chance = seeded(limit)
    now, admissions = 0.0, list[float]()
    for _ in range(4_000):
        now += chance() / limit * (3.0 if chance() < 0.05 else 1.0)
        rejection = limiter.take(now)
        if rejection is None:
            admissions.append(now)
        else:
            assert sum(1 for earlier in admissions[-limit:] if now - earlier < 1.0) > limit - 2 * group
            assert copy.deepcopy(limiter).take(now + rejection.retry_after) is None
    assert_no_window_holds_more(admissions, limit, 1.0)


@pytest.mark.usefixtures("few_places")
def test_calls_that_share_a_place_go_at_once_up_to_the_whole_limit() -> None:
    limiter = ExactWindow(12, 1.0)
    for start in (0.0, 1.0):
        assert sum(limiter.take(start) is None for _ in range(20)) == 12


def test_a_large_limit_is_honoured_strictly_within_constant_memory() -> None:
    limiter = ExactWindow(10_000, 1.0)
    for start in (0.0, 1.0):
        went = sum(limiter.take(start) is None for _ in range(10_050))
        assert 9_990 <= went <= 10_000
    assert limiter._expiries is not None
    assert len(limiter._expiries) < rate.PLACES


@pytest.mark.parametrize("limit", [2, 10, 100, 4096, 10_000])
def test_a_caller_that_never_pauses_costs_no_more_than_its_limit_and_a_little(limit: int) -> None:
    limiter, now, most = ExactWindow(limit, 1.0), 0.0, 0
    for _ in range(4 * limit):
        now += 1.01 / limit
        limiter.take(now)
        most = max(most, len(limiter._expiries or ()))
    assert limiter.used(now) > 0.99 * limit - 1
    assert most <= min(limit, rate.PLACES) * 17 / 16 + 8


def test_more_than_one_instant_is_kept_only_until_a_quiet_window() -> None:
    limiter = ExactWindow(10, 1.0)
    keeps_more = []
    for now in (0.0, 0.5, 1.5):
        limiter.take(now)
        keeps_more.append(limiter._expiries is not None)
    assert keeps_more == [False, True, False]


def test_calls_that_share_the_only_place_so_far_cost_no_more_than_one() -> None:
    limiter = ExactWindow(10 * rate.PLACES, 1.0)
    for _ in range(10):
        limiter.take(0.0)
    assert limiter._expiries is None
    assert limiter.used(0.0) == 10.0


def test_callers_under_one_limit_share_its_rule() -> None:
    first, second = ExactWindow(10, 1.0, "token"), ExactWindow(10, 1.0, "token")
    assert first._rule is second._rule


def test_expiry_is_the_first_float_that_is_a_whole_window_later() -> None:
    chance = seeded(3)
    for _ in range(2_000):
        now, window = chance() * 10 ** (9 * chance()), chance() * 10 ** (6 * chance()) + 1e-6
        expiry = rate._expiry(now, window)
        exact = Fraction(now) + Fraction(window)
        assert Fraction(expiry) >= exact
        assert Fraction(nextafter(expiry, 0.0)) < exact


@pytest.mark.parametrize(
    ("limit", "window"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan")), (1, float("inf"))]
)
def test_a_limit_that_means_nothing_is_refused(limit: int, window: float) -> None:
    with pytest.raises(ValueError, match=r"(limit|window) must be"):
        ExactWindow(limit, window)


def test_a_call_cannot_weigh_more_than_one() -> None:
    with pytest.raises(ValueError, match="cannot weigh a cost of 2"):
        ExactWindow(1, 1.0).take(0.0, 2.0)
    with pytest.raises(ValueError, match="cannot weigh a cost of 2"):
        ExactWindow(1, 1.0).wait(0.0, 2.0)
    with pytest.raises(ValueError, match="cannot weigh a cost of 2"):
        ExactWindow(1, 1.0).admits(0.0, 2.0)


def test_the_oracle_sees_a_violation() -> None:
    assert all(later > earlier for earlier, later in pairwise(arrivals([0.5, 0.4], 0.0)))
    with pytest.raises(AssertionError):
        assert_no_window_holds_more([0.0, 0.5, 0.9], 2, 1.0)
