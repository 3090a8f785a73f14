"""Limiters of a rate whose numbers change while they count: what was spent stays spent, and the new bound holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge.overload import rate
from aibridge.overload.keyed import Keyed
from aibridge.overload.rate import ExactWindow, Gcra

steps = st.lists(st.tuples(st.sampled_from([0.0, 0.125, 0.5, 1.0, 2.5]), st.integers(0, 9)), max_size=80)
"""How much time passes, in fractions that floats add up exactly, and what happens then: the first are resizes."""


def walk(happenings: list[tuple[float, int]], limits: list[int], *, exactly: bool) -> None:
    """Resize and take; a list of when calls leave is the model. Where calls share places it may refuse more."""
    now, limit, window = 1000.0, limits[0], 1.0
    limiter = ExactWindow(limit, window)
    ends: list[float] = []
    for passed, what in happenings:
        now += passed
        ends = [end for end in ends if end > now]
        if what < len(limits):
            limit, window = limits[what], (1.0, 3.0)[what % 2]
            limiter.resize(now, limit, window)
            ends = ends[-limit:]  # there is room for no more of them
            continue
        wait = limiter.wait(now)
        admitted = limiter.take(now) is None
        assert admitted == (wait == 0.0)
        if exactly:
            assert admitted == (len(ends) < limit)
        if admitted:
            # One that comes later leaves no earlier, also where the window has become shorter.
            ends.append(max([now + window, *ends]))
            assert len(ends) <= limit


@given(steps)
@settings(max_examples=300)
def test_an_exact_window_that_is_resized_allows_what_is_left_of_the_new_limit(steps: list[tuple[float, int]]) -> None:
    walk(steps, [3, 1, 5, 2], exactly=True)


@pytest.fixture
def few_places(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(rate, "PLACES", 4)
    rate._rule.cache_clear()
    yield
    rate._rule.cache_clear()


@pytest.mark.usefixtures("few_places")
def test_where_places_are_shared_no_call_is_forgotten_by_a_resize() -> None:
    @given(steps)
    @settings(max_examples=300)
    def any_order(steps: list[tuple[float, int]]) -> None:
        walk(steps, [4, 9, 2, 17, 30], exactly=False)

    any_order()


@pytest.mark.parametrize(("before", "after"), [(10**12, 10), (10, 10**12), (10**9, 10**10)])
def test_a_resize_of_huge_limits_is_no_work(before: int, after: int) -> None:
    limiter = ExactWindow(before, 60.0)
    for number in range(6000):
        limiter.take(float(number) / 1000)
    limiter.resize(6.0, after, 60.0)
    assert (limiter.take(6.0) is None) == (after > 6000)


def test_a_call_that_is_given_back_after_a_resize_frees_a_place() -> None:
    limiter = ExactWindow(1, 10.0)
    limiter.take(0.0)
    limiter.resize(1.0, 2, 10.0)
    assert limiter.take(1.0) is None
    assert limiter.take(1.0) is not None
    limiter.give_back(1.0, 2.0)
    assert limiter.take(2.0) is None
    limiter.give_back(2.0, 2.0)
    limiter.resize(2.0, 3, 10.0)  # one that was given back leaves its place, and no call
    assert [limiter.take(2.0) is None for _ in range(3)] == [True, True, False]


def test_a_call_from_before_a_resize_that_is_given_back_after_it_lets_nobody_in() -> None:
    longer = ExactWindow(1, 1.0)
    longer.take(0.0)
    longer.resize(1.5, 1, 3.0)
    longer.take(1.5)
    longer.give_back(0.0, 2.0)
    assert longer.take(2.0) is not None, "there would be two within three seconds"
    fewer = ExactWindow(2, 10.0)
    for at in (0.0, 0.1):
        fewer.take(at)
    fewer.resize(0.2, 1, 10.0)
    for at in (0.0, 0.1):
        fewer.give_back(at, 0.3)
        assert fewer.take(0.3) is not None, "of two that were counted, one was forgotten"


def test_who_is_forgiven_by_time_is_not_bound_by_a_resize() -> None:
    limiter = ExactWindow(2, 1.0)
    for _ in range(2):
        limiter.take(0.0)
    limiter.resize(1.0, 1, 1.0)
    assert limiter.take(1.0) is None
    assert limiter.take(1.0) is not None


def test_what_a_cell_rate_has_spent_stays_spent_at_another_rate() -> None:
    limiter = Gcra(1.0, 10.0, "r")
    limiter.take(0.0, 8.0)
    limiter.retune(4.0, 2.0, 20.0)
    assert limiter.used(4.0) == 4.0
    assert limiter.used(5.0) == 2.0
    assert (limiter.rate, limiter.burst) == (2.0, 20.0)
    assert limiter.take(4.0, 16.0) is None


def test_more_than_a_new_burst_is_a_debt() -> None:
    limiter = Gcra(1.0, 10.0, "r")
    limiter.take(0.0, 10.0)
    limiter.retune(0.0, 1.0, 4.0)
    assert limiter.used(0.0) == 10.0
    assert limiter.wait(0.0, 1.0) == 7.0
    assert limiter.take(7.0, 1.0) is None


def test_a_cell_rate_that_is_idle_is_idle_at_another_rate() -> None:
    limiter = Gcra(1.0, 10.0, "r")
    limiter.take(0.0, 1.0)
    limiter.retune(5.0, 0.001, 10.0)
    assert limiter.idle(5.0)


def test_a_clock_that_steps_back_refills_nothing_at_another_rate() -> None:
    limiter = Gcra(1.0, 10.0, "r")
    limiter.take(5.0, 4.0)
    limiter.retune(0.0, 2.0, 10.0)
    assert limiter.used(5.0) == 4.0


def test_every_value_of_a_keyed_is_among_its_values() -> None:
    made: list[list[int]] = []

    def make() -> list[int]:
        made.append([])
        return made[-1]

    keyed = Keyed[str, list[int]](make, lambda _value, _now: False, 2)
    for key in "abc":
        keyed.get(key, 0.0)
    assert sorted(map(id, keyed.values())) == sorted(map(id, made))
