"""`AdaptiveLimiter`: grows while it is used, gives way to refusals, and learns nothing from how long a call takes."""

import pytest
from adaptive_driver import entered, filled, limiter, refuse, succeed
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload.adaptive import AdaptiveLimiter
from aibridge.overload.concurrency import Permit
from aibridge.overload.outcome import Outcome, Rejection

outcomes = st.sampled_from(list(Outcome))


def test_a_permit_is_given_up_to_the_limit_and_the_refusal_says_it() -> None:
    upstream = limiter(initial=2)
    filled(upstream, 0.0)
    assert upstream.enter(0.0) == Rejection(limit="upstream", allowed=2, window=0.0, retry_after=0.0)
    assert (upstream.limit, upstream.in_flight) == (2, 2)


def test_the_limit_grows_once_per_window_and_by_more_each_time() -> None:
    upstream = limiter(initial=20)
    limits = []
    for tenth in range(35):
        now = tenth / 10
        *_, last = filled(upstream, now)
        limits.append(succeed(upstream, last, now))
    assert limits[0] == 21
    assert limits[9] == 21
    assert limits[10] == 23
    assert limits[20] == 26
    assert limits[34] == 30


def test_the_limit_does_not_grow_while_it_is_not_used() -> None:
    upstream = limiter(initial=20)
    for second in range(50):
        permits = [entered(upstream, second) for _ in range(15)]
        assert [succeed(upstream, permit, second + 0.5) for permit in permits] == [20] * 15


def test_the_limit_grows_when_four_fifths_of_it_are_used() -> None:
    upstream = limiter(initial=20)
    permits = [entered(upstream, 0.0) for _ in range(16)]
    assert succeed(upstream, permits[0], 1.0) == 21


@pytest.mark.parametrize("outcome", [Outcome.FAILURE, Outcome.IGNORED])
def test_a_call_that_did_not_succeed_teaches_nothing(outcome: Outcome) -> None:
    upstream = limiter(initial=20)
    permits = filled(upstream, 0.0)
    upstream.leave(permits[0], outcome, 5.0)
    assert upstream.limit == 20


def test_a_refusal_leaves_a_share_of_what_was_in_flight() -> None:
    upstream = limiter(initial=100)
    permits = [entered(upstream, 0.0) for _ in range(41)]
    assert refuse(upstream, permits[0], 0.1) == 38


def test_a_refusal_leaves_a_share_of_the_limit_when_more_is_in_flight() -> None:
    upstream = limiter(initial=100)
    permits = filled(upstream, 0.0)
    assert refuse(upstream, permits.pop(), 0.1) == 94
    assert upstream.in_flight == 99
    while upstream.in_flight >= 94:
        upstream.leave(permits.pop(), Outcome.IGNORED, 2.0)
    late = entered(upstream, 2.0)
    assert refuse(upstream, late, 2.0) == 88


def test_refusals_of_calls_sent_before_a_cut_do_not_cut_again() -> None:
    upstream = limiter(initial=100)
    permits = filled(upstream, 0.0)
    assert [refuse(upstream, permit, 0.1 + second) for second, permit in enumerate(permits)] == [94] * 100


def test_refusals_cut_once_per_window() -> None:
    upstream = limiter(initial=20, minimum=1)
    assert refuse(upstream, filled(upstream, 0.0)[0], 0.0) == 18
    for _ in range(19):
        upstream.leave(Permit(upstream, 0.0), Outcome.IGNORED, 0.1)
    for _ in range(50):
        assert refuse(upstream, entered(upstream, 0.5), 0.99) == 18
    assert refuse(upstream, entered(upstream, 1.0), 1.0) == 1


def test_what_was_sent_before_a_cut_neither_grows_the_limit_nor_counts_as_a_first_byte() -> None:
    upstream = limiter(initial=20)
    before = filled(upstream, 0.0)
    assert refuse(upstream, before.pop(), 1.0) == 18
    for permit in before[:15]:
        upstream.answered(permit, 60.0, 61.0)
        assert succeed(upstream, permit, 61.0) == 18
    after = filled(upstream, 61.0)[-1]
    assert succeed(upstream, after, 62.0) == 19


def test_after_a_cut_growth_is_careful_again() -> None:
    upstream = limiter(initial=20)
    for second in range(5):
        succeed(upstream, filled(upstream, second)[-1], second)
    assert upstream.limit == 35
    assert refuse(upstream, filled(upstream, 5.0)[-1], 5.0) == 32
    for permit in [Permit(upstream, 0.0) for _ in range(upstream.in_flight)]:
        upstream.leave(permit, Outcome.IGNORED, 5.0)
    assert succeed(upstream, filled(upstream, 6.0)[-1], 6.0) == 33


