"""What is in a listing: for everybody the entries that they may read, and no others, whatever they ask for."""

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from control_world import INSTANT, World, world

from aibridge.contract.endpoint import PREFIX
from aibridge.control import limits
from aibridge.domain.rule import Subject, Unit
from aibridge.domain.user import UserStatus
from aibridge.store import users


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("visible")) as made:
        yield made


def listed(world: World, column: str, path: str) -> dict[str, Any]:
    answer = world.control.call(PREFIX + path, world.tokens[column])
    assert answer.status == 200, answer
    told: dict[str, Any] = answer.json
    return told


ALL_CALLS = ["call-mia", "call-member", "call-noa"]


@pytest.mark.parametrize(
    ("column", "calls"),
    [
        ("owner", ALL_CALLS),
        ("auditor", ALL_CALLS),
        ("user-admin", []),
        ("template-admin", []),
        ("member", ["call-member"]),
        ("mia", ["call-mia"]),
        ("ben", []),
        ("admin-here", ["call-mia"]),
        ("auditor-here", ["call-mia"]),
        ("user-admin-here", []),
        ("admin-elsewhere", ["call-noa"]),
        ("bot", []),
        ("chief", ["call-mia"]),
    ],
)
def test_calls_are_for_those_who_made_them_and_for_auditors(everybody: World, column: str, calls: list[str]) -> None:
    told = listed(everybody, column, "/aibridge/interceptions")
    assert {row["id"] for row in told["results"]} == set(calls)
    assert told["count"] == len(calls)
    for query in ("initiator=mia", "q=initiator:mia", f"initiator={everybody.ids['mia']}"):
        told = listed(everybody, column, f"/aibridge/interceptions?{query}")
        assert [row["id"] for row in told["results"]] == [name for name in calls if name == "call-mia"]


@pytest.mark.parametrize(
    ("column", "places"),
    [
        ("owner", ["none", "home", "here", "elsewhere"]),
        ("auditor", ["none", "home", "here", "elsewhere"]),
        ("admin-here", ["here"]),
        ("auditor-here", ["here"]),
        ("auditor-elsewhere", ["elsewhere"]),
        ("chief", ["here"]),
    ],
)
def test_the_audit_log_is_told_by_organization(everybody: World, column: str, places: list[str]) -> None:
    ids = {"none": None, **{name: str(getattr(everybody, name)) for name in ("home", "here", "elsewhere")}}
    told = listed(everybody, column, "/audit")
    assert {entry["organization_id"] for entry in told["audit_logs"]} == {ids[place] for place in places}
    assert told["count"] == len(places)
    lines = everybody.control.call(f"{PREFIX}/audit/csv", everybody.tokens[column]).body.decode().splitlines()
    assert len(lines) == 1 + len(places)
    for place in ("home", "here", "elsewhere"):
        for path in ("/audit", "/audit/csv"):
            answer = everybody.control.call(f"{PREFIX}{path}?organization_id={ids[place]}", everybody.tokens[column])
            assert answer.status == (200 if place in places else 404), (place, path)


PEOPLE = {"owner", "auditor", "user-admin"}


@pytest.mark.parametrize("column", ["owner", "auditor", "user-admin", "template-admin", "mia", "admin-here", "bot"])
def test_users_are_for_those_who_may_read_all_and_oneself_for_everybody(everybody: World, column: str) -> None:
    told = listed(everybody, column, "/users")
    names = {user["username"] for user in told["users"]}
    if column in PEOPLE:
        assert names == set(everybody.ids) - {"team", "vendor"}
    else:
        assert names == {column}
        assert listed(everybody, column, "/users?q=owner")["users"] == []
    assert told["count"] == len(names)


def test_organizations_are_those_that_one_may_read(everybody: World) -> None:
    for column, names in {
        "owner": {"default", "here", "elsewhere"},
        "template-admin": {"default", "here", "elsewhere"},
        "member": {"default"},
        "mia": {"here"},
        "bot": {"here"},
        "admin-elsewhere": {"elsewhere"},
    }.items():
        told = listed(everybody, column, "/organizations")
        assert {place["name"] for place in told["organizations"]} == names
        assert told["count"] == len(names)


def test_a_plain_member_sees_no_other_member(everybody: World) -> None:
    told = listed(everybody, "mia", "/organizations/here/members")
    assert [member["username"] for member in told["members"]] == ["mia"]
    assert told["count"] == 1
    told = listed(everybody, "auditor-here", "/organizations/here/members")
    assert {"mia", "ben", "bot", "chief", "admin-here"} <= {member["username"] for member in told["members"]}
    assert "noa" not in {member["username"] for member in told["members"]}


