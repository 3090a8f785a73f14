"""Guessing passwords: how long one waits, and who does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.control.throttle import ACCOUNT_MOST, FORGOTTEN, REMEMBERED, Throttle, _Failures
from aibridge.overload.outcome import Rejection

HOME, AWAY = "192.0.2.1", "198.51.100.7"
START = 1_000_000.0


def fails(throttle: Throttle, times: int, now: float, *, address: str = HOME, account: str = "ada") -> float:
    """Fail as often as that, waiting as told, and answer when the last was."""
    for _ in range(times):
        rejection = throttle.attempt(address, account, now)
        if rejection is not None:
            now += rejection.retry_after
            assert throttle.attempt(address, account, now) is None
    return now


def refused(throttle: Throttle, now: float, *, address: str = HOME, account: str = "ada") -> Rejection:
    rejection = throttle.attempt(address, account, now)
    assert rejection is not None
    return rejection


def test_a_few_mistakes_are_free_and_then_each_costs_twice_as_much() -> None:
    throttle, now = Throttle(), START
    waits = []
    for _ in range(14):
        rejection = throttle.attempt(HOME, "ada", now)
        if rejection is None:
            continue
        waits.append(rejection.retry_after)
        now += rejection.retry_after
        assert throttle.attempt(HOME, "ada", now) is None

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 900.0]


def test_a_wait_is_true_to_the_millisecond_and_refusals_do_not_lengthen_it() -> None:
    throttle = Throttle()
    now = fails(throttle, 6, START)

    rejection = refused(throttle, now)
    for _ in range(100):
        assert refused(throttle, now).retry_after == rejection.retry_after
    assert refused(throttle, now + rejection.retry_after - 0.001).retry_after == pytest.approx(0.001, abs=1e-6)
    assert throttle.attempt(HOME, "ada", now + rejection.retry_after) is None


@given(st.floats(0.0, 1e9), st.lists(st.floats(0.0, 2000.0), max_size=30))
def test_waiting_as_told_is_always_enough(now: float, pauses: list[float]) -> None:
    throttle = Throttle()
    for pause in pauses:
        now += pause
        rejection = throttle.attempt(HOME, "ada", now)
        if rejection is not None:
            assert 0.0 < rejection.retry_after <= 900.001
            assert throttle.attempt(HOME, "ada", now + rejection.retry_after) is None
            now += rejection.retry_after


def test_a_refusal_names_its_limit() -> None:
    throttle = Throttle()
    now = fails(throttle, 3, START)

    rejection = refused(throttle, now)

    assert (rejection.limit, rejection.allowed, rejection.window) == ("sign-in", 3, 3600.0)


def test_a_hundred_at_once_are_a_hundred() -> None:
    throttle = Throttle()

    assert [throttle.attempt(HOME, "ada", START) for _ in range(100)].count(None) == 3


def test_one_address_that_tries_everybody_is_slowed_down() -> None:
    throttle = Throttle()
    let = [throttle.attempt(HOME, f"user-{number}", START) for number in range(50)].count(None)

    assert let == 20
    assert refused(throttle, START, account="another").limit == "sign-in-address"
    assert throttle.attempt(AWAY, "another", START) is None


def test_the_lower_half_of_an_address_buys_nothing() -> None:
    throttle = Throttle()
    tried = [throttle.attempt(f"2001:db8::{number:x}", f"user-{number}", START) for number in range(50)]

    assert tried.count(None) == 20


def test_many_addresses_that_try_one_account_are_slowed_down() -> None:
    throttle = Throttle()
    tried = [throttle.attempt(f"10.0.{number}.1", "ada", START) for number in range(50)]

    assert tried.count(None) == 10
    assert refused(throttle, START, address="10.1.0.1", account="ADA").limit == "sign-in-account"
    assert throttle.attempt("10.1.0.1", "grace", START) is None


def test_an_account_waits_a_minute_at_most_however_many_try_it() -> None:
    throttle, now = Throttle(), START
    for number in range(200):
        rejection = throttle.attempt(f"10.{number}.0.1", "ada", now)
        if rejection is not None:
            assert rejection.retry_after <= ACCOUNT_MOST
            now += rejection.retry_after
            assert throttle.attempt(f"10.{number}.0.1", "ada", now) is None


def test_whoever_signed_in_before_is_not_locked_out_by_strangers() -> None:
    throttle = Throttle()
    assert throttle.attempt(HOME, "ada", START) is None
    throttle.succeeded(HOME, "ada", START)
    now = START + 86400.0
    for number in range(100):
        throttle.attempt(f"10.0.{number}.1", "ada", now)

    assert refused(throttle, now, address=AWAY).limit == "sign-in-account"
    assert throttle.attempt(HOME, "ada", now) is None
    throttle.succeeded(HOME, "ada", now)
    assert refused(throttle, now, address=AWAY).limit == "sign-in-account"


def test_whoever_signed_in_before_may_not_guess_without_end_either() -> None:
    throttle = Throttle()
    throttle.succeeded(HOME, "ada", START)

    assert [throttle.attempt(HOME, "ada", START) for _ in range(10)].count(None) == 3


def test_where_somebody_signed_in_is_known_for_a_month() -> None:
    for later, known in ((REMEMBERED - 1.0, True), (REMEMBERED, False)):
        throttle = Throttle()
        throttle.succeeded(HOME, "ada", START)
        for number in range(100):
            throttle.attempt(f"10.0.{number}.1", "ada", START + later)

        assert (throttle.attempt(HOME, "ada", START + later) is None) is known


def test_success_forgives_ones_own_mistakes_and_nobody_elses() -> None:
    throttle = Throttle()
    now = fails(throttle, 5, START)
    for _ in range(2):
        now = fails(throttle, 1, now)
        throttle.succeeded(HOME, "ada", now)
        assert [throttle.attempt(HOME, "ada", now) for _ in range(10)].count(None) == 3
        now += FORGOTTEN - 1.0
        now = fails(throttle, 1, now)
        throttle.succeeded(HOME, "ada", now)

    assert [throttle.attempt(HOME, "ada", now) for _ in range(10)].count(None) == 3


def test_an_account_of_ones_own_is_no_way_to_guess_at_others() -> None:
    throttle = Throttle()
    let = 0
    for number in range(100):
        let += throttle.attempt(HOME, f"user-{number}", START) is None
        if throttle.attempt(HOME, "mine", START) is None:
            throttle.succeeded(HOME, "mine", START)

    assert let == 20


def test_an_attempt_that_came_to_nothing_is_taken_back() -> None:
    throttle = Throttle()
    for _ in range(100):
        assert throttle.attempt(HOME, "ada", START) is None
        throttle.unused(HOME, "ada", START)


def test_failures_are_forgotten_after_an_hour_without_any() -> None:
    for later, forgotten in ((FORGOTTEN - 1.0, False), (FORGOTTEN, True)):
        throttle = Throttle()
        now = fails(throttle, 12, START) + later
        let = [throttle.attempt(HOME, "ada", now) for _ in range(10)].count(None)

        assert let == (3 if forgotten else 1)


def test_a_flood_of_invented_names_neither_fills_memory_nor_stops_those_who_sign_in_here() -> None:
    throttle = Throttle(maximum=50)
    throttle.succeeded(HOME, "ada", START)
    throttle.attempt(AWAY, "ada", START)
    for number in range(5000):
        throttle.attempt(f"10.{number // 250}.{number % 250}.1", f"user-{number}", START)

    tables = (throttle._at_one, throttle._of_group, throttle._of_account, throttle._homes)
    assert all(len(table) <= 50 for table in tables)
    assert refused(throttle, START, address="203.0.113.9", account="new").retry_after > 0.0
    assert [throttle.attempt(HOME, "ada", START) for _ in range(10)].count(None) == 3
    assert Throttle(maximum=50).attempt("203.0.113.9", "new", START) is None


def test_without_a_place_a_success_pardons_nobody() -> None:
    throttle = Throttle(maximum=1)
    throttle.attempt(AWAY, "grace", START)
    let = 0
    for number in range(200):
        let += throttle.attempt("10.0.0.1", f"user-{number}", START) is None
        if throttle.attempt("10.0.0.2", "mine", START) is None:
            throttle.succeeded("10.0.0.2", "mine", START)

    assert let <= 20


def test_a_long_name_is_kept_in_part() -> None:
    throttle = Throttle()
    throttle.attempt(HOME, "x" * 1_000_000, START)

    assert [len(str(account)) for account in throttle._of_account.keys()] == [320]  # noqa: SIM118 - no mapping


def test_rounding_costs_no_second_attempt() -> None:
    failures = _Failures(free=0, most=900.0)
    for _ in range(20):
        failures.add(0.0009891376146882425)
    now = 70.539130804227

    assert failures.wait(now) > 829.0
    assert failures.wait(now + failures.wait(now)) == 0.0