def emptied(upstream: AdaptiveLimiter, now: float) -> None:
    while upstream.in_flight:
        upstream.leave(Permit(upstream, 0.0), Outcome.IGNORED, now)


def refused_for(upstream: AdaptiveLimiter, seconds: range) -> int:
    """Have a full house refused once in each of these seconds."""
    for second in seconds:
        refuse(upstream, filled(upstream, second)[-1], second)
        emptied(upstream, second)
    return upstream.limit


def grown(upstream: AdaptiveLimiter, seconds: range) -> list[int]:
    """What the limit is after each of these seconds, in all of which it is used."""
    limits = []
    for second in seconds:
        limits.append(succeed(upstream, filled(upstream, second)[-1], second))
        emptied(upstream, second)
    return limits


def test_after_refusals_in_a_row_the_limit_doubles_until_it_is_what_the_first_of_them_left() -> None:
    upstream = limiter(initial=200)
    assert refused_for(upstream, range(28)) == 26
    assert grown(upstream, range(40, 47)) == [53, 106, 189, 190, 192, 195, 199]


def test_refusals_of_another_row_have_a_threshold_of_their_own() -> None:
    upstream = limiter(initial=200)
    refused_for(upstream, range(28))
    assert grown(upstream, range(40, 42)) == [53, 106]
    assert refused_for(upstream, range(42, 60)) == 26
    assert grown(upstream, range(60, 64)) == [53, 99, 100, 102]


def test_the_limit_comes_back_only_while_it_is_used() -> None:
    upstream = limiter(initial=200)
    refused_for(upstream, range(28))
    assert grown(upstream, range(40, 41)) == [53]
    for second in range(41, 60):
        assert succeed(upstream, entered(upstream, second), second) == 53


def test_the_limit_stays_between_minimum_and_maximum() -> None:
    upstream = limiter(initial=5, minimum=4, maximum=7)
    for second in range(9):
        succeed(upstream, filled(upstream, second)[-1], second)
        upstream.leave(Permit(upstream, 0.0), Outcome.IGNORED, second)
    assert upstream.limit == 7
    for second in range(20, 29):
        while upstream.in_flight:
            upstream.leave(Permit(upstream, 0.0), Outcome.IGNORED, second)
        refuse(upstream, entered(upstream, second), second)
    assert upstream.limit == 4


def test_total_latency_says_nothing() -> None:
    upstream = limiter(initial=20)
    limits = []
    for hour in range(9):
        permits = filled(upstream, hour * 3600.0)
        limits += [succeed(upstream, permit, hour * 3600.0 + 3000.0) for permit in permits]
    assert limits == sorted(limits)
    assert limits[-1] > 50


def test_a_permit_comes_back_once() -> None:
    upstream = limiter()
    permit = entered(upstream, 0.0)
    refuse(upstream, permit, 0.0)
    with pytest.raises(RuntimeError, match="this permit is not held"):
        upstream.leave(permit, Outcome.FAILURE, 2.0, overloaded=True)
    assert upstream.limit == 1


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["enter", "answer", "leave", "refuse"]), st.floats(-1.0, 5.0), st.integers(0, 99), outcomes
        ),
        max_size=200,
    )
)
def test_any_interleaving_keeps_the_bounds_and_the_count(steps: list[tuple[str, float, int, Outcome]]) -> None:
    upstream, held, now = limiter(initial=4, minimum=2, maximum=8), list[Permit](), 100.0
    for step, gap, choice, outcome in steps:
        now += gap
        before = upstream.limit
        if step == "enter":
            answer = upstream.enter(now)
            if isinstance(answer, Permit):
                held.append(answer)
                assert len(held) <= before
            else:
                assert len(held) >= answer.allowed == before
        elif held and step == "answer":
            upstream.answered(held[choice % len(held)], choice / 10.0, now)
        elif held:
            upstream.leave(held.pop(choice % len(held)), outcome, now, overloaded=step == "refuse")
            assert step == "leave" or upstream.limit <= before
        assert 2 <= upstream.limit <= 8
        assert upstream.in_flight == len(held)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("minimum", 0),
        ("initial", 1001),
        ("initial", 0),
        ("window", 0.0),
        ("window", float("inf")),
        ("growth", 0.0),
        ("backoff", 1.0),
        ("backoff", 0.0),
        ("tolerance", 0.9),
        ("slack", -0.1),
        ("slack", float("nan")),
    ],
)
def test_a_rule_names_a_value_that_is_not_allowed(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*, not {value}"):
        limiter(**{field: value})
