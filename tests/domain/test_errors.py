"""Errors: codes, statuses and waits."""

from http import HTTPStatus

import pytest

from aibridge.domain import errors
from aibridge.domain.errors import AtCapacity, BudgetSpent, CallError, CircuitOpen, RateLimited, Refused, UpstreamFailed
from aibridge.overload.outcome import Rejection
from aibridge.overload.retry import Policy

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, CallError) and kind not in {CallError, Refused}
]


def test_codes_are_told_apart() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_statuses_say_whose_fault_it_is(kind: type[CallError]) -> None:
    HTTPStatus(kind.status)
    if issubclass(kind, UpstreamFailed):
        assert kind.status in {502, 504}
    assert issubclass(kind, Refused) or kind.status >= 500


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_the_picture_in_the_docstring_is_true(kind: type[CallError]) -> None:
    assert errors.__doc__ is not None
    if kind is not UpstreamFailed:
        assert any(
            line.split()[-3:] == [kind.__name__, kind.code, str(kind.status)]
            or (f"{kind.code} " in line and f" {kind.status}" in line and kind.__name__ in line)
            for line in errors.__doc__.splitlines()
        )


def test_the_wait_is_the_limiters_unless_it_is_said() -> None:
    rejection = Rejection("x", 1, 0.0, 2.5)
    assert AtCapacity("x").retry_after is None
    assert AtCapacity("x", rejection=rejection).retry_after == 2.5
    assert AtCapacity("x", rejection=rejection, retry_after=0.0).retry_after == 0.0
    assert AtCapacity("x", retry_after=4.0).retry_after == 4.0
    assert str(AtCapacity("words")) == "words"


def test_the_limits_that_a_call_fell_under_go_with_a_limits_refusal() -> None:
    rejection = Rejection("day", 5, 86400.0, 3600.0)
    policies = (Policy("day", 5, 86400.0), Policy("minute", 1, 60.0))
    for error in (
        RateLimited.caller("d", rejection, policies),
        AtCapacity.caller("d", rejection=rejection, policies=policies),
        BudgetSpent.caller("m", "d", rejection, policies),
    ):
        assert (error.policies, error.rejection, error.detail) == (policies, rejection, "d")
    assert AtCapacity("m").policies == ()


def test_nobody_is_told_to_wait_for_a_spent_budget() -> None:
    error = BudgetSpent.caller("No more.", "Tomorrow.", Rejection("day", 5, 86400.0, 3600.0), ())
    assert error.retry_after is None
    assert str(error) == "No more."


def test_an_open_breaker_says_which_it_is_and_how_long_it_stays_open() -> None:
    error = CircuitOpen.caller("openai:central:gpt-*", 12.34)
    assert error.retry_after == 12.34
    assert error.detail == "The circuit breaker openai:central:gpt-* is open; it lets calls through again in 12.3 s."
