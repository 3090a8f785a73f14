"""What commands make of a server's refusals, and of servers that are none."""

import io
import sys
from typing import Any

import pytest
from api_standin import Refusal, Standin
from api_things import token
from cli_shell import TOKEN, Shell

from aibridge.contract.errors import ErrorBody, Validation

pytest_plugins = ["cli_fixtures"]


def test_a_refusal_is_one_line_with_all_that_is_wrong(program: Any, server: Standin) -> None:
    wrong = [Validation(field="username", detail="is taken"), Validation(field="email", detail="is no address.")]
    body = ErrorBody(message="This is no user", detail="Two things\nare wrong.", validations=wrong)
    server.answers["create_user"] = Refusal(422, body)

    assert program("users", "create", "--username", "ada") == (
        1,
        "",
        "aibridge: This is no user. Two things are wrong. username: is taken. email: is no address.\n",
    )


def test_what_is_not_there_is_named(program: Any, server: Standin) -> None:
    server.answers["organization_members"] = Refusal(404, ErrorBody(message="Resource not found."))

    assert program("members", "list", "--organization", "nope") == (
        1,
        "",
        "aibridge: /api/v2/organizations/nope/members: Resource not found.\n",
    )


def test_who_is_not_signed_in_is_told_how(program: Any, server: Standin) -> None:
    server.answers["users"] = Refusal(401, ErrorBody(message="No."))

    code, out, err = program("users", "list")

    assert (code, out) == (1, "")
    assert err.startswith("aibridge: No. ")
    assert "aibridge login" in err
    assert TOKEN not in err


def test_a_server_that_is_not_there_is_one_line(program: Any, shell: Shell) -> None:
    shell.server.close()

    code, out, err = program("users", "list")

    assert (code, out) == (1, "")
    assert err.startswith(f"aibridge: {shell.server.url} does not answer: ")
    assert err.count("\n") == 1


def test_not_answering_is_a_no(program: Any, server: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["api_key_by_name"] = token()
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    code, _, err = program("tokens", "revoke", "laptop")

    assert code == 1
    assert err.endswith("aibridge: aborted\n")
    assert [call.operation for call in server.calls] == ["api_key_by_name"]


@pytest.mark.parametrize(
    "arguments", [("users", "fly"), ("nothing",), ("tokens", "create"), ("users", "list", "--output", "xml")]
)
def test_a_wrong_command_line_is_exit_code_2(program: Any, arguments: tuple[str, ...]) -> None:
    code, out, err = program(*arguments)

    assert (code, out) == (2, "")
    assert err.startswith("aibridge: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "group", ["users", "organizations", "members", "roles", "groups", "tokens", "providers", "limits"]
)
def test_a_group_of_commands_alone_shows_its_help(shell: Shell, group: str) -> None:
    assert "Commands:" in shell.run(group).output
