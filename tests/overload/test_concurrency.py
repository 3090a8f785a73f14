"""`ConcurrencyLimiter`: permits are never lost, doubled or above the maximum, and refused callers are spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload.concurrency import HORIZON, ConcurrencyLimiter, Permit
from aibridge.overload.outcome import Outcome, Rejection

outcomes = st.sampled_from(list(Outcome))


def entered(limiter: ConcurrencyLimiter, now: float) -> Permit:
    permit = limiter.enter(now)
    assert isinstance(permit, Permit)
    return permit


def refused(limiter: ConcurrencyLimiter, now: float) -> float:
    rejection = limiter.enter(now)
    assert isinstance(rejection, Rejection)
    return rejection.retry_after


def taught(maximum: int, hold: float) -> ConcurrencyLimiter:
    """A limiter that has seen calls hold a permit for so long."""
    limiter = ConcurrencyLimiter(maximum, "AI Bridge")
    limiter.leave(entered(limiter, 100.0 - hold), Outcome.SUCCESS, 100.0)
    return limiter


def test_permits_go_up_to_the_maximum_and_the_refusal_names_the_limit() -> None:
    limiter = ConcurrencyLimiter(2, "AI Bridge")
    first, _ = entered(limiter, 1.0), entered(limiter, 1.0)
    assert limiter.enter(1.0) == Rejection(limit="AI Bridge", allowed=2, window=0.0, retry_after=0.0)
    assert limiter.in_flight == 2
    limiter.leave(first, Outcome.SUCCESS, 2.0)
    assert limiter.in_flight == 1
    assert isinstance(limiter.enter(2.0), Permit)


@given(
    maximum=st.integers(1, 4),
    steps=st.lists(st.tuples(st.booleans(), st.floats(-1.0, 5.0), st.integers(0, 9), outcomes), max_size=80),
)
def test_any_interleaving_keeps_the_count_and_an_honest_range_of_hints(
    maximum: int, steps: list[tuple[bool, float, int, Outcome]]
) -> None:
    limiter, held, now = ConcurrencyLimiter(maximum, "AI Bridge"), list[Permit](), 100.0
    for enters, gap, choice, outcome in steps:
        now += gap
        if enters:
            answer = limiter.enter(now)
            if isinstance(answer, Permit):
                held.append(answer)
            else:
                assert len(held) == maximum
                assert 0.0 <= answer.retry_after <= HORIZON
        elif held:
            limiter.leave(held.pop(choice % len(held)), outcome, now)
        assert limiter.in_flight == len(held) <= maximum


def test_it_tells_how_many_are_held_and_whether_that_is_all() -> None:
    limiter = ConcurrencyLimiter(2, "AI Bridge")
    seen = [(limiter.used(0.0), limiter.full, limiter.idle(0.0))]
    permits = [entered(limiter, 0.0), entered(limiter, 0.0)]
    seen.append((limiter.used(0.0), limiter.full, limiter.idle(0.0)))
    limiter.leave(permits[0], Outcome.SUCCESS, 1.0)
    seen.append((limiter.used(1.0), limiter.full, limiter.idle(1.0)))
    assert seen == [(0, False, True), (2, True, False), (1, False, False)]


def test_what_is_let_in_without_a_permit_counts_as_with_one() -> None:
    limiter = ConcurrencyLimiter(2, "AI Bridge")
    permit = entered(limiter, 100.0)
    assert limiter.admits(101.0)
    assert limiter.take(101.0) is None
    assert not limiter.admits(101.0)
    assert limiter.in_flight == 2
    assert isinstance(limiter.enter(101.0), Rejection)
    limiter.give_back(101.0, Outcome.SUCCESS, 105.0)
    assert (limiter.in_flight, limiter._average_hold) == (1, 4.0)
    limiter.leave(permit, Outcome.IGNORED, 106.0)
    assert limiter.idle(106.0)


def test_asking_for_the_wait_is_a_promise_as_a_refusal_is() -> None:
    limiter = taught(maximum=2, hold=8.0)
    entered(limiter, 100.0)
    assert limiter.wait(100.0) == 0.0
    entered(limiter, 100.0)
    assert [limiter.wait(100.0), refused(limiter, 100.0), limiter.wait(100.0)] == [4.0, 8.0, 12.0]


def test_a_permit_comes_back_once() -> None:
    limiter = ConcurrencyLimiter(2, "AI Bridge")
    permit, _ = entered(limiter, 0.0), entered(limiter, 0.0)
    limiter.leave(permit, Outcome.SUCCESS, 1.0)
    with pytest.raises(RuntimeError, match="this permit is not held"):
        limiter.leave(permit, Outcome.SUCCESS, 1.0)
    assert limiter.in_flight == 1


def test_a_permit_of_another_limiter_is_not_taken() -> None:
    limiter, other = ConcurrencyLimiter(1, "AI Bridge"), ConcurrencyLimiter(1, "other")
    permit, _ = entered(limiter, 0.0), entered(other, 0.0)
    with pytest.raises(RuntimeError, match="other: this permit is not held"):
        other.leave(permit, Outcome.SUCCESS, 1.0)
    assert (limiter.in_flight, other.in_flight) == (1, 1)


def test_those_refused_together_are_promised_successive_instants_at_the_pace_of_release() -> None:
    limiter = taught(maximum=2, hold=8.0)
    entered(limiter, 100.0)
    entered(limiter, 100.0)
    assert [refused(limiter, 100.0) for _ in range(4)] == [4.0, 8.0, 12.0, 16.0]
    assert refused(limiter, 110.0) == pytest.approx(6.0 + 5.0)  # after the last promise; permits are 10 s old by now


def test_the_queue_of_promises_runs_empty_as_time_passes() -> None:
    limiter = taught(maximum=4, hold=2.0)
    for _ in range(4):
        entered(limiter, 100.0)
    assert refused(limiter, 100.0) == 0.5
    assert refused(limiter, 101.5) == 0.5


def test_a_permit_held_by_a_long_stream_lengthens_the_hint() -> None:
    limiter = taught(maximum=1, hold=0.25)
    entered(limiter, 100.0)
    assert refused(limiter, 100.0) == 0.25
    assert refused(limiter, 130.0) == 30.0


def test_the_age_of_a_permit_that_came_back_no_longer_counts() -> None:
    limiter = ConcurrencyLimiter(2, "AI Bridge")
    first, _ = entered(limiter, 100.0), entered(limiter, 100.0)
    limiter.leave(first, Outcome.IGNORED, 130.0)
    entered(limiter, 130.0)
    assert refused(limiter, 130.0) == 7.5  # ages 30 and 0, two permits


@given(count=st.integers(1, 200), hold=st.floats(0.01, 500.0), maximum=st.integers(1, 8))
def test_hints_given_at_one_instant_never_shrink_and_never_pass_the_horizon(
    count: int, hold: float, maximum: int
) -> None:
    limiter = taught(maximum, hold)
    for _ in range(maximum):
        entered(limiter, 100.0)
    hints = [refused(limiter, 100.0) for _ in range(count)]
    assert hints == sorted(hints)
    assert hints[-1] <= HORIZON


def test_promises_beyond_the_horizon_are_not_kept_count_of() -> None:
    limiter = taught(maximum=1, hold=10.0)
    entered(limiter, 100.0)
    assert [refused(limiter, 100.0) for _ in range(1000)][-1] == HORIZON
    assert refused(limiter, 100.0 + HORIZON) == HORIZON  # the permit is that old by now
    assert limiter._promised == 100.0 + 2 * HORIZON


def test_an_empty_house_owes_nobody() -> None:
    limiter = taught(maximum=1, hold=4.0)
    permit = entered(limiter, 100.0)
    assert [refused(limiter, 100.0) for _ in range(3)] == [4.0, 8.0, 12.0]
    limiter.leave(permit, Outcome.IGNORED, 101.0)
    entered(limiter, 101.0)
    assert refused(limiter, 101.0) == 4.0


def test_calls_refused_further_in_teach_nothing_about_holds() -> None:
    limiter = taught(maximum=1, hold=8.0)
    for _ in range(1000):
        limiter.leave(entered(limiter, 100.0), Outcome.IGNORED, 100.0)
    entered(limiter, 100.0)
    assert refused(limiter, 100.0) == 8.0


def test_the_average_hold_follows_what_is_seen() -> None:
    limiter = taught(maximum=1, hold=1.0)
    for _ in range(100):
        limiter.leave(entered(limiter, 100.0), Outcome.FAILURE, 105.0)
    entered(limiter, 200.0)
    assert refused(limiter, 200.0) == pytest.approx(5.0, rel=0.01)


def test_a_clock_that_steps_back_gives_no_negative_hint() -> None:
    limiter = ConcurrencyLimiter(1, "AI Bridge")
    limiter.leave(entered(limiter, 100.0), Outcome.SUCCESS, 50.0)
    entered(limiter, 100.0)
    assert refused(limiter, 50.0) == 0.0


def test_rounding_does_not_outlive_the_last_permit() -> None:
    limiter = ConcurrencyLimiter(3, "AI Bridge")
    permits = [entered(limiter, now) for now in (0.1, 1e15, 0.3)]
    for permit in permits:
        limiter.leave(permit, Outcome.SUCCESS, 1e15)
    assert limiter._entered_sum == 0.0


def test_at_least_one_permit_is_needed() -> None:
    with pytest.raises(ValueError, match="maximum must be at least 1, not 0"):
        ConcurrencyLimiter(0, "AI Bridge")
