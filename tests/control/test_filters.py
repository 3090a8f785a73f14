"""Query parameters become a query, or an answer that says what is wrong with them."""

from contextlib import suppress
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.control.errors import InvalidQuery
from aibridge.control.filters import query_of
from aibridge.domain.actor import Actor
from aibridge.domain.errors import BadRequest
from aibridge.store.interceptions import Query

ANN = Actor(id="u1", username="ann", token_id="t1", is_owner=False)
OWNER = Actor(id="u0", username="root", token_id="t0", is_owner=True)


def read(query_string: str, actor: Actor = OWNER) -> Query:
    return query_of(parse_qsl(query_string, keep_blank_values=True), actor)


def problems(query_string: str) -> dict[str, str]:
    with pytest.raises(InvalidQuery) as refused:
        read(query_string)
    return {problem.field: problem.detail for problem in refused.value.validations}


def test_nothing_asks_for_the_first_hundred() -> None:
    assert read("") == Query(limit=100)
    assert read("q=&limit=&provider=&after_id=&offset=") == Query(limit=100)


def test_everything_in_q() -> None:
    asked = (
        'q=initiator:bob provider:openai model:gpt-6 client:"Claude Code" '
        "started_after:2026-11-01T00:00:00Z started_before:2026-11-01T00:00:01.5%2B01:00&limit=7&offset=3"
    )
    assert read(asked) == Query(
        initiator="bob",
        provider="openai",
        model="gpt-6",
        client="Claude Code",
        started_after=1_793_491_200_000_000,
        started_before=1_793_487_601_500_000,
        limit=7,
        offset=3,
    )


def test_everything_as_parameters() -> None:
    asked = "initiator=bob&provider=openai&model=a:b&client=Claude+Code&started_after=2026-11-01T00:00:00Z&after_id=x"
    assert read(asked) == Query(
        initiator="bob",
        provider="openai",
        model="a:b",
        client="Claude Code",
        started_after=1_793_491_200_000_000,
        after_id="x",
    )


def test_values_in_q_may_hold_colons_and_spaces_around() -> None:
    assert read("q=%20 model:ft:gpt-6:acme  provider:openai ") == Query(model="ft:gpt-6:acme", provider="openai")


def test_me_is_who_asks() -> None:
    assert read("initiator=me", OWNER) == Query(initiator="u0")
    assert read("q=initiator:me", ANN) == Query(visible_to="u1", initiator="u1")


def test_whoever_is_no_owner_sees_its_own() -> None:
    assert read("initiator=root", ANN) == Query(visible_to="u1", initiator="root")


def test_an_unknown_key_is_named_with_what_is_allowed() -> None:
    filters = "initiator, provider, model, client, started_after, started_before"
    assert problems("q=modle:x") == {"modle": f"is not known here; allowed are {filters}"}
    assert problems("q=limit:5") == {"limit": f"is not known here; allowed are {filters}"}
    assert problems("page=2") == {"page": f"is not known here; allowed are q, {filters}, limit, after_id, offset"}


def test_all_problems_are_named_at_once() -> None:
    asked = "q=colour:red model: started_after:yesterday&limit=0&offset=-1&sort=x"
    assert set(problems(asked)) == {"colour", "model", "started_after", "limit", "offset", "sort"}


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
    assert problems(f"limit={limit}".replace("+", "%2B")) == {"limit": "must be a whole number from 1 to 1000"}


def test_the_bounds_of_paging_are_allowed() -> None:
    assert [read(f"limit={limit}").limit for limit in (1, 1000)] == [1, 1000]
    assert [read(f"offset={offset}").offset for offset in (0, 2**31 - 1)] == [0, 2**31 - 1]
    assert set(problems(f"offset={2**31}")) == {"offset"}


@pytest.mark.parametrize(
    "time",
    ["2026-11-01", "2026-11-01T00:00:00", "2026-11-01T00:00:00 02:00", "2026-13-01T00:00:00Z", "1793491200", "now"],
)
def test_a_time_without_date_clock_or_zone_is_refused(time: str) -> None:
    assert "RFC 3339" in problems(f"started_before={time}")["started_before"]


def test_one_way_of_paging_at_a_time() -> None:
    with pytest.raises(BadRequest) as refused:
        read("after_id=x&offset=1")
    assert refused.value.message == "Cannot use both after_id and offset pagination in the same request."
    assert read("after_id=x&offset=0") == Query(after_id="x")


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_asked_is_read_or_refused(q: str, name: str, value: str) -> None:
    with suppress(BadRequest):
        assert query_of([("q", q), (name, value)], ANN).visible_to == "u1"


@given(st.lists(st.text(st.characters(exclude_characters='"'), min_size=1, max_size=9), min_size=3, max_size=3))
def test_a_quoted_value_arrives_as_it_is(values: list[str]) -> None:
    provider, model, client = values
    query = query_of([("q", f'provider:"{provider}" model:"{model}" client:"{client}"')], OWNER)
    assert (query.provider, query.model, query.client) == (provider, model, client)
