"""`Breaker`: what opens it, what it counts, and what its rule allows."""

from math import inf, nan
from typing import Any

import pytest
from breaker_driver import FAILURE, IGNORED, IN_A_ROW, RATIO, SLOW, SUCCESS, called, entered, opened, refused

from aibridge.overload.breaker import Breaker, BreakerRule, State
from aibridge.overload.keyed import Keyed
from aibridge.overload.outcome import Outcome
from aibridge.overload.tally import Tally


def test_it_opens_on_the_failure_that_completes_the_row_and_says_so_once() -> None:
    breaker = Breaker("openai", IN_A_ROW)
    late = entered(breaker, 100.0)
    assert [called(breaker, 100.0 + second) for second in range(5)] == [False] * 4 + [True]
    assert breaker.state(104.0) is State.OPEN
    assert breaker.trips == 1
    assert not breaker.leave(late, FAILURE, 104.0)
    assert breaker.trips == 1


@pytest.mark.parametrize("good", [SUCCESS, IGNORED])
def test_a_success_breaks_a_row_and_an_ignored_call_does_not(good: Outcome) -> None:
    breaker = Breaker("openai", IN_A_ROW)
    for _ in range(4):
        called(breaker, 100.0)
    called(breaker, 100.0, good)
    assert called(breaker, 100.0) is (good is IGNORED)


def test_a_row_must_fit_into_the_window() -> None:
    breaker = Breaker("openai", IN_A_ROW)
    assert not any(called(breaker, 100.0 + 2.5 * number) for number in range(50))
    assert called(breaker, 223.5)


def test_a_share_of_failures_opens_it_once_there_are_enough_calls() -> None:
    breaker = Breaker("openai", RATIO)
    assert [called(breaker, 100.0) for _ in range(2)] == [False] * 2
    assert not called(breaker, 100.0, SUCCESS)
    assert not called(breaker, 100.0, SUCCESS)
    assert called(breaker, 100.0)
    breaker.reset(100.0)
    assert not called(breaker, 100.0, SUCCESS)
    assert not called(breaker, 100.0, SUCCESS)
    assert [called(breaker, 100.0) for _ in range(2)] == [False, True]


def test_less_than_the_share_does_not_open_it() -> None:
    breaker = Breaker("openai", RATIO)
    for _ in range(20):
        assert not called(breaker, 100.0, SUCCESS)
        assert not called(breaker, 100.0, SUCCESS)
        assert not called(breaker, 100.0)
    assert breaker.window(100.0) == Tally(calls=60, failures=20)


def test_what_has_left_the_window_counts_no_more() -> None:
    breaker = Breaker("openai", RATIO)
    for _ in range(9):
        called(breaker, 100.0, SUCCESS)
    assert not called(breaker, 109.75)
    assert breaker.window(109.75) == Tally(calls=10, failures=1)
    assert not called(breaker, 110.0)
    assert breaker.window(110.0) == Tally(calls=2, failures=2)
    assert [called(breaker, 110.0) for _ in range(2)] == [False, True]


def test_a_share_of_slow_successes_opens_it_and_none_of_them_is_a_failure() -> None:
    breaker = Breaker("openai", SLOW)
    assert not called(breaker, 100.0, SUCCESS, 2.0)
    assert not called(breaker, 100.0, SUCCESS, 2.5)
    assert not called(breaker, 100.0, SUCCESS, 60.0)
    assert breaker.window(100.0) == Tally(calls=3, failures=0, slow=2)
    assert called(breaker, 100.0, SUCCESS, 2.5)


def test_a_slow_failure_is_a_failure_and_an_unknown_first_byte_is_not_slow() -> None:
    breaker = Breaker("openai", SLOW)
    called(breaker, 100.0, FAILURE, 9.0)
    called(breaker, 100.0, SUCCESS, None)
    assert breaker.window(100.0) == Tally(calls=2, failures=1, slow=0)


@pytest.mark.parametrize("rule", [BreakerRule(slow_first_byte=0.0), BreakerRule(slow_first_byte=2.0, slow_ratio=0.0)])
def test_nothing_is_slow_where_that_is_switched_off(rule: BreakerRule) -> None:
    breaker = Breaker("openai", rule)
    assert not any(called(breaker, 100.0, SUCCESS, 60.0) for _ in range(100))
    breaker.trip(100.0, 1.0)
    assert not called(breaker, 101.0, SUCCESS, 60.0)


def test_with_every_rule_switched_off_only_others_open_it() -> None:
    breaker = Breaker("openai", BreakerRule(failure_threshold=0, failure_ratio=0.0))
    assert not any(called(breaker, 100.0) for _ in range(100))
    breaker.trip(100.0, 5.0)
    assert breaker.state(100.0) is State.OPEN
    assert breaker.trips == 0


