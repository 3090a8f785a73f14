"""Nobody raises themselves, or another, beyond what they may give: by fields, by roles, by tokens, by passwords."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from control_driver import Answer
from control_world import INSTANT, PASSWORD, World, world

from aibridge.contract.endpoint import PREFIX
from aibridge.contract.table import ENDPOINTS
from aibridge.control import tokens
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import CustomRole
from aibridge.domain.user import LoginType, UserStatus
from aibridge.store import custom_roles, members, users
from aibridge.store import tokens as store_tokens

NEW_PASSWORD = "another quiet place"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("raising")) as made:
        yield made


@pytest.fixture
def here(shared: World) -> Iterator[World]:
    with shared.undone():
        shared.control = shared.composed()  # which has counted nothing yet
        yield shared


def ask(world: World, who: str, method: str, path: str, body: object = None) -> Answer:
    return world.control.call(PREFIX + path, world.tokens[who], method=method, body=body)


def refused(world: World, who: str, method: str, path: str, body: object = None, *, status: int = 403) -> Answer:
    before = world.dump()
    answer = ask(world, who, method, path, body)
    assert answer.status == status, answer
    assert world.dump() == before, "it was refused, and something was changed"
    return answer


def custom(world: World, name: str, *permissions: str, whose: str | None = None) -> None:
    """A role of `here`, held by somebody; `!` before a permission denies it."""
    connection = world.database.connection
    said = []
    for permission in permissions:
        resource, action = permission.removeprefix("!").split(":")
        negate = permission.startswith("!")
        said.append(Permission(resource=Resource(resource), action=Action(action), negate=negate))
    identifier = RoleIdentifier(name, world.here)
    custom_roles.insert(connection, CustomRole(identifier=identifier, permissions=tuple(said)), now=INSTANT)
    if whose is not None:
        held = members.one(connection, world.here, whose).roles
        members.set_roles(connection, world.here, whose, (*held, identifier), now=INSTANT)
    asyncio.run(world.refresh())


# Fields


BODIED = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
PARAMETERS = {
    "organization": "here",
    "user": "mia",
    "limit": "site",
    "provider": "vendor",
    "breaker": "openai:main:gpt-5",
}


@pytest.mark.parametrize("endpoint", BODIED, ids=[endpoint.operation for endpoint in BODIED])
def test_an_unknown_field_is_refused_wherever_there_is_a_body(here: World, endpoint: Any) -> None:
    """And so are `roles`, `status` and all else that has an endpoint, and a permission, of its own."""
    names = PARAMETERS | {
        "group": here.ids["team"],
        "key": here.token_ids["mia"],
        "role": "reader",
        "role_name": "reader",
    }
    own = {field.encode_name for field in msgspec.structs.fields(endpoint.body)}
    sent = dict.fromkeys(
        {"roles", "status", "is_owner", "user_role", "scope", "id", "__proto__", "Roles"} - own, "owner"
    )
    path = endpoint.path.replace(":path", "").format(**names)
    answer = refused(here, "owner", endpoint.method, path, sent, status=400)
    assert set(sent) <= set(answer.fields)
    assert all("is not known here" in told["detail"] for told in answer.json["validations"] if told["field"] in sent)


@pytest.mark.parametrize(
    "field", ["roles", "status", "login_type", "id", "service_account_of", "password", "created_at"]
)
def test_a_profile_is_a_name_and_nothing_else(here: World, field: str) -> None:
    answer = refused(here, "mia", "PUT", "/users/me/profile", {"name": "Mia", field: ["owner"]}, status=400)
    assert answer.fields == [field]


def test_roles_are_not_given_by_making_somebody(here: World) -> None:
    for field in ("roles", "organization_roles", "status"):
        answer = refused(here, "user-admin", "POST", "/users", {"username": "new", field: ["owner"]}, status=400)
        assert answer.fields == [field]
    made = ask(here, "user-admin", "POST", "/users", {"username": "new"}).json
    assert (made["roles"], made["status"]) == ([], "active")


def test_names_to_be_found_by_are_not_ones_own_to_change(here: World) -> None:
    for field, value in (("username", "owner2"), ("email", "owner@example.com")):
        refused(here, "mia", "PUT", "/users/me/profile", {field: value})
    assert ask(here, "mia", "PUT", "/users/me/profile", {"name": "M", "username": "mia"}).status == 200
    assert ask(here, "user-admin", "PUT", "/users/mia/profile", {"email": "m@example.com"}).status == 200


# Roles


def test_nobody_gives_themselves_a_role_of_the_site(here: World) -> None:
    for who in ("mia", "auditor", "user-admin", "template-admin", "bot", "chief", "admin-here", "admin-elsewhere"):
        for role in ("owner", "auditor", "user-admin"):
            answer = ask(here, who, "PUT", "/users/me/roles", {"roles": [role]})
            if role != who:
                assert answer.status in (403, 404), (who, role, answer)
    assert ask(here, "user-admin", "GET", "/users/me").json["roles"] == ["user-admin"]


def test_roles_of_another_place_are_none_here(here: World) -> None:
    there = f"organization-admin:{here.elsewhere}"
    for who in ("admin-here", "owner"):
        answer = ask(here, who, "PUT", "/organizations/here/members/mia/roles", {"roles": [there]})
        assert answer.status == (403 if who == "admin-here" else 400)
    for role in ("owner", "auditor"):
        refused(here, "admin-here", "PUT", "/organizations/here/members/mia/roles", {"roles": [role]})
        refused(here, "owner", "PUT", "/organizations/here/members/mia/roles", {"roles": [role]}, status=400)
    refused(here, "owner", "PUT", "/users/mia/roles", {"roles": [f"organization-admin:{here.here}"]}, status=400)


def test_a_custom_role_grants_nothing_that_its_maker_may_not_do(here: World) -> None:
    path = "/organizations/here/members/roles"
    for resource, action in (("api_key", "create"), ("api_key", "*"), ("*", "*"), ("organization", "create")):
        permission = {"resource": resource, "action": action}
        body = {"name": "more", "organization_permissions": [permission]}
        assert "would grant" in refused(here, "admin-here", "POST", path, body).json["detail"]
        change = {"organization_permissions": [permission]}
        assert "would grant" in refused(here, "admin-here", "PUT", f"{path}/reader", change).json["detail"]
    for resource in ("user", "deployment_config", "assign_role"):
        body = {"name": "more", "organization_permissions": [{"resource": resource, "action": "read"}]}
        refused(here, "owner", "POST", path, body, status=400)


@pytest.mark.parametrize("name", ["owner", "organization-admin", "Owner", "admin", "a:b", "", "x" * 100, "a/b"])
def test_a_custom_role_has_no_name_that_means_another(here: World, name: str) -> None:
    refused(
        here,
        "owner",
        "POST",
        "/organizations/here/members/roles",
        {"name": name, "organization_permissions": []},
        status=400,
    )


def test_a_role_with_more_than_the_giver_may_do_is_not_theirs_to_give(here: World) -> None:
    """An owner may make such a role; whoever administers the organization could else give it to themselves."""
    custom(here, "minter", "api_key:create")
    role = f"minter:{here.here}"
    for whose in ("admin-here", "mia"):
        path = f"/organizations/here/members/{whose}/roles"
        kept = ask(here, "owner", "GET", f"/organizations/here/members/{whose}").json["roles"]
        answer = refused(here, "admin-here", "PUT", path, {"roles": [*kept, role]})
        assert "grants what you may not do" in answer.json["detail"]
        assert ask(here, "owner", "PUT", path, {"roles": [*kept, role]}).status == 200
        assert ask(here, "admin-here", "PUT", path, {"roles": kept}).status == 200  # to take is to lessen


def test_what_a_role_denies_is_not_for_its_holder_to_undo(here: World) -> None:
    custom(here, "no-groups", "!group:delete", whose="admin-here")
    refused(here, "admin-here", "DELETE", f"/groups/{here.ids['team']}")
    roles, path = "/organizations/here/members/roles/no-groups", "/organizations/here/members/admin-here/roles"
    told = refused(here, "admin-here", "PUT", roles, {"organization_permissions": []}).json["detail"]
    assert told == "It would let yourself do group:delete."
    refused(here, "admin-here", "DELETE", roles)
    refused(here, "admin-here", "PUT", path, {"roles": [f"organization-admin:{here.here}"]})
    assert ask(here, "admin-here", "PUT", roles, {"display_name": "No groups"}).status == 200
    assert ask(here, "owner", "DELETE", roles).status == 204


def test_a_role_is_taken_only_by_whom_it_could_be_given(here: World) -> None:
    refused(here, "user-admin-here", "PUT", "/organizations/here/members/admin-here/roles", {"roles": []})
    refused(here, "user-admin", "PUT", "/organizations/here/members/admin-here/roles", {"roles": []})
    refused(here, "user-admin", "PUT", "/users/auditor/roles", {"roles": []})


# Others who are stronger


@pytest.mark.parametrize("stronger", ["second", "auditor", "template-admin", "admin-here"])
def test_a_user_admin_has_no_way_into_a_stronger_account(here: World, stronger: str) -> None:
    for method, path, body in (
        ("PUT", "password", {"password": NEW_PASSWORD}),
        ("PUT", "profile", {"email": "mine@example.com"}),
        ("PUT", "status/suspend", None),
        ("POST", "keys/tokens", {"token_name": "x"}),
        ("PUT", "roles", {"roles": ["owner", "auditor"]}),
    ):
        refused(here, "user-admin", method, f"/users/{stronger}/{path}", body)
    refused(here, "user-admin", "DELETE", f"/users/{stronger}")


def test_the_token_of_a_service_account_is_for_those_who_could_give_its_roles(here: World) -> None:
    """Else whoever may make tokens for service accounts would be what the strongest of them is."""
    custom(here, "bot-keeper", "service_account:update", "service_account:read", whose="mia")
    for who in ("user-admin", "mia"):
        told = refused(here, who, "POST", "/users/chief/keys/tokens", {"token_name": "x"}).json["detail"]
        assert "organization-admin" in told
        refused(here, who, "POST", f"/users/chief/keys/{here.token_ids['chief']}/rotate", {})
        assert ask(here, who, "POST", "/users/bot/keys/tokens", {"token_name": f"by-{who}"}).status == 201


def test_the_token_of_a_member_is_not_rotated_by_whoever_may_make_tokens_in_the_organization(here: World) -> None:
    custom(here, "minter", "api_key:create", "api_key:read", whose="mia")
    members.add(here.database.connection, here.here, "second", now=INSTANT)
    here.token("second-here", "second", of=here.here)
    asyncio.run(here.refresh())
    refused(here, "mia", "POST", f"/users/second/keys/{here.token_ids['second-here']}/rotate", {})


def test_administrators_of_organizations_do_not_put_owners_out(here: World) -> None:
    """Whoever is in no organization cannot sign in, and their tokens are revoked."""
    members.add(here.database.connection, here.here, "second", now=INSTANT)
    for who in ("admin-here", "user-admin-here", "user-admin"):
        refused(here, who, "DELETE", "/organizations/here/members/second")
    assert ask(here, "owner", "DELETE", "/organizations/here/members/second").status == 204
    told = refused(here, "owner", "DELETE", "/organizations/default/members/owner", status=409).json["message"]
    assert told == "You would be in no organization, and could not sign in."


def test_an_organization_is_not_deleted_from_under_somebody_with_a_role_of_the_site(here: World) -> None:
    connection = here.database.connection
    members.add(connection, here.elsewhere, "second", now=INSTANT)
    members.remove(connection, here.home, "second", now=INSTANT)
    for who in ("admin-elsewhere", "owner"):
        told = refused(here, who, "DELETE", "/organizations/elsewhere", status=409).json["message"]
        assert told == "'second' has a role of the site, and would be in no organization."
    members.add(connection, here.home, "second", now=INSTANT)
    assert ask(here, "admin-elsewhere", "DELETE", "/organizations/elsewhere").status == 204


def test_a_service_account_does_not_take_somebodys_address(here: World) -> None:
    """It would keep them from signing in: whoever may make service accounts is no administrator of the site."""
    body = {"username": "new", "service_account_of": str(here.here), "email": "boss@example.com"}
    assert refused(here, "admin-here", "POST", "/users", body, status=400).fields == ["email"]
    change = {"email": "boss@example.com"}
    assert refused(here, "admin-here", "PUT", "/users/bot/profile", change, status=400).fields == ["email"]


def test_a_service_account_is_of_its_organization(here: World) -> None:
    body = {"username": "new", "service_account_of": str(here.here)}
    assert ask(here, "admin-here", "POST", "/users", body).status == 201
    assert ask(here, "admin-here", "POST", "/users/new/keys/tokens", {"token_name": "x"}).status == 201
    named = {"token_name": "y", "organization_id": str(here.here)}
    assert ask(here, "admin-here", "POST", "/users/new/keys/tokens", named).status == 201
    foreign = {"token_name": "z", "organization_id": str(here.elsewhere)}
    refused(here, "admin-here", "POST", "/users/new/keys/tokens", foreign, status=400)
    for more in ({"organization_ids": [str(here.elsewhere)]}, {"password": NEW_PASSWORD}, {"login_type": "oidc"}):
        refused(here, "admin-here", "POST", "/users", body | {"username": "other"} | more, status=400)
    refused(here, "admin-here", "PUT", "/users/new/password", {"password": NEW_PASSWORD}, status=400)
    refused(here, "owner", "PUT", "/users/new/roles", {"roles": ["auditor"]}, status=400)
    refused(here, "owner", "POST", "/organizations/elsewhere/members/new", status=400)


# Tokens


def test_a_token_makes_none_that_may_do_more(here: World) -> None:
    here.token("reads-keys", "mia", of=here.here, scopes=("api_key:create", "api_key:read"))
    here.token("for-one", "mia", of=here.here, only=(here.ids["mia"],))
    asyncio.run(here.refresh())
    for scopes in (["all"], ["coder:all"], ["api_key:*"], ["api_key:create", "user:read"]):
        body = {"token_name": "x", "organization_id": str(here.here), "scopes": scopes}
        answer = refused(here, "reads-keys", "POST", "/users/me/keys/tokens", body, status=400)
        assert answer.fields == ["scopes"]
    body = {"token_name": "x", "organization_id": str(here.here), "scopes": ["api_key:read"]}
    assert ask(here, "reads-keys", "POST", "/users/me/keys/tokens", body).status == 201
    key = here.token_ids["mia"]
    refused(here, "reads-keys", "POST", f"/users/me/keys/{key}/rotate", {})  # which is for everything
    # Nothing is made with a token that is for certain objects: what has no id yet is none of them.
    body = {"token_name": "y", "organization_id": str(here.here), "allow_list": [here.ids["mia"]]}
    refused(here, "for-one", "POST", "/users/me/keys/tokens", body)
    refused(here, "for-one", "GET", "/users/me/keys/tokens")
    assert ask(here, "for-one", "GET", "/users/me").status == 200


@pytest.mark.parametrize("scopes", [["*:read"], ["*"], ["user"], ["user:assign"], ["nothing:read"], [""], []])
def test_a_scope_that_is_none_is_refused(here: World, scopes: list[str]) -> None:
    refused(here, "mia", "POST", "/users/me/keys/tokens", {"token_name": "x", "scopes": scopes}, status=400)


def test_a_token_with_bounds_sets_no_password(here: World) -> None:
    """A session has no bounds: signing in with that password would be to shed them."""
    connection = here.database.connection
    here.token("bounded", "owner", scopes=("user:*",))
    here.ids["plain"] = users.insert(connection, username="plain", login_type=LoginType.NONE, now=INSTANT).id
    here.token("own", "plain", scopes=("user:update_personal", "user:read"))
    here.token("whole", "plain")
    asyncio.run(here.refresh())
    for who, whose in (("bounded", "mia"), ("bounded", "second"), ("own", "me")):
        refused(here, who, "PUT", f"/users/{whose}/password", {"password": NEW_PASSWORD})
    assert ask(here, "whole", "PUT", "/users/me/password", {"password": NEW_PASSWORD}).status == 204


def test_a_token_is_for_an_organization_that_one_belongs_to(here: World) -> None:
    body = {"token_name": "x", "organization_id": str(here.elsewhere)}
    refused(here, "mia", "POST", "/users/me/keys/tokens", body)
    refused(here, "owner", "POST", "/users/mia/keys/tokens", body, status=400)


# Passwords


def test_ones_own_password_is_changed_with_the_old_one(here: World) -> None:
    for old in ({}, {"old_password": "wrong"}):
        answer = refused(here, "mia", "PUT", "/users/me/password", {"password": NEW_PASSWORD} | old, status=400)
        assert answer.fields == ["old_password"]
    body = {"password": NEW_PASSWORD, "old_password": PASSWORD}
    assert ask(here, "mia", "PUT", "/users/mia/password", body).status == 204


def test_an_old_password_cannot_be_guessed_at(here: World) -> None:
    control = here.composed()
    body = {"password": NEW_PASSWORD, "old_password": "wrong"}
    path = f"{PREFIX}/users/me/password"
    statuses = [control.call(path, here.tokens["mia"], method="PUT", body=body).status for _ in range(4)]
    assert statuses == [400, 400, 400, 429]


def test_another_password_ends_the_other_sessions(here: World) -> None:
    sessions = [
        here.control.call(
            f"{PREFIX}/users/login", method="POST", body={"email": "mia@example.com", "password": PASSWORD}
        ).json["session_token"]
        for _ in range(2)
    ]
    body = {"password": NEW_PASSWORD, "old_password": PASSWORD}
    assert here.control.call(f"{PREFIX}/users/me/password", sessions[0], method="PUT", body=body).status == 204
    assert [here.control.call(f"{PREFIX}/users/me", text).status for text in sessions] == [200, 401]
    assert ask(here, "user-admin", "PUT", "/users/mia/password", {"password": PASSWORD}).status == 204
    assert here.control.call(f"{PREFIX}/users/me", sessions[0]).status == 401


# Owners, and who is shut out


def test_the_last_owner_stays(here: World) -> None:
    assert ask(here, "owner", "PUT", "/users/second/status/suspend").status == 200
    refused(here, "owner", "PUT", "/users/owner/roles", {"roles": []}, status=409)
    refused(here, "owner", "DELETE", "/users/owner", status=409)
    refused(here, "owner", "PUT", "/users/owner/status/suspend", status=400)
    assert ask(here, "owner", "PUT", "/users/second/status/activate").status == 200
    assert ask(here, "owner", "PUT", "/users/owner/roles", {"roles": []}).status == 200
    refused(here, "owner", "GET", "/users/second", status=404)  # it was theirs a moment ago


def test_who_is_suspended_is_out_at_once_and_in_again_as_before(here: World) -> None:
    assert ask(here, "mia", "GET", "/users/me").status == 200
    assert ask(here, "user-admin", "PUT", "/users/mia/status/suspend").status == 200
    answer = refused(here, "mia", "GET", "/users/me", status=401)
    assert answer.json["message"] == "The token is not valid."
    login = {"email": "mia@example.com", "password": PASSWORD}
    assert here.control.call(f"{PREFIX}/users/login", method="POST", body=login).status == 403
    assert ask(here, "user-admin", "PUT", "/users/mia/status/activate").status == 200
    assert ask(here, "mia", "GET", "/users/me").status == 200


@pytest.mark.parametrize(
    ("who", "method", "path"),
    [
        ("owner", "DELETE", "/users/mia"),
        ("owner", "DELETE", "/users/me/keys/{mia}"),
        ("admin-here", "DELETE", "/organizations/here/members/mia"),
        ("mia", "POST", "/users/logout"),
    ],
)
def test_who_is_gone_is_out_at_once(here: World, who: str, method: str, path: str) -> None:
    path = path.format(mia=here.token_ids["mia"]).replace("/me/", "/mia/")
    assert ask(here, who, method, path).status == 204
    assert ask(here, "mia", "GET", "/users/me").status == 401


def test_who_is_demoted_is_weaker_at_once(here: World) -> None:
    assert ask(here, "admin-here", "GET", "/audit").status == 200
    path = "/organizations/here/members/admin-here/roles"
    assert ask(here, "owner", "PUT", path, {"roles": []}).status == 200
    refused(here, "admin-here", "GET", "/audit")


def test_a_name_that_is_free_again_brings_nothing_along(here: World) -> None:
    here.token("ben-2", "ben", of=here.here)
    assert (
        ask(
            here,
            "owner",
            "PUT",
            "/organizations/here/members/ben/roles",
            {"roles": [f"organization-admin:{here.here}"]},
        ).status
        == 200
    )
    assert ask(here, "owner", "DELETE", "/users/ben").status == 204
    made = ask(here, "owner", "POST", "/users", {"username": "ben", "organization_ids": [str(here.here)]}).json
    assert made["id"] != here.ids["ben"]
    assert ask(here, "ben", "GET", "/users/me").status == 401
    assert ask(here, "owner", "GET", "/organizations/here/members/ben").json["roles"] == []
    assert ask(here, "owner", "GET", "/users/ben/keys/tokens?include_expired=true").json["keys"] == []


def test_a_role_that_is_made_again_is_nobodys(here: World) -> None:
    custom(here, "lead", "group:delete", whose="mia")
    path = "/organizations/here/members/roles"
    assert ask(here, "admin-here", "DELETE", f"{path}/lead").status == 204
    body = {"name": "lead", "organization_permissions": [{"resource": "group", "action": "*"}]}
    assert ask(here, "admin-here", "POST", path, body).status == 201
    refused(here, "mia", "GET", f"/groups/{here.ids['team']}", status=404)


def test_a_name_cannot_be_made_to_stand_for_another(here: World) -> None:
    """Whatever is found by id or name has no name that is somebody's id, nor the word for oneself."""
    for name in (here.ids["owner"], here.ids["owner"].upper(), here.ids["owner"].replace("-", ""), "me", "ME", "OWNER"):
        status = 409 if name == "OWNER" else 400
        refused(here, "owner", "PUT", "/users/mia/profile", {"username": name}, status=status)
    for name in (str(here.elsewhere), str(here.elsewhere).replace("-", ""), "default", "Here"):
        refused(here, "admin-here", "PATCH", "/organizations/here", {"name": name}, status=400)
    refused(here, "admin-here", "PATCH", "/organizations/here", {"name": "elsewhere"}, status=409)


