"""The vendors' own headers about a limit."""

import pytest

from aibridge.domain.errors import AtCapacity, BudgetSpent, CallError, RateLimited
from aibridge.overload.outcome import Rejection
from aibridge.overload.retry import Policy
from aibridge.wire import anthropic_messages, openai_chat, openai_responses
from aibridge.wire.errors import ANTHROPIC, OPENAI, PLAIN, Family

NOON = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def headers(family: Family, error: CallError) -> list[tuple[str, str]]:
    """A vendor's own headers about a limit that refused, as they are told at noon."""
    wait = error.rejection.retry_after if error.rejection is not None else 0.0
    return family.limit_headers(error, family.reset(wait, NOON))


def rate_limited(unit: str) -> RateLimited:
    policies = (Policy("mine", 1000, 60.0, unit), Policy("other", 5, 1.0))
    return RateLimited.caller("d", Rejection("mine", 1000, 60.0, 1.2336), policies)


@pytest.mark.parametrize(
    ("unit", "openai", "anthropic"),
    [
        ("requests", "requests", "requests"),
        ("input-tokens", "tokens", "input-tokens"),
        ("output-tokens", "tokens", "output-tokens"),
        ("total-tokens", "tokens", "tokens"),
    ],
)
def test_each_family_has_its_words_for_what_is_limited(unit: str, openai: str, anthropic: str) -> None:
    for family in (OPENAI, openai_chat.DIALECT, openai_responses.DIALECT):
        assert headers(family, rate_limited(unit)) == [
            (f"x-ratelimit-limit-{openai}", "1000"),
            (f"x-ratelimit-remaining-{openai}", "0"),
            (f"x-ratelimit-reset-{openai}", "1.234s"),
        ]
    for other in (ANTHROPIC, anthropic_messages.DIALECT):
        assert headers(other, rate_limited(unit)) == [
            (f"anthropic-ratelimit-{anthropic}-limit", "1000"),
            (f"anthropic-ratelimit-{anthropic}-remaining", "0"),
            (f"anthropic-ratelimit-{anthropic}-reset", "2023-11-14T22:13:22Z"),
        ]


def test_a_spent_budget_tells_when_there_is_more() -> None:
    rejection = Rejection("day", 5, 86400.0, 3600.0)
    error = BudgetSpent.caller("m", "d", rejection, (Policy("day", 5, 86400.0),))
    assert dict(headers(OPENAI, error))["x-ratelimit-reset-requests"] == "3600.000s"
    assert dict(headers(ANTHROPIC, error))["anthropic-ratelimit-requests-reset"] == "2023-11-14T23:13:20Z"


def test_a_debt_that_outlives_the_calendar_is_told_until_its_end() -> None:
    error = BudgetSpent.caller("m", "d", Rejection("ban", 1, 3e7, 1e12), (Policy("ban", 1, 3e7, "total-tokens"),))
    assert dict(headers(ANTHROPIC, error))["anthropic-ratelimit-tokens-reset"] == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize(
    "error",
    [
        CallError("m"),
        rate_limited("micro-dollars"),
        RateLimited.caller("d", Rejection("x", 1, 1.0, 1.0)),
        AtCapacity.caller(
            "d", rejection=Rejection("c", 1, 0.0, 1.0), policies=(Policy("c", 1, 0.0, "concurrent-requests"),)
        ),
    ],
    ids=["no limit", "cost", "not listed", "concurrency"],
)
def test_what_the_vendors_do_not_limit_has_no_headers_of_theirs(error: CallError) -> None:
    assert headers(OPENAI, error) == []
    assert headers(ANTHROPIC, error) == []


def test_routes_of_no_vendor_have_none() -> None:
    assert headers(PLAIN, rate_limited("requests")) == []
