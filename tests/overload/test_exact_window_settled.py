"""`ExactWindow` beside decisions: what it says without taking, and calls that turn out not to count."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload import rate
from aibridge.overload.rate import ExactWindow

gaps = st.sampled_from([0.0, 0.0, 0.125, 0.25, 0.5, 1.0, 3.0])


@pytest.fixture
def few_places(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limits of more than four calls share places."""
    rate._rule.cache_clear()
    monkeypatch.setattr(rate, "PLACES", 4)
    yield
    rate._rule.cache_clear()


def state(limiter: ExactWindow) -> tuple[float, int, list[float]]:
    return limiter._newest, limiter._calls, [*(limiter._expiries or ())]


def assert_wait_is_what_take_says(limiter: ExactWindow, now: float) -> None:
    before = state(limiter)
    admits, wait = limiter.admits(now), limiter.wait(now)
    assert state(limiter) == before
    rejection = limiter.take(now)
    assert admits == (rejection is None)
    assert wait == (0.0 if rejection is None else rejection.retry_after)
    assert rejection is None or wait > 0.0


@given(
    limit=st.integers(1, 6),
    start=st.floats(0.0, 1e9),
    steps=st.lists(st.tuples(st.floats(-0.5, 1.5), st.booleans()), max_size=60),
)
def test_asking_for_the_wait_says_what_taking_would_and_changes_nothing(
    limit: int, start: float, steps: list[tuple[float, bool]]
) -> None:
    limiter, now, taken_at = ExactWindow(limit, 0.7), start, start
    for gap, gives_back in steps:
        now += gap
        assert_wait_is_what_take_says(limiter, now)
        if gives_back:
            limiter.give_back(taken_at, now)
        taken_at = now


@pytest.mark.usefixtures("few_places")
@pytest.mark.parametrize("limit", [5, 8, 9, 40])
def test_the_wait_is_what_taking_says_where_calls_share_a_place(limit: int) -> None:
    limiter, now = ExactWindow(limit, 1.0), 0.0
    for step in range(500):
        now += (step % 7) * 0.3 / limit
        assert_wait_is_what_take_says(limiter, now)


@given(limit=st.integers(1, 6), steps=st.lists(gaps, max_size=60))
def test_the_use_is_the_number_of_calls_in_the_window(limit: int, steps: list[float]) -> None:
    limiter, now, taken = ExactWindow(limit, 1.0), 0.0, list[float]()
    for gap in steps:
        now += gap
        if limiter.take(now) is None:
            taken.append(now)
        assert limiter.used(now) == sum(now - at < 1.0 for at in taken)


@pytest.mark.usefixtures("few_places")
def test_calls_that_share_a_place_count_until_the_last_of_them_has_left() -> None:
    limiter = ExactWindow(8, 1.0)
    for now in (0.0, 0.25, 0.5):
        limiter.take(now)
    assert [limiter.used(now) for now in (0.5, 1.0, 1.25, 1.5)] == [3.0, 3.0, 1.0, 0.0]


@given(limit=st.integers(1, 5), data=st.data())
def test_no_window_holds_more_than_the_limit_of_those_that_count(limit: int, data: st.DataObject) -> None:
    limiter, now = ExactWindow(limit, 1.0), 100.0
    counting: list[float] = []
    for gives_back in data.draw(st.lists(st.booleans(), max_size=50)):
        now += data.draw(gaps)
        if counting and gives_back:
            limiter.give_back(counting.pop(data.draw(st.integers(0, len(counting) - 1))), now)
        elif limiter.take(now) is None:
            counting.append(now)
            assert sum(1 for at in counting if now - at < 1.0) <= limit


@given(limit=st.integers(1, 5), count=st.integers(1, 5), data=st.data())
def test_what_is_given_back_can_be_taken_again(limit: int, count: int, data: st.DataObject) -> None:
    limiter, nows = ExactWindow(limit, 1.0), [0.0, 0.125, 0.25, 0.375, 0.5][:limit]
    for now in nows:
        assert limiter.take(now) is None
    assert limiter.take(0.5) is not None
    given_back = data.draw(st.permutations(nows))[:count]
    for taken_at in given_back:
        limiter.give_back(taken_at, 0.5)
    assert sum(limiter.take(0.5) is None for _ in range(9)) == len(given_back)


def test_a_call_that_has_left_the_window_gives_nothing_back() -> None:
    limiter = ExactWindow(2, 1.0)
    for now in (0.0, 1.5, 1.5):
        assert limiter.take(now) is None
    limiter.give_back(0.0, 1.6)
    assert limiter.take(1.6) is not None


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_last_call_given_back_leaves_the_whole_limit(limit: int) -> None:
    limiter = ExactWindow(limit, 1.0)
    for now in (5.0, 5.25)[:limit]:
        limiter.take(now)
    for now in (5.0, 5.25)[:limit]:
        limiter.give_back(now, 5.5)
    assert limiter.used(5.5) == 0.0
    assert [limiter.take(5.5) is None for _ in range(limit + 1)] == [True] * limit + [False]
    assert [limiter.used(now) for now in (5.5, 6.5)] == [limit, 0.0]


def test_a_call_given_back_while_the_clock_is_behind_does_not_make_it_run_backwards() -> None:
    limiter = ExactWindow(1, 1.0)
    limiter.take(101.0)
    limiter.give_back(101.0, 100.75)
    assert limiter.take(100.75) is None
    assert limiter.take(101.75) is not None  # it counts from 101
    assert limiter.take(102.0) is None


def test_a_call_that_had_left_before_the_clock_stepped_back_gives_nothing_back() -> None:
    limiter = ExactWindow(1, 1.0)
    for now in (99.25, 100.25):
        assert limiter.take(now) is None
    limiter.give_back(99.25, 100.0)
    assert limiter.take(100.5) is not None


@given(limit=st.integers(1, 3), data=st.data())
def test_a_clock_that_steps_back_gives_back_too_little_and_not_too_much(limit: int, data: st.DataObject) -> None:
    limiter, now, latest = ExactWindow(limit, 1.0), 100.0, 0.0
    live: list[tuple[float, float]] = []  # what the clock said, and the latest it had said at an admission
    for gives_back in data.draw(st.lists(st.booleans(), max_size=40)):
        now += data.draw(st.sampled_from([-0.75, -0.25, 0.0, 0.25, 0.5, 1.0]))
        if live and gives_back:
            limiter.give_back(live.pop(data.draw(st.integers(0, len(live) - 1)))[0], now)
        elif limiter.take(now) is None:
            latest = max(latest, now)
            live.append((now, latest))
            assert sum(1 for _, at in live if latest - at < 1.0) <= limit


@pytest.mark.usefixtures("few_places")
def test_where_calls_share_a_place_nothing_is_given_back() -> None:
    limiter = ExactWindow(8, 1.0)
    for _ in range(8):
        limiter.take(0.0)
    limiter.give_back(0.0, 0.0)
    assert limiter.used(0.0) == 8.0
    assert limiter.take(0.0) is not None
