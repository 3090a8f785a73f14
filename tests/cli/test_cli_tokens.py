"""`aibridge tokens` over the API."""

import pytest
from api_standin import Refusal, Standin
from api_things import AT, LAB, organization, token
from cli_shell import Shell

from aibridge.cli.times import Duration
from aibridge.cli.tokens import command
from aibridge.contract.apikeys import APIKeysResponse, GeneratedToken
from aibridge.contract.errors import ErrorBody
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.priority import Priority
from aibridge.domain.token import LONGEST_LIFETIME, LONGEST_OVERLAP
from aibridge.options_kinds import duration

pytest_plugins = ["cli_fixtures"]

MADE = GeneratedToken(key="aib_0123456789_new", id="0123456789", expires_at=AT)
MISSING = Refusal(404, ErrorBody(message="There is no such token."))


def test_ones_own_tokens_are_listed_those_out_of_force_if_asked_for(shell: Shell, server: Standin) -> None:
    server.answers["tokens"] = APIKeysResponse(keys=[token()], count=1)

    at = "2026-11-24 09:00:00Z"
    assert shell.cells("tokens", "list") == [["0123456789", "laptop", "wxyz", "all", "batch", at, "-", at, "-"]]
    shell.done("tokens", "list", "--user", "ben", "--all")

    assert [call.path["user"] for call in server.calls] == ["me", "ben"]
    assert [call.query.include_expired for call in server.calls] == [False, True]
    assert shell.json("tokens", "list")[0]["organization_id"] == str(DEFAULT_ORGANIZATION)


@pytest.mark.parametrize(("option", "most"), [("lifetime", LONGEST_LIFETIME), ("overlap", LONGEST_OVERLAP)])
def test_durations_are_as_long_as_the_api_takes(option: str, most: int) -> None:
    commands = command.commands.values()
    (found,) = {flag.type for one in commands for flag in one.params if flag.name == option}

    assert isinstance(found, Duration)
    assert duration(found.most) == most


def test_a_token_is_made_with_what_it_is_given(shell: Shell, server: Standin) -> None:
    server.answers |= {"create_token": MADE, "organization": organization()}

    said = shell.done(
        *(
            "tokens",
            "create",
            "ci",
            "--user",
            "robot",
            "--scope",
            "aibridge_interception:create",
            "--scope",
            "user:read",
        ),
        *("--allow", "a", "--allow", "b", "--lifetime", "30d", "--organization", "lab", "--priority", "batch"),
    )

    call = server.asked("create_token")
    assert call.path == {"user": "robot"}
    assert (call.body.token_name, call.body.lifetime) == ("ci", 30 * 86_400)
    assert call.body.scopes == ["aibridge_interception:create", "user:read"]
    assert (call.body.allow_list, call.body.organization_id, call.body.priority) == (["a", "b"], LAB, Priority.BATCH)
    assert f"\n  {MADE.key}\n" in said
    assert "valid until 2026-11-24 09:00:00Z" in said
    assert f"ANTHROPIC_BASE_URL={server.url}/anthropic ANTHROPIC_AUTH_TOKEN={MADE.key}" in said


def test_a_token_may_do_everything_for_good_unless_it_is_said(shell: Shell, server: Standin) -> None:
    server.answers["create_token"] = GeneratedToken(key=MADE.key, id=MADE.id, expires_at=None)

    assert "valid until" not in shell.done("tokens", "create", "laptop")

    body = server.asked("create_token").body
    assert (body.scopes, body.allow_list, body.lifetime, body.organization_id) == (["all"], None, None, None)
    assert server.asked("create_token").path == {"user": "me"}
    assert shell.json("tokens", "create", "laptop") == {"key": MADE.key, "id": MADE.id, "expires_at": None}


@pytest.mark.parametrize("lifetime", ["0s", "soon", "99999d", ""])
def test_a_lifetime_is_between_a_second_and_ten_years(shell: Shell, lifetime: str) -> None:
    code, said = shell.fails("tokens", "create", "x", "--lifetime", lifetime)

    assert code == 2
    assert "allowed: a duration such as" in said


def test_a_token_is_found_by_id_or_by_name(shell: Shell, server: Standin) -> None:
    server.answers |= {"api_key": token(), "api_key_by_name": token("9876543210", "laptop")}

    assert ["id", "0123456789"] in shell.cells("tokens", "show", "0123456789", "--user", "ben")
    assert ["id", "9876543210"] in shell.cells("tokens", "show", "laptop")
    server.answers["api_key"] = MISSING
    assert ["id", "9876543210"] in shell.cells("tokens", "show", "tencharact")

    assert server.calls[0].path == {"user": "ben", "key": "0123456789"}
    assert [call.operation for call in server.calls[1:]] == ["api_key_by_name", "api_key", "api_key_by_name"]


def test_a_token_one_may_not_see_is_not_looked_for_by_name(shell: Shell, server: Standin) -> None:
    server.answers["api_key"] = Refusal(403, ErrorBody(message="You may not."))

    assert "You may not." in shell.fails("tokens", "show", "0123456789")[1]
    assert [call.operation for call in server.calls] == ["api_key"]


def test_revoking_asks_first(shell: Shell, server: Standin) -> None:
    server.answers |= {"api_key_by_name": token(), "delete_api_key": None}

    for typed in ("n\n", ""):
        refused = shell.run("tokens", "revoke", "laptop", typed=typed)
        assert refused.exit_code == 1
        assert "Revoke the token 'laptop' of ada, ending in wxyz? [y/N]" in refused.stderr
        assert "delete_api_key" not in {call.operation for call in server.calls}

    assert shell.done("tokens", "revoke", "laptop", "--user", "ada", "--yes") == "0123456789 is revoked.\n"
    assert server.asked("delete_api_key").path == {"user": "ada", "key": "0123456789"}


def test_a_token_is_replaced(shell: Shell, server: Standin) -> None:
    server.answers |= {"api_key_by_name": token(), "rotate_token": MADE}

    said = shell.done("tokens", "rotate", "laptop", "--overlap", "10m", "--lifetime", "1d")
    shell.done("tokens", "rotate", "laptop")

    first, second = (call for call in server.calls if call.operation == "rotate_token")
    assert first.path == {"user": "me", "key": "0123456789"}
    assert (first.body.overlap, first.body.lifetime) == (600, 86_400)
    assert (second.body.overlap, second.body.lifetime) == (3600, None)
    assert MADE.key in said
