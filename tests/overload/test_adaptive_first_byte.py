"""The soft signal of `AdaptiveLimiter`: first bytes that come late, if they are many, and if giving way helps."""

from adaptive_driver import entered, filled, hear, limiter, refuse, succeed

from aibridge.overload.adaptive import LONGEST_ROUND, ROUND, ROUNDS, AdaptiveLimiter
from aibridge.overload.concurrency import Permit
from aibridge.overload.outcome import Outcome


def test_late_first_bytes_cut_the_limit_gently() -> None:
    upstream = limiter(initial=20)
    assert hear(upstream, 0.3, 0.0) == 21
    assert hear(upstream, 0.69, 10.0) == 23
    assert hear(upstream, 0.71, 20.0) == 24  # of 26
    assert hear(upstream, 0.71, 30.0) == 23


def test_one_late_first_byte_among_prompt_ones_says_nothing() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 0.3, 0.0)
    permit = filled(upstream, 10.0)[-1]
    for first_byte in [60.0] * (ROUND // 2) + [0.3] * (ROUND // 2 + 1):
        upstream.answered(permit, first_byte, 10.0)
    assert upstream.limit == 23


def test_a_round_is_as_late_as_most_of_it() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 0.3, 0.0)
    permit = filled(upstream, 10.0)[-1]
    for first_byte in [0.3] * (ROUND // 2) + [60.0] * (ROUND // 2 + 1):
        upstream.answered(permit, first_byte, 10.0)
    assert upstream.limit == 21  # of 23


def test_the_usual_first_byte_is_the_earliest_that_is_remembered() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 1.0, 0.0)
    hear(upstream, 0.3, 10.0)
    assert hear(upstream, 0.71, 20.0) == 24  # of 26


def test_first_bytes_from_before_a_cut_are_forgotten_with_it() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 0.3, 0.0)
    permits = filled(upstream, 10.0)
    for _ in range(ROUND - 1):
        upstream.answered(permits[0], 60.0, 10.0)
    refuse(upstream, permits[1], 10.5)
    for permit in (permits[0], *permits[2:]):
        upstream.leave(permit, Outcome.IGNORED, 10.5)
    before = upstream.limit
    assert hear(upstream, 0.3, 20.0) == before + 1


def refused_twice(upstream: AdaptiveLimiter) -> None:
    """A row of two cuts, from 95 and then 85 in flight, of which none is left at the end."""
    hear(upstream, 0.3, 0.0)
    for second, more in ((10.0, 95), (11.0, 85)):
        permits = [entered(upstream, second) for _ in range(more)]
        refuse(upstream, permits.pop(), second)
        for permit in permits:
            upstream.leave(permit, Outcome.IGNORED, second)


def test_the_first_bytes_of_calls_sent_before_the_limit_came_back_say_nothing() -> None:
    upstream = limiter(initial=100)
    refused_twice(upstream)
    before = filled(upstream, 12.0)
    assert succeed(upstream, before.pop(), 20.0) == 89
    after = filled(upstream, 20.5)
    for _ in range(ROUND):
        upstream.answered(before[0], 8.5, 20.5)
    for _ in range(ROUND):
        upstream.answered(after[0], 0.3, 21.5)
    assert upstream.limit == 90
    for _ in range(ROUND):
        upstream.answered(after[0], 8.5, 22.5)
    assert upstream.limit == 87  # grown by 2 with the first of them, then cut


def test_late_first_bytes_lower_what_the_limit_comes_back_to() -> None:
    upstream = limiter(initial=100)
    refused_twice(upstream)
    permits = filled(upstream, 11.5)
    for _ in range(ROUND - 1):
        upstream.answered(permits[0], 5.0, 11.9)
    upstream.answered(permits[0], 5.0, 12.0)
    assert upstream.limit == 75  # of 79
    for permit in permits:
        upstream.leave(permit, Outcome.IGNORED, 12.0)
    permits = filled(upstream, 13.0)
    for _ in range(ROUND):
        upstream.answered(permits[0], 0.3, 13.0)  # the spell is over
    assert succeed(upstream, permits.pop(), 13.0) == 84  # and not 89


def test_late_first_bytes_at_little_use_stop_growth_but_cut_nothing() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 0.3, 0.0)
    permit = entered(upstream, 10.0)
    for second in range(10, 20):
        for _ in range(ROUND):
            upstream.answered(permit, 5.0, second)
    assert upstream.limit == 23
    assert succeed(upstream, filled(upstream, 21.0)[-1], 21.0) == 23