def test_the_configuration_is_not_changed_over_the_api(here: World) -> None:
    control = here.composed(configured_rules=[here.rule("fixed")])
    for method, path, body in (
        ("PUT", "/aibridge/limits/fixed", {"unit": "requests", "amount": 5, "window": 60.0}),
        ("DELETE", "/aibridge/limits/fixed", None),
        ("POST", "/aibridge/limits", {"name": "fixed", "unit": "requests", "amount": 5, "window": 60.0}),
    ):
        assert control.call(PREFIX + path, here.tokens["owner"], method=method, body=body).status == 409


def test_nobody_fills_the_memory_with_tokens(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_IN_FORCE", 3)
    keys = "/users/me/keys"
    made = [ask(here, "mia", "POST", f"{keys}/tokens", {"token_name": name}) for name in "ab"]
    assert [answer.status for answer in made] == [201, 201]
    answer = refused(here, "mia", "POST", f"{keys}/tokens", {"token_name": "c"}, status=409)
    assert answer.json["message"] == "'mia' has 3 tokens in force, which is as many as may be."
    assert ask(here, "mia", "DELETE", f"{keys}/{made[0].json['id']}").status == 204
    assert ask(here, "mia", "POST", f"{keys}/tokens", {"token_name": "c"}).status == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/organizations", {"name": "too-late"}),  # answered within one transaction
        ("/users", {"username": "toolate"}),  # and one that asks before it
    ],
)
@pytest.mark.parametrize("what", ["demoted", "suspended", "revoked"])
def test_what_memory_still_says_of_a_caller_makes_no_change(
    here: World, path: str, body: dict[str, Any], what: str
) -> None:
    """Another process may have changed it a moment ago: a change is allowed by what the database says."""
    stale = here.present_snapshot()
    connection, second = here.database.connection, here.ids["second"]
    if what == "demoted":
        users.set_roles(connection, second, (), now=INSTANT)
    elif what == "suspended":
        users.set_status(connection, second, UserStatus.SUSPENDED, now=INSTANT)
    else:
        store_tokens.revoke_all(connection, second, now=INSTANT)
    control = here.composed(snapshot=lambda: stale)
    before = here.dump()
    answer = control.call(PREFIX + path, here.tokens["second"], method="POST", body=body)
    assert answer.status == (403 if what == "demoted" else 401), answer
    assert here.dump() == before


def test_a_token_makes_none_that_outlives_it(here: World) -> None:
    path = "/users/me/keys/tokens"
    short = ask(here, "owner", "POST", path, {"token_name": "short", "lifetime": 3600}).json["key"]

    def child(name: str, **lifetime: int) -> Answer:
        return here.control.call(PREFIX + path, short, method="POST", body={"token_name": name, **lifetime})

    for answer in (child("forever"), child("longer", lifetime=3601)):
        assert (answer.status, answer.fields) == (400, ["lifetime"])
        assert "would outlive the one that it is made with" in answer.json["validations"][0]["detail"]
    assert child("as-long", lifetime=3600).status == 201
