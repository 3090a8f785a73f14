"""`aibridge users` over the API."""

import pytest
from api_standin import Call, Standin
from api_things import LAB, organization, user
from cli_shell import TOKEN, Shell

from aibridge.contract.users import User, UserRoles, UsersResponse
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.user import LoginType, UserStatus

pytest_plugins = ["cli_fixtures"]


def test_users_are_listed(shell: Shell, server: Standin) -> None:
    server.answers["users"] = UsersResponse(users=[user("ada"), user("ben")], count=2)

    rows = shell.cells("users", "list", "--search", "a", "--status", "active")

    assert rows[0] == ["ada", "ada@example.com", "Ada", "active", "auditor, owner", "-", "id-of-ada"]
    assert [row[0] for row in rows] == ["ada", "ben"]
    call = server.asked("users")
    assert call.token == TOKEN
    assert (call.query.q, call.query.status, call.query.limit) == ("a", UserStatus.ACTIVE, 101)


def test_json_is_what_the_api_says(shell: Shell, server: Standin) -> None:
    server.answers["users"] = UsersResponse(users=[user("ada")], count=1)

    (row,) = shell.json("users", "list")

    assert (row["username"], row["roles"], row["created_at"]) == ("ada", ["auditor", "owner"], "2026-11-24T09:00:00Z")


def test_a_list_that_goes_on_says_how(shell: Shell, server: Standin) -> None:
    server.answers["users"] = UsersResponse(users=[user("ada"), user("ben"), user("cy")], count=9)

    result = shell.run("users", "list", "--limit", "2", "--after-id", "id-of-abe")

    assert [line.split()[0] for line in result.stdout.splitlines()] == ["USERNAME", "ada", "ben"]
    assert result.stderr == "9 match in all; the next page: --after-id id-of-ben\n"
    assert (server.asked("users").query.limit, server.asked("users").query.after_id) == (3, "id-of-abe")
    server.answers["users"] = UsersResponse(users=[user("ada"), user("ben")], count=9)
    assert shell.run("users", "list", "--limit", "2").stderr == ""


@pytest.mark.parametrize("flags", [("--limit", "0"), ("--limit", "1000"), ("--status", "gone")])
def test_a_wrong_flag_is_a_wrong_command_line(shell: Shell, server: Standin, flags: tuple[str, ...]) -> None:
    assert shell.fails("users", "list", *flags)[0] == 2
    assert server.calls == []


def test_a_user_is_shown(shell: Shell, server: Standin) -> None:
    server.answers["user"] = user("ada")

    cells = {row[0]: row[1] for row in shell.cells("users", "show", "me")}

    assert server.asked("user").path == {"user": "me"}
    assert cells["username"] == "ada"
    assert cells["roles"] == "auditor, owner"
    assert cells["last_seen_at"] == "-"
    assert shell.json("users", "show", "me")["id"] == "id-of-ada"


def test_a_user_is_made(shell: Shell, server: Standin) -> None:
    server.answers |= {"create_user": user("ben"), "organization": organization()}

    shell.done(
        *("users", "create", "--username", "ben", "--email", "ben@example.com", "--name", "Ben", "--password-stdin"),
        *("--organization", "lab"),
        typed="correct horse\n",
    )

    body = server.asked("create_user").body
    assert (body.username, body.email, body.name, body.password) == ("ben", "ben@example.com", "Ben", "correct horse")
    assert (body.organization_ids, body.service_account_of, body.login_type) == ([LAB], None, None)


def test_a_service_account_and_somebody_from_elsewhere_are_made(shell: Shell, server: Standin) -> None:
    server.answers["create_user"] = user("robot")

    shell.done("users", "create", "--username", "robot", "--service-account", str(LAB))
    assert server.asked("create_user").body.service_account_of == LAB
    server.calls.clear()
    shell.done("users", "create", "--username", "cy", "--email", "cy@example.com", "--oidc")
    body = server.asked("create_user").body
    assert (body.login_type, body.organization_ids) == (LoginType.OIDC, None)


