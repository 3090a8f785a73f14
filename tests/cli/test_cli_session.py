"""`aibridge login` and `logout`, and where commands find server and token."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from api_standin import Call, Refusal, Standin
from api_things import user
from cli_shell import TOKEN, Shell

from aibridge.contract.errors import ErrorBody
from aibridge.contract.signin import AuthMethods, LoginResponse, OIDCMethod, PasswordMethod

pytest_plugins = ["cli_fixtures"]

SESSION = "aib_of-the-session"


@pytest.fixture(autouse=True)
def a_server_with_passwords(server: Standin) -> None:
    server.answers |= {
        "auth_methods": AuthMethods(password=PasswordMethod(enabled=True), oidc=OIDCMethod(enabled=False)),
        "login_with_password": LoginResponse(session_token=SESSION),
        "user": user("ada"),
        "logout": None,
    }


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """Somebody with nothing in the environment."""
    shell.environ |= {"CODER_URL": None, "CODER_SESSION_TOKEN": None}
    return shell


def kept(shell: Shell) -> Any:
    return json.loads((shell.home / ".config/aibridge/session.json").read_text())


def test_a_password_begins_a_session_which_is_kept_for_the_owner_alone(shell: Shell, server: Standin) -> None:
    said = shell.done("login", server.url, "--username", "ada", "--password-stdin", typed="correct horse\n")

    assert said == f"You are signed in at {server.url} as ada.\n"
    body = server.asked("login_with_password").body
    assert (body.email, body.password) == ("ada", "correct horse")
    assert server.asked("user").token == SESSION
    assert kept(shell) == {"url": server.url, "session_token": SESSION, "is_own": True}
    assert stat.S_IMODE((shell.home / ".config/aibridge/session.json").stat().st_mode) == 0o600


def test_without_flags_name_and_password_are_asked_for(shell: Shell, server: Standin) -> None:
    result = shell.run("login", server.url, typed="ada\nsecret\n")

    assert result.exit_code == 0
    assert server.asked("login_with_password").body.password == "secret"
    assert "Username or email address: " in result.stderr
    assert "secret" not in result.output


def test_a_token_is_kept_if_the_server_knows_it(shell: Shell, server: Standin) -> None:
    shell.done("login", server.url, "--token-file", "-", typed="aib_given\n")

    assert server.asked("user").token == "aib_given"
    assert kept(shell) == {"url": server.url, "session_token": "aib_given", "is_own": False}


def test_a_token_for_calls_alone_is_kept_though_it_may_not_read_whose_it_is(shell: Shell, server: Standin) -> None:
    server.answers |= {"user": Refusal(404, ErrorBody(message="There is none.")), "experiments": []}

    said = shell.done("login", server.url, "--token-file", "-", typed="aib_given\n")

    assert said == f"You are signed in at {server.url}, with a token whose scope does not say whose it is.\n"
    assert kept(shell)["session_token"] == "aib_given"


def test_a_server_that_knows_nobody_and_nothing_is_none_to_sign_in_at(shell: Shell, server: Standin) -> None:
    refusal = Refusal(404, ErrorBody(message="There is none."))
    server.answers |= {"user": refusal, "experiments": refusal}

    assert "There is none." in shell.fails("login", server.url, "--token", "aib_given")[1]
    assert not (shell.home / ".config").exists()


def test_a_token_that_is_refused_is_not_kept(shell: Shell, server: Standin) -> None:
    server.answers["user"] = Refusal(401, ErrorBody(message="Who are you?"))

    code, said = shell.fails("login", server.url, "--token", "aib_wrong")

    assert code == 1
    assert "Who are you?" in said
    assert not (shell.home / ".config").exists()


def test_a_server_without_passwords_says_what_to_do(shell: Shell, server: Standin) -> None:
    server.answers["auth_methods"] = AuthMethods(password=PasswordMethod(enabled=False), oidc=OIDCMethod(enabled=True))

    assert f"{server.url} takes no passwords" in shell.fails("login", server.url)[1]


@pytest.mark.parametrize(
    "flags", [("--token", "t", "--username", "u"), ("--password-stdin",), ("--username", "u", "--token-file", "-")]
)
def test_one_way_to_sign_in_is_enough(shell: Shell, flags: tuple[str, ...]) -> None:
    assert shell.fails("login", "http://127.0.0.1:9", *flags)[0] == 2


def test_the_token_is_printed_for_other_programs(shell: Shell, server: Standin) -> None:
    shell.done("login", server.url, "--token", "aib_given")

    assert shell.done("login", "token") == "aib_given\n"
    assert shell.done("login", "token", "--url", f"{server.url}/") == "aib_given\n"
    assert shell.done("login", "token", CODER_SESSION_TOKEN="aib_other") == "aib_other\n"


def test_the_token_of_one_server_is_never_for_another(shell: Shell, server: Standin) -> None:
    shell.done("login", server.url, "--token", "aib_given")

    code, said = shell.fails("login", "token", "--url", "https://else.example")

    assert code == 1
    assert "nobody is signed in at https://else.example" in said
    assert "aib_given" not in said
    assert shell.fails("login", "token", CODER_URL="https://else.example")[0] == 1


def test_signing_out_ends_the_session_and_forgets_it(shell: Shell, server: Standin) -> None:
    shell.done("login", server.url, "--username", "ada", "--password-stdin", typed="x\n")

    assert shell.done("logout") == f"You are signed out at {server.url}.\n"

    assert server.asked("logout").token == SESSION
    assert not (shell.home / ".config/aibridge/session.json").exists()
    assert shell.done("logout") == "Nobody is signed in.\n"


def test_signing_out_leaves_a_token_in_force_that_was_given(shell: Shell, server: Standin) -> None:
    shell.done("login", server.url, "--token", "aib_given")
    shell.done("logout")

    assert [call.operation for call in server.calls] == ["user"]
    assert not (shell.home / ".config/aibridge/session.json").exists()


def test_a_session_is_forgotten_even_if_the_server_is_gone(shell: Shell, server: Standin) -> None:
    shell.done("login", server.url, "--username", "ada", "--password-stdin", typed="x\n")
    server.answers["logout"] = Refusal(503, ErrorBody(message="Not now."))

    code, said = shell.fails("logout")

    assert code == 1
    assert "may still be in force: Not now." in said
    assert not (shell.home / ".config/aibridge/session.json").exists()


def test_flags_come_before_the_environment_and_that_before_the_file(
    shell: Shell, server: Standin, tmp_path: Path
) -> None:
    shell.done("login", server.url, "--token", "aib_file")
    token_file = tmp_path / "token"
    token_file.write_text("aib_flag\n")
    environ = {"CODER_URL": f"{server.url}/", "CODER_SESSION_TOKEN": TOKEN}
    server.calls.clear()

    shell.done("users", "show", "me")
    shell.done("users", "show", "me", **environ)
    shell.done("users", "show", "me", "--token-file", str(token_file), **environ)
    shell.done("users", "show", "me", "--url", server.url, **environ | {"CODER_URL": "http://127.0.0.1:9"})

    assert [call.token for call in server.calls] == ["aib_file", TOKEN, "aib_flag", TOKEN]


def test_without_a_server_commands_say_how_to_name_one(shell: Shell) -> None:
    code, said = shell.fails("users", "list")

    assert code == 2
    assert "give --url, set CODER_URL, or sign in with `aibridge login URL`" in said


def test_the_last_server_is_signed_in_at_again(shell: Shell, server: Standin) -> None:
    shell.done("login", server.url, "--token", "aib_old")
    file = shell.home / ".config/aibridge/session.json"
    file.chmod(0o644)
    shell.done("login", "--token", "aib_new")

    assert kept(shell)["session_token"] == "aib_new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"{", b'{"url": 1}', b"[]"])
def test_a_file_that_is_no_session_is_said_so(shell: Shell, content: bytes) -> None:
    file = shell.home / ".config/aibridge/session.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)

    code, said = shell.fails("users", "list")

    assert code == 1
    assert f"{file} is no session" in said


def test_a_variable_that_is_no_url_is_said_so(shell: Shell) -> None:
    assert "CODER_URL: 'nonsense' is not allowed" in shell.fails("users", "list", CODER_URL="nonsense")[1]


def test_signing_in_anonymously_sends_no_token(shell: Shell, server: Standin) -> None:
    def told(call: Call) -> AuthMethods:
        assert call.token is None
        return AuthMethods(password=PasswordMethod(enabled=True), oidc=OIDCMethod(enabled=False))

    server.answers["auth_methods"] = told
    shell.done("login", server.url, "--username", "ada", "--password-stdin", typed="x\n", CODER_SESSION_TOKEN=TOKEN)