def test_prompt_first_bytes_end_a_slow_spell() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 0.3, 0.0)
    assert hear(upstream, 5.0, 10.0) == 21  # of 23
    assert hear(upstream, 0.3, 20.0) == 22


def test_what_stays_slow_although_half_the_limit_is_given_up_is_the_usual() -> None:
    upstream = limiter(initial=100)
    hear(upstream, 0.3, 0.0)
    limits = [hear(upstream, 5.0, 10.0 * count) for count in range(1, 40)]
    lowest = min(limits)
    assert 45 <= lowest <= 50
    assert limits[limits.index(lowest) + 2 :] == sorted(limits[limits.index(lowest) + 2 :])
    assert limits[-1] > 101


def test_a_limit_at_its_minimum_is_not_kept_there_by_slow_first_bytes() -> None:
    upstream = limiter(initial=4, minimum=4)
    hear(upstream, 0.3, 0.0)
    limits = [hear(upstream, 5.0, 10.0 * count) for count in range(1, 20)]
    assert min(limits) == 4
    assert limits[-1] > 9


def test_the_usual_first_byte_is_forgotten() -> None:
    upstream = limiter(initial=20, maximum=20)
    hear(upstream, 0.3, 0.0)
    for count in range(1, ROUNDS + 1):
        permit = entered(upstream, 10.0 * count)
        for _ in range(ROUND):
            upstream.answered(permit, 0.65, 10.0 * count)
        upstream.leave(permit, Outcome.IGNORED, 10.0 * count)
    assert hear(upstream, 1.3, 2000.0) == 20


def test_what_is_usual_where_callers_always_wait_does_not_become_the_usual() -> None:
    upstream = limiter(initial=20, maximum=20)
    hear(upstream, 0.3, 0.0)
    for count in range(1, ROUNDS + 1):
        assert hear(upstream, 0.65, 10.0 * count) == 20
    assert hear(upstream, 0.75, 2000.0) == 19
    assert hear(upstream, 0.2, 2010.0) == 20
    assert hear(upstream, 0.55, 2020.0) == 19  # what is earlier is believed at once


def test_rounds_are_at_least_a_window_long_and_keep_a_bounded_number_of_first_bytes() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 0.3, 0.0)
    permit = filled(upstream, 0.1)[-1]
    for _ in range(LONGEST_ROUND):
        upstream.answered(permit, 5.0, 0.1)
    for _ in range(10 * LONGEST_ROUND):
        upstream.answered(permit, 0.3, 0.9)
    assert upstream.limit == 21
    upstream.answered(permit, 0.3, 1.0)
    assert upstream.limit == 19


def test_a_slow_start_hears_the_round_there_is_before_each_step() -> None:
    upstream = limiter(initial=100)
    hear(upstream, 0.1, 0.0)
    for second in range(1, 20):  # refusals in a row
        refuse(upstream, filled(upstream, second)[-1], second)
        while upstream.in_flight:
            upstream.leave(Permit(upstream, 0.0), Outcome.IGNORED, second)
    cut = upstream.limit
    doubled = succeed(upstream, filled(upstream, 30.0)[-1], 30.0)
    assert doubled > 1.9 * cut
    permits = filled(upstream, 30.1)
    for _ in range(ROUND):
        upstream.answered(permits[-1], 5.0, 30.5)
    assert upstream.limit == doubled
    assert succeed(upstream, permits[0], 31.2) < doubled


def test_a_first_byte_told_at_the_end_counts_too() -> None:
    upstream = limiter(initial=20)
    hear(upstream, 0.3, 0.0)
    for permit in filled(upstream, 10.0)[:ROUND]:
        upstream.leave(permit, Outcome.SUCCESS, 10.0, first_byte=5.0)
    assert upstream.limit == 21  # grown by 2 with the first of them, then cut


def test_one_prompt_first_byte_does_not_make_the_others_late() -> None:
    upstream = limiter(initial=20)
    for second in range(0, 100, 10):
        permit = filled(upstream, second)[-1]
        before = upstream.limit
        for first_byte in [0.001] + [3.0] * (ROUND - 1):
            upstream.answered(permit, first_byte, second)
        assert upstream.limit > before
