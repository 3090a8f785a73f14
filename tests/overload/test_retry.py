"""What a wait becomes on the wire: never early, never alone, never outside 1 to 60 seconds."""

import pytest
from chance import seeded
from hypothesis import example, given
from hypothesis import strategies as st

from aibridge.overload.outcome import Rejection
from aibridge.overload.retry import (
    LONGEST,
    Blank,
    Form,
    Policy,
    RetryHint,
    hint,
    limit_headers,
    rate_headers,
    retry_headers,
)

lucks = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)


@given(wait=st.floats(min_value=0.0, max_value=60.0), luck=lucks)
@example(wait=59.971000000000004, luck=0.0)  # a thousand times this is rounded down to 59971
@example(wait=60.0, luck=0.5)
def test_a_client_that_obeys_is_never_early(wait: float, luck: float) -> None:
    answer = hint(wait, luck)
    assert answer.milliseconds / 1000 >= wait
    assert 1 <= answer.milliseconds <= answer.seconds * 1000
    assert 1 <= answer.seconds <= LONGEST
    assert (answer.seconds - 1) * 1000 < answer.milliseconds


@given(wait=st.floats(min_value=60.0, allow_nan=False), luck=lucks)
def test_a_wait_beyond_the_longest_says_the_longest(wait: float, luck: float) -> None:
    assert hint(wait, luck) == RetryHint(seconds=60, milliseconds=60_000)


@given(wait=st.floats(min_value=0.0, max_value=50.0), luck=lucks)
def test_jitter_is_at_most_a_fifth_or_a_tenth_of_a_second(wait: float, luck: float) -> None:
    assert hint(wait, luck).milliseconds <= (wait + max(wait / 5, 0.1)) * 1000 + 2


@pytest.mark.parametrize(
    ("wait", "luck", "seconds", "milliseconds"),
    [
        (0.0, 0.0, 1, 1),
        (-3.0, 0.0, 1, 1),
        (0.25, 0.0, 1, 250),
        (0.25, 0.5, 1, 300),
        (1.0, 0.0, 1, 1000),
        (1.0, 0.01, 2, 1002),
        (10.0, 0.5, 11, 11_000),
        (59.0, 0.9, 60, 60_000),
    ],
)
def test_the_whole_seconds_are_the_milliseconds_rounded_up(
    wait: float, luck: float, seconds: int, milliseconds: int
) -> None:
    assert hint(wait, luck) == RetryHint(seconds=seconds, milliseconds=milliseconds)


@pytest.mark.parametrize("wait", [0.0, 0.01, 1.0, 10.0, 40.0])
def test_those_refused_together_come_back_apart(wait: float) -> None:
    chance = seeded(5)
    assert len({hint(wait, chance()).milliseconds for _ in range(100)}) > 50


def test_an_estimate_has_no_milliseconds() -> None:
    assert retry_headers(RetryHint(seconds=2, milliseconds=1234)) == [("retry-after", "2")]


def test_a_rate_refusal_also_says_which_rule_said_no() -> None:
    rejection = Rejection(limit="token", allowed=2.0, window=3600.0, retry_after=1799.2)
    assert rate_headers(rejection, hint(rejection.retry_after, 0.5)) == [
        ("retry-after", "60"),
        ("retry-after-ms", "60000"),
        ("ratelimit", '"token";r=0;t=1800'),
        ("ratelimit-policy", '"token";q=2;w=3600'),
    ]


def test_the_fields_of_a_rule_are_never_below_one_second() -> None:
    rejection = Rejection(limit="token", allowed=5.0, window=0.25, retry_after=0.1)
    assert dict(rate_headers(rejection, hint(0.1, 0.0))).items() >= {
        ("ratelimit", '"token";r=0;t=1'),
        ("ratelimit-policy", '"token";q=5;w=1'),
    }


def test_all_limits_of_a_call_are_listed_with_what_they_count() -> None:
    rejection = Rejection(limit="tokens", allowed=100_000.0, window=60.0, retry_after=7.5)
    policies = (
        Policy("tokens", 100_000, 60.0, "total-tokens"),
        Policy("token", 5, 1.0),
        Policy("slots", 3, 0.0, "concurrent-requests"),
    )
    listed = [
        ("ratelimit", '"tokens";r=0;t=8'),
        (
            "ratelimit-policy",
            '"tokens";q=100000;qu="total-tokens";w=60, "token";q=5;w=1, "slots";q=3;qu="concurrent-requests"',
        ),
    ]
    assert limit_headers(rejection, policies) == listed
    assert rate_headers(rejection, hint(7.5, 0.0), policies) == [
        ("retry-after", "8"),
        ("retry-after-ms", "7500"),
        *listed,
    ]


def test_a_wait_is_never_a_longer_integer_than_a_field_may_have() -> None:
    assert dict(limit_headers(Rejection("ban", 1, 1.0, 1e17)))["ratelimit"] == '"ban";r=0;t=999999999999999'


def test_a_form_is_filled_wherever_it_has_a_place_and_each_time_anew() -> None:
    blank = Blank()
    form = Form(f"{blank.id}: {blank.seconds} s, {blank.milliseconds} ms, {blank.seconds} s{blank.reset}".encode())
    assert form.filled((b"1", b"950", b"left", b"!", b"a")) == b"a: 1 s, 950 ms, 1 s!"
    assert form.filled((b"2", b"1500", b"left", b"", b"b")) == b"b: 2 s, 1500 ms, 2 s"


def test_a_form_without_places_is_its_text() -> None:
    assert Form(b"100 % \x05").filled((b"1", b"2", b"3", b"4", b"5")) == b"100 % \x05"
    assert Form(b"").filled((b"1", b"2", b"3", b"4", b"5")) == b""