@pytest.mark.parametrize("flags", [("--data-dir", "x"), ("--oidc", "--password-stdin")])
def test_flags_that_exclude_each_other_are_refused(shell: Shell, server: Standin, flags: tuple[str, ...]) -> None:
    assert shell.fails("users", "create", "--username", "ben", *flags, typed="x\n")[0] == 2
    assert server.calls == []


def test_a_user_is_changed(shell: Shell, server: Standin) -> None:
    server.answers["update_user_profile"] = user("ben")

    shell.done("users", "edit", "ben", "--name", "")

    body = server.asked("update_user_profile").body
    assert body.name == ""
    assert not isinstance(body.username, str)
    assert not isinstance(body.email, str)


@pytest.mark.parametrize(("verb", "operation"), [("delete", "delete_user"), ("suspend", "suspend_user")])
def test_what_hurts_is_asked_for_first(shell: Shell, server: Standin, verb: str, operation: str) -> None:
    server.answers |= {"user": user("ben"), operation: user("ben")}

    for typed in ("n\n", ""):
        refused = shell.run("users", verb, "ben", typed=typed)
        assert refused.exit_code == 1
        assert "'ben' (ben@example.com)" in refused.stderr
        assert operation not in {call.operation for call in server.calls}

    shell.done("users", verb, "ben", typed="y\n")
    shell.done("users", verb, "ben", "--yes")
    assert [call.path for call in server.calls if call.operation == operation] == [{"user": "id-of-ben"}] * 2


def test_a_user_is_let_in_again(shell: Shell, server: Standin) -> None:
    server.answers["activate_user"] = user("ben")

    assert shell.done("users", "activate", "ben") == "ben is active.\n"


def test_roles_are_shown_and_given(shell: Shell, server: Standin) -> None:
    server.answers |= {
        "update_user_roles": user("ben"),
        "user_roles": UserRoles(
            roles=[RoleIdentifier("owner")], organization_roles={LAB: [RoleIdentifier("organization-admin", LAB)]}
        ),
    }

    assert shell.cells("users", "roles", "ben") == [["owner", "-"], ["organization-admin", str(LAB)]]
    assert [call.operation for call in server.calls] == ["user_roles"]
    shell.done("users", "roles", "ben", "--set", "owner", "--set", "auditor")
    shell.done("users", "roles", "ben", "--none")

    given = [call.body.roles for call in server.calls if call.operation == "update_user_roles"]
    assert given == [[RoleIdentifier("owner"), RoleIdentifier("auditor")], []]
    assert shell.json("users", "roles", "ben")["organization_roles"] == {str(LAB): [f"organization-admin:{LAB}"]}
    assert shell.fails("users", "roles", "ben", "--none", "--set", "owner")[0] == 2
    assert shell.fails("users", "roles", "ben", "--set", "a:b")[0] == 2


def a_user(call: Call) -> User:
    return user("ada" if call.path["user"] == "me" else call.path["user"])


def test_a_password_is_set(shell: Shell, server: Standin) -> None:
    server.answers |= {"user": a_user, "update_user_password": None}

    result = shell.run("users", "password", "ben", typed="new one\nnew one\n")

    assert result.stdout == "The password of ben is set.\n"
    assert "new one" not in result.stderr
    body = server.asked("update_user_password").body
    assert (body.password, body.old_password) == ("new one", None)


@pytest.mark.parametrize("who", [(), ("me",), ("ada",)])
def test_ones_own_password_needs_the_old_one(shell: Shell, server: Standin, who: tuple[str, ...]) -> None:
    server.answers |= {"user": a_user, "update_user_password": None}

    shell.done("users", "password", *who, typed="old\nnew\nnew\n")
    shell.done("users", "password", *who, "--password-stdin", typed="new\nold\n")

    bodies = [call.body for call in server.calls if call.operation == "update_user_password"]
    assert [(body.password, body.old_password) for body in bodies] == [("new", "old")] * 2
