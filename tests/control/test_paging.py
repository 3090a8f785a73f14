"""Listings in pages: what may be asked, what is said of what may not, and that a walk meets everything once."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from control_driver import Answer
from control_world import INSTANT, World, world

from aibridge.contract.endpoint import PREFIX
from aibridge.contract.shapes import Page
from aibridge.contract.table import ENDPOINTS
from aibridge.store import groups, organizations, schema

PATHS = {
    "users": ("/users", "users"),
    "organizations": ("/organizations", "organizations"),
    "organization_members": ("/organizations/here/members", "members"),
    "organization_groups": ("/organizations/here/groups", "groups"),
    "tokens": ("/users/mia/keys/tokens", "keys"),
    "interceptions": ("/aibridge/interceptions", "results"),
    "audit_logs": ("/audit", "audit_logs"),
}
LISTINGS = sorted(PATHS.values())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("paging")) as made:
        connection = made.database.connection
        for number in range(7):
            groups.insert(connection, made.here, name=f"group {number}", now=INSTANT)
            organizations.insert(connection, name=f"place-{number}", now=INSTANT)
            made.token(f"t{number}", "mia", of=made.here)
            call = msgspec.structs.asdict(made.call("mia"))
            connection.execute(schema.interceptions.insert(), call | {"id": f"call-{number}"})
        made.control = made.composed()
        yield made


def ask(world: World, path: str, query: str) -> Answer:
    return world.control.call(f"{PREFIX}{path}?{query}", world.tokens["owner"], x_coder_bypass_ratelimit="true")


def test_these_are_all_listings_with_pages() -> None:
    paged = {each.operation for each in ENDPOINTS if each.query is not None and issubclass(each.query, Page)}
    assert paged - {"audit_csv"} == set(PATHS)


def key_of(entry: dict[str, Any]) -> str:
    return str(entry.get("id") or entry.get("user_id") or entry["number"])


@pytest.mark.parametrize(("path", "name"), LISTINGS)
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_a_walk_meets_everything_once_either_way(here: World, path: str, name: str, limit: int) -> None:
    whole = ask(here, path, "limit=1000").json
    everything = [key_of(entry) for entry in whole[name]]
    assert len(everything) == len(set(everything)) == whole["count"] > 3
    by_cursor: list[str] = []
    by_offset: list[str] = []
    query = f"limit={limit}"
    while page := ask(here, path, query).json[name]:
        by_cursor += [key_of(entry) for entry in page]
        query = f"limit={limit}&after_id={by_cursor[-1]}"
    while page := ask(here, path, f"limit={limit}&offset={len(by_offset)}").json[name]:
        by_offset += [key_of(entry) for entry in page]
    assert by_cursor == by_offset == everything


@pytest.mark.parametrize(("path", "name"), LISTINGS)
def test_the_count_is_of_all_pages(here: World, path: str, name: str) -> None:
    counts = {ask(here, path, query).json["count"] for query in ("", "limit=1", "offset=2", "offset=2147483647")}
    assert len(counts) == 1


@pytest.mark.parametrize(("path", "name"), LISTINGS)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=-1", "limit"), ("limit=x", "limit"),
        ("limit=1.0", "limit"), ("limit=1e2", "limit"), ("limit=%2B1", "limit"), ("limit=0x10", "limit"),
        ("limit=9999999999999", "limit"), ("limit=1&limit=2", "limit"), ("offset=-1", "offset"), ("offset=x", "offset"),
        ("offset=2147483648", "offset"), ("page=2", "page"), ("LIMIT=1", "LIMIT"), ("limit[]=1", "limit[]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(here: World, path: str, name: str, query: str, field: str) -> None:
    answer = ask(here, path, query)
    assert answer.status == 400
    assert answer.json["message"] == "Query parameters have invalid values."
    assert answer.fields == [field]


@pytest.mark.parametrize(("path", "name"), LISTINGS)
def test_all_that_is_wrong_is_told_at_once(here: World, path: str, name: str) -> None:
    assert sorted(ask(here, path, "limit=0&offset=x&what=ever").fields) == ["limit", "offset", "what"]


@pytest.mark.parametrize(("path", "name"), LISTINGS)
def test_one_way_of_paging_at_a_time(here: World, path: str, name: str) -> None:
    first = key_of(ask(here, path, "limit=1").json[name][0])
    answer = ask(here, path, f"after_id={first}&offset=1")
    assert answer.status == 400
    assert answer.json["message"] == "Cannot use both after_id and offset pagination in the same request."
    assert ask(here, path, f"after_id={first}&offset=0").status == 200


@pytest.mark.parametrize(("path", "name"), LISTINGS)
@pytest.mark.parametrize("cursor", ["nothing", "00000000-0000-4000-8000-000000000000", "%00", "-1", "'", "x" * 300])
def test_a_cursor_that_is_none_is_told(here: World, path: str, name: str, cursor: str) -> None:
    answer = ask(here, path, f"after_id={cursor}")
    assert answer.status == 400
    assert answer.json["message"] == "Invalid pagination cursor."


@pytest.mark.parametrize(("path", "name"), LISTINGS)
def test_an_empty_parameter_is_as_none_and_so_is_a_token(here: World, path: str, name: str) -> None:
    whole = ask(here, path, "").body
    assert ask(here, path, "limit=&offset=&after_id=").body == whole
    answer = here.control.call(f"{PREFIX}{path}?coder_session_token={here.tokens['owner']}")
    assert (answer.status, answer.body) == (200, whole)


def test_a_page_is_a_hundred_at_most_where_nothing_is_said(here: World) -> None:
    assert Page().limit == 100
    call = msgspec.structs.asdict(here.call("mia"))
    with here.undone():
        here.database.connection.execute(
            schema.interceptions.insert(), [call | {"id": f"more-{number:03}"} for number in range(101)]
        )
        told = ask(here, "/aibridge/interceptions", "").json
    assert len(told["results"]) == 100
    assert told["count"] > 100
