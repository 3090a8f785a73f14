"""`aibridge users create --first`: in the database itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_shell import Shell

from aibridge.domain.token import is_well_formed, token_id_of
from aibridge.domain.user import LoginType
from aibridge.store import tokens, users
from aibridge.store.database import Database

pytest_plugins = ["cli_fixtures"]

PASSWORD = "correct horse battery"


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """Somebody without a server, whose data has a place of its own."""
    shell.environ |= {"CODER_URL": None, "CODER_SESSION_TOKEN": None, "CODER_DATA_DIR": str(shell.home / "data")}
    return shell


def first(shell: Shell, *flags: str, **typed: Any) -> str:
    return shell.done("users", "create", "--first", "--username", "ada", *flags, **typed)


def opened(shell: Shell) -> Database:
    return Database.open(f"sqlite:///{shell.home}/data/aibridge.db")


def test_the_first_user_owns_the_gateway_and_gets_a_token(shell: Shell) -> None:
    said = first(shell)

    assert said.startswith("ada owns this gateway.")
    (text,) = {word for word in said.replace("=", " ").replace("'", " ").split() if is_well_formed(word)}
    assert f"ANTHROPIC_BASE_URL=http://127.0.0.1:4001/anthropic ANTHROPIC_AUTH_TOKEN={text}" in said
    with opened(shell).reading() as connection:
        owner = users.one(connection, "ada")
        token = tokens.one(connection, token_id_of(text) or "")
    assert owner.is_owner
    assert owner.login_type is LoginType.NONE
    assert (token.user_id, token.expires_at) == (owner.id, None)


def test_the_first_user_may_have_a_password(shell: Shell) -> None:
    first(shell, "--password-stdin", "--email", "ada@example.com", typed=f"{PASSWORD}\n")

    with opened(shell).reading() as connection:
        owner = users.by_email(connection, "ada@example.com")
        stored = users.password_hash(connection, owner.id)
    assert owner.login_type is LoginType.PASSWORD
    assert stored is not None
    assert stored.startswith("$argon2id$")


def test_the_token_as_json(shell: Shell) -> None:
    made = json.loads(first(shell, "--output", "json"))

    assert is_well_formed(made["key"])
    assert made["key"].startswith(f"aib_{made['id']}_")


def test_there_is_no_second_first_user(shell: Shell) -> None:
    first(shell)

    code, said = shell.fails("users", "create", "--first", "--username", "ben")

    assert code == 1
    assert "there is a user already" in said
    with opened(shell).reading() as connection:
        assert users.count(connection) == 1


@pytest.mark.parametrize(
    ("flags", "typed", "reason"),
    [
        (("--username", "no body"), "", "no body"),
        (("--username", "ada", "--password-stdin"), "short\n", "A password has 8 to 64 characters"),
        (("--username", "ada", "--email", "nonsense"), "", "nonsense"),
        (("--username", "ada", "--oidc"), "", "--oidc is not for --first"),
        (("--username", "ada", "--url", "http://x"), "", "--url is not for --first"),
        (("--username", "ada", "--database-url", "mysql://h/d"), "", "a database"),
    ],
)
def test_what_is_wrong_makes_nobody(shell: Shell, flags: tuple[str, ...], typed: str, reason: str) -> None:
    code, said = shell.fails("users", "create", "--first", *flags, typed=typed)

    assert code in {1, 2}
    assert reason in said
    with opened(shell).reading() as connection:
        assert users.count(connection) == 0


def test_the_data_is_found_through_a_config_file_whose_other_options_are_wrong(shell: Shell, tmp_path: Path) -> None:
    config = tmp_path / "aibridge.yaml"
    config.write_text(f"data_dir: {tmp_path / 'elsewhere'}\naibridge: {{openai_key_file: /not/readable}}\n")
    shell.environ["CODER_DATA_DIR"] = None

    first(shell, "--config", str(config))

    assert (tmp_path / "elsewhere/aibridge.db").exists()