def test_a_ticket_comes_back_once_and_to_its_own_breaker() -> None:
    breaker, other = Breaker("openai", IN_A_ROW), Breaker("anthropic", IN_A_ROW)
    ticket = entered(breaker, 100.0)
    with pytest.raises(RuntimeError, match="anthropic: this ticket is not out"):
        other.leave(ticket, FAILURE, 100.0)
    breaker.leave(ticket, FAILURE, 100.0)
    with pytest.raises(RuntimeError, match="openai: this ticket is not out"):
        breaker.leave(ticket, FAILURE, 100.0)
    assert breaker.window(100.0) == Tally(calls=1, failures=1)
    assert other.window(100.0) == Tally()


def test_being_told_of_a_break_opens_it_and_never_shortens_one() -> None:
    breaker = Breaker("openai", IN_A_ROW)
    breaker.trip(100.0, 20.0)
    breaker.trip(105.0, 10.0)
    assert breaker.time_left(105.0) == 15.0
    breaker.trip(105.0, 25.0)
    assert breaker.time_left(105.0) == 25.0
    entered(breaker, 130.0)
    breaker.trip(130.0, 1.0)
    assert breaker.state(130.0) is State.OPEN


@pytest.mark.parametrize("seconds", [0.0, -1.0, inf, nan])
def test_a_break_lasts_a_positive_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"^seconds must be a positive number, not {seconds}$"):
        Breaker("openai", IN_A_ROW).trip(100.0, seconds)


def test_an_operator_closes_it_and_what_was_under_way_has_no_say() -> None:
    breaker = opened(BreakerRule(failure_threshold=1, max_requests=1), 100.0)
    probe = entered(breaker, 130.0)
    breaker.reset(130.0)
    assert breaker.state(130.0) is State.CLOSED
    assert not breaker.leave(probe, FAILURE, 130.0)
    assert breaker.idle(130.0)
    breaker.reset(130.0)
    assert called(breaker, 130.0)


def test_it_may_be_forgotten_when_closed_with_nothing_in_its_window() -> None:
    breakers = Keyed[str, Breaker](lambda: Breaker("model", IN_A_ROW), Breaker.idle, 1)
    busy = breakers.get("a", 100.0)
    called(busy, 100.0)
    assert breakers.get("b", 109.75) is not busy
    assert breakers.get("a", 109.75) is busy
    breakers.get("b", 110.0)
    assert breakers.get("a", 110.0) is not busy
    assert not opened(IN_A_ROW, 100.0).idle(1e6)


def test_a_clock_that_steps_back_shortens_no_break_and_lengthens_it_by_no_more_than_its_length() -> None:
    breaker = opened(IN_A_ROW, 5000.0)
    assert refused(breaker, 5010.0).retry_after == 20.0
    assert refused(breaker, 5005.0).retry_after == 25.0
    assert refused(breaker, 5010.0).retry_after == 20.0
    assert refused(breaker, 1000.0).retry_after == 30.0
    entered(breaker, 1030.0)


def test_a_clock_that_steps_back_within_the_window_stands_still_and_beyond_starts_afresh() -> None:
    breaker = Breaker("openai", IN_A_ROW)
    called(breaker, 5000.0)
    called(breaker, 4990.0)
    assert breaker.window(5009.75) == Tally(calls=2, failures=2)
    called(breaker, 1000.0)
    assert breaker.window(1000.0) == Tally(calls=1, failures=1)
    assert breaker.window(1010.0) == Tally()
    called(breaker, 1000.5)
    assert breaker.window(1010.25) == Tally(calls=1, failures=1)
    assert breaker.window(1010.5) == Tally()


def test_a_look_at_the_window_changes_nothing() -> None:
    breaker = Breaker("openai", IN_A_ROW)
    called(breaker, 100.0)
    breaker.window(101.5)
    called(breaker, 102.25)
    assert breaker.window(112.0) == Tally(calls=1, failures=1)
    assert breaker.window(112.25) == Tally()


@pytest.mark.parametrize(
    ("field", "values", "allowed"),
    [
        ("failure_threshold", [-1], r"0 \(off\) or more"),
        ("interval", [0.0, -1.0, inf, nan], "a positive number of seconds"),
        ("timeout", [0.0, -1.0, inf, nan], "a positive number of seconds"),
        ("max_requests", [0, -1], "at least 1"),
        ("failure_ratio", [-0.1, 1.1, nan], r"0 \(off\) or a share up to 1"),
        ("slow_first_byte", [-1.0, inf, nan], r"0 \(off\) or a positive number of seconds"),
        ("slow_ratio", [-0.1, 1.1, nan], r"0 \(off\) or a share up to 1"),
        ("minimum_calls", [0, -1], "at least 1"),
        ("lease", [0.0, -1.0, inf, nan], "a positive number of seconds"),
    ],
)
def test_what_a_rule_does_not_allow_says_what_it_does(field: str, values: list[Any], allowed: str) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"^{field} must be {allowed}, not {value}$"):
            BreakerRule(**{field: value})
