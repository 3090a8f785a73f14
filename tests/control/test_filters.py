"""Query parameters become a query, or an answer that says what is wrong with them."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.contract.aibridge import InterceptionsQuery
from aibridge.control.errors import InvalidQuery
from aibridge.control.filters import merged
from aibridge.control.reading import query_of
from aibridge.domain.errors import BadRequest


def read(query_string: str) -> dict[str, Any]:
    """What is asked, without what is not."""
    asked = merged(query_of(parse_qsl(query_string, keep_blank_values=True), InterceptionsQuery))
    nothing = InterceptionsQuery()
    return {
        name: value
        for name, value in msgspec.structs.asdict(asked).items()
        if value != getattr(nothing, name) and name != "q"
    }


def problems(query_string: str) -> dict[str, str]:
    with pytest.raises(InvalidQuery) as refused:
        read(query_string)
    return {problem.field: problem.detail for problem in refused.value.validations}


def test_nothing_asks_for_the_first_hundred() -> None:
    assert InterceptionsQuery().limit == 100
    assert read("") == read("q=&limit=&provider=&after_id=&offset=") == {}


def test_everything_in_q() -> None:
    asked = (
        'q=initiator:bob provider:openai model:gpt-6 client:"Claude Code" '
        "started_after:2026-11-01T00:00:00Z started_before:2026-11-01T00:00:01.5%2B01:00&limit=7&offset=3"
    )
    assert read(asked) == {
        "initiator": "bob",
        "provider": "openai",
        "model": "gpt-6",
        "client": "Claude Code",
        "started_after": datetime(2026, 11, 1, tzinfo=UTC),
        "started_before": datetime(2026, 10, 31, 23, 0, 1, 500_000, tzinfo=UTC),
        "limit": 7,
        "offset": 3,
    }


def test_everything_as_parameters() -> None:
    asked = "initiator=bob&provider=openai&model=a:b&client=Claude+Code&started_after=2026-11-01T00:00:00Z&after_id=x"
    assert read(asked) == {
        "initiator": "bob",
        "provider": "openai",
        "model": "a:b",
        "client": "Claude Code",
        "started_after": datetime(2026, 11, 1, tzinfo=UTC),
        "after_id": "x",
    }


def test_values_in_q_may_hold_colons_and_spaces_around() -> None:
    assert read("q=%20 model:ft:gpt-6:acme  provider:openai ") == {"model": "ft:gpt-6:acme", "provider": "openai"}


def test_an_unknown_key_is_named_with_what_is_allowed() -> None:
    filters = "initiator, provider, model, client, started_after, started_before"
    assert problems("q=modle:x") == {"modle": f"is not known here; allowed are {filters}"}
    assert problems("q=limit:5") == {"limit": f"is not known here; allowed are {filters}"}
    assert problems("page=2") == {
        "page": f"is not known here; allowed are limit, offset, after_id, q, {filters}",
    }


def test_all_problems_are_named_at_once() -> None:
    assert set(problems("started_after=yesterday&limit=0&offset=-1&sort=x")) == {
        "started_after",
        "limit",
        "offset",
        "sort",
    }
    assert set(problems("q=colour:red shape:round")) == {"colour", "shape"}


@pytest.mark.parametrize("asked", ["q=model:a model:b", "model=a&model=b", "model=a&q=model:a", "limit=1&limit=2"])
def test_a_key_given_twice_is_refused(asked: str) -> None:
    assert list(problems(asked).values()) == ["is given more than once"]


@pytest.mark.parametrize(
    "text", ["claude", 'model:"a', 'model:a"b"', 'model:"a"client:"b"', "model :a", ":x", '"model":a']
)
def test_what_is_not_key_and_value_is_shown_from_where_it_is_wrong(text: str) -> None:
    assert "expected key:value" in problems(f"q=provider:openai {text}")["q"]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "1.5", "1e2", "+5", "\u0661", "1_0", "9" * 5000])
def test_a_limit_is_from_1_to_1000(limit: str) -> None:
    assert set(problems(f"limit={limit}".replace("+", "%2B"))) == {"limit"}


def test_the_bounds_of_paging_are_allowed() -> None:
    assert [read(f"limit={limit}") for limit in (1, 1000)] == [{"limit": 1}, {"limit": 1000}]
    assert [read(f"offset={offset}") for offset in (0, 2**31 - 1)] == [{}, {"offset": 2**31 - 1}]
    assert set(problems(f"offset={2**31}")) == {"offset"}


@pytest.mark.parametrize(
    "time",
    ["2026-11-01", "2026-11-01T00:00:00", "2026-11-01T00:00:00 02:00", "2026-13-01T00:00:00Z", "1793491200", "now"],
)
def test_a_time_without_date_clock_or_zone_is_refused(time: str) -> None:
    assert set(problems(f"started_before={time}")) == {"started_before"}


def test_one_way_of_paging_at_a_time() -> None:
    with pytest.raises(BadRequest) as refused:
        read("after_id=x&offset=1")
    assert refused.value.message == "Cannot use both after_id and offset pagination in the same request."
    assert read("after_id=x&offset=0") == {"after_id": "x"}


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_asked_is_read_or_refused(q: str, name: str, value: str) -> None:
    with suppress(BadRequest):
        merged(query_of([("q", q), (name, value)], InterceptionsQuery))


@given(st.lists(st.text(st.characters(exclude_characters='"'), min_size=1, max_size=9), min_size=3, max_size=3))
def test_a_quoted_value_arrives_as_it_is(values: list[str]) -> None:
    provider, model, client = values
    asked = query_of([("q", f'provider:"{provider}" model:"{model}" client:"{client}"')], InterceptionsQuery)
    query = merged(asked)
    assert (query.provider, query.model, query.client) == (provider, model, client)