def test_limits_of_other_organizations_are_not_told(everybody: World) -> None:
    for column, names in {
        "owner": {"site", "here", "elsewhere"},
        "auditor": {"site", "here", "elsewhere"},
        "mia": {"site", "here"},
        "admin-here": {"site", "here"},
        "noa": {"site", "elsewhere"},
        "user-admin": {"site"},
    }.items():
        for path in ("/aibridge/limits", "/aibridge/limits/watch"):
            body = everybody.control.call(PREFIX + path, everybody.tokens[column]).body
            assert {name for name in ("site", "here", "elsewhere") if f'"name":"{name}"'.encode() in body} == names


def test_who_follows_the_limits_sees_what_they_may_see_now(everybody: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that was begun by an administrator does not outlive that, nor the token."""
    monkeypatch.setattr(limits, "_WATCHED_EVERY", 0.0)

    async def followed() -> list[set[str]]:
        seen: list[set[str]] = []
        done = asyncio.Event()
        connection, member = everybody.database.connection, everybody.ids["auditor"]

        async def send(message: MutableMapping[str, Any]) -> None:
            body = message.get("body", b"")
            if b"event: data" in body:
                seen.append({name for name in ("site", "here") if f'"name":"{name}"'.encode() in body})
                if len(seen) == 1:
                    users.set_roles(connection, member, [], now=INSTANT)
                if len(seen) == 2:
                    users.set_status(connection, member, UserStatus.SUSPENDED, now=INSTANT)
                await everybody.refresh()
            elif not message.get("more_body", True):
                done.set()

        headers = [(b"authorization", f"Bearer {everybody.tokens['auditor']}".encode())]
        await asyncio.wait_for(everybody.control.sent("GET", f"{PREFIX}/aibridge/limits/watch", headers, send=send), 10)
        assert done.is_set()
        return seen

    with everybody.undone():
        assert asyncio.run(followed()) == [{"site", "here"}, {"site"}]


def test_whom_a_limit_is_for_and_how_it_decided_is_for_those_who_may_read_it(everybody: World) -> None:
    for column, reads in {"owner": True, "template-admin": True, "admin-here": False, "mia": False}.items():
        told = everybody.control.call(f"{PREFIX}/aibridge/limits/site", everybody.tokens[column]).json
        assert (told["only"] is not None, told["decisions"] is not None) == (reads, reads)
    told = everybody.control.call(f"{PREFIX}/aibridge/limits/here", everybody.tokens["admin-here"]).json
    assert told["only"] == []


def test_a_budget_of_others_is_not_among_ones_own(everybody: World) -> None:
    def budgets(column: str) -> list[str]:
        answer = everybody.control.call(f"{PREFIX}/users/me/ai/budgets", everybody.tokens[column])
        return [budget["limit"] for budget in answer.json]

    cost: dict[str, Any] = {"subject": Subject.USER, "unit": Unit.COST}
    kept = everybody.rules
    everybody.rules = [
        *kept,
        everybody.rule("team", organization=str(everybody.here), **cost),
        everybody.rule("there", organization=str(everybody.elsewhere), **cost),
        everybody.rule("hers", only=("mi*",), **cost),
    ]
    try:
        assert budgets("mia") == ["site", "team", "hers"]
        assert budgets("ben") == ["site", "team"]
        assert budgets("noa") == ["site", "there"]
        assert budgets("member") == ["site"]
    finally:
        everybody.rules = kept


def test_roles_are_shown_with_whether_they_are_the_callers_to_give(everybody: World) -> None:
    def given(column: str, path: str) -> set[str]:
        answer = everybody.control.call(PREFIX + path, everybody.tokens[column])
        return {role["name"].partition(":")[0] for role in answer.json if role["assignable"]}

    site = {"owner", "member", "auditor", "user-admin", "template-admin"}
    assert given("owner", "/users/roles") == site
    assert given("user-admin", "/users/roles") == {"member"}
    assert given("auditor", "/users/roles") == given("admin-here", "/users/roles") == set()
    here = "/organizations/here/members/roles"
    built_in = {f"organization-{name}" for name in ("admin", "member", "auditor", "user-admin", "template-admin")}
    assert given("admin-here", here) == given("owner", here) == built_in | {"reader"}
    assert given("user-admin-here", here) == given("user-admin", here) == {"organization-member"}
    assert given("mia", here) == given("auditor", here) == set()
