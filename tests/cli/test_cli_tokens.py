"""`aibridge tokens`: made, listed and revoked in a real database."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aibridge.cli import cli, main
from aibridge.domain.priority import Priority
from aibridge.domain.token import is_well_formed, matches
from aibridge.store import tokens, users
from aibridge.store.database import Database


class Shell:
    """Somebody who runs commands against one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        environ = {"CODER_DATA_DIR": str(self.data_dir), "CODER_DATABASE_URL": None, "CODER_CONFIG_PATH": None}
        return CliRunner().invoke(cli, arguments, input=typed, env=environ)

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--output", "json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    @property
    def database(self) -> Database:
        return Database.open(f"sqlite:///{self.data_dir}/aibridge.db")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


def test_a_token_is_made_for_a_user_who_need_not_exist_yet(shell: Shell) -> None:
    first = shell.run("tokens", "create", "laptop", "--user", "ada")
    second = shell.run("tokens", "create", "desk", "--user", "ada")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "ada is a new user and owns this gateway.\n" in first.stdout
    assert "new user" not in second.stdout
    user = users.named(shell.database, "ada")
    assert {token.user_id for token in tokens.listing(shell.database)} == {user.id}


def test_only_the_first_user_is_an_owner(shell: Shell) -> None:
    shell.run("tokens", "create", "laptop", "--user", "ada")
    made = shell.run("tokens", "create", "laptop", "--user", "ben")

    assert "ben is a new user.\n" in made.stdout
    assert [users.named(shell.database, name).is_owner for name in ("ada", "ben")] == [True, False]


def test_a_new_token_is_printed_with_where_it_goes_and_never_again(shell: Shell) -> None:
    made = shell.run("tokens", "create", "laptop", "--user", "ada").stdout
    (text,) = {word for word in made.replace("=", " ").split() if is_well_formed(word)}
    (known,) = tokens.snapshot(shell.database).tokens.values()

    assert matches(text, known)
    assert f"ANTHROPIC_BASE_URL=http://127.0.0.1:4001/anthropic ANTHROPIC_AUTH_TOKEN={text}" in made
    assert f"OPENAI_BASE_URL=http://127.0.0.1:4001/openai/v1 OPENAI_API_KEY={text}" in made
    assert f"Authorization: Bearer {text}" in made
    secret = text.rpartition("_")[2]
    for again in (shell.run("tokens", "list"), shell.run("tokens", "list", "--output", "json")):
        assert secret not in again.output


def test_a_new_token_as_json(shell: Shell) -> None:
    made = shell.json("tokens", "create", "laptop", "--user", "ada", "--expires", "30d")

    expires = datetime.fromisoformat(made["expires"])
    assert abs(expires - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    assert is_well_formed(made["token"])
    assert made["token"].startswith(f"aib_{made['id']}_")
    assert (made["user"], made["name"]) == ("ada", "laptop")
    assert shell.json("tokens", "list")[0]["expires"] == made["expires"]


def test_a_token_has_the_priority_it_is_made_with(shell: Shell) -> None:
    made = shell.json("tokens", "create", "nightly", "--user", "ada", "--priority", "batch")
    shell.run("tokens", "create", "laptop", "--user", "ada")

    assert made["priority"] == "batch"
    assert {row["name"]: row["priority"] for row in shell.json("tokens", "list")} == {
        "nightly": "batch",
        "laptop": "interactive",
    }
    assert {token.actor.priority for token in tokens.snapshot(shell.database).tokens.values()} == {
        Priority.BATCH,
        Priority.INTERACTIVE,
    }


def test_the_list_has_a_line_for_each_token(shell: Shell) -> None:
    made = shell.json("tokens", "create", "laptop", "--user", "ada", "--expires", "30d")
    shell.run("tokens", "revoke", made["id"], "--yes")

    heading, row = shell.run("tokens", "list").stdout.splitlines()

    for column in ("ID", "USER", "NAME", "LAST FOUR", "PRIORITY", "CREATED", "LAST USED", "EXPIRES", "REVOKED"):
        assert column in heading
    (listed,) = shell.json("tokens", "list")
    assert row.split()[:5] == [made["id"], "ada", "laptop", made["token"][-4:], "interactive"]
    for instant in ("created", "expires", "revoked"):
        assert f"{datetime.fromisoformat(listed[instant]):%Y-%m-%d %H:%M:%SZ}" in row
    assert listed["last_used"] is None


def test_a_revoked_token_is_out_of_force(shell: Shell) -> None:
    made = shell.json("tokens", "create", "laptop", "--user", "ada")

    done = shell.run("tokens", "revoke", made["id"], "--yes")

    assert (done.exit_code, done.stdout) == (0, f"{made['id']} is revoked.\n")
    assert tokens.snapshot(shell.database).tokens == {}


def test_revoking_asks_first(shell: Shell) -> None:
    made = shell.json("tokens", "create", "laptop", "--user", "ada")

    for typed in ("n\n", ""):
        refused = shell.run("tokens", "revoke", made["id"], typed=typed)
        assert refused.exit_code == 1
        assert f"Revoke the token 'laptop' of ada, ending in {made['token'][-4:]}? [y/N]" in refused.stderr
        assert set(tokens.snapshot(shell.database).tokens) == {made["id"]}

    assert shell.run("tokens", "revoke", made["id"], typed="y\n").exit_code == 0
    assert tokens.snapshot(shell.database).tokens == {}


def test_not_answering_is_a_no(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = shell.json("tokens", "create", "laptop", "--user", "ada")
    monkeypatch.setattr(sys, "argv", ["aibridge", "tokens", "revoke", made["id"]])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setenv("CODER_DATA_DIR", str(shell.data_dir))

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith("aibridge: aborted\n")
    assert set(tokens.snapshot(shell.database).tokens) == {made["id"]}


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["revoke", "nothing", "--yes"], 1, "aibridge: there is no token 'nothing'"),
        (["revoke", "nothing"], 1, "aibridge: there is no token 'nothing'"),
        (["create", "laptop", "--user", "no body"], 1, "aibridge: 'no body' cannot be a username"),
        (["create", "laptop"], 2, "aibridge: Missing option '--user'."),
        (
            ["create", "laptop", "--user", "ada", "--expires", "0s"],
            2,
            "aibridge: Invalid value for '--expires': '0s' is not allowed; allowed: a duration such as",
        ),
        (["create", "laptop", "--user", "ada", "--expires", "99999d"], 2, "aibridge: Invalid value for '--expires'"),
        (["create", "laptop", "--user", "ada", "--expires", "soon"], 2, "aibridge: Invalid value for '--expires'"),
        (["create", "laptop", "--user", "ada", "--priority", "high"], 2, "aibridge: Invalid value for '--priority'"),
        (["list", "--database-url", "postgresql://ada:pw-do-not-show@h/d"], 2, "aibridge: a database of the kind"),
        (["list", "--data-dir", ""], 2, "aibridge: --data-dir: the value from flag --data-dir is empty"),
        (["list", "--data-dir", "/dev/null"], 1, "aibridge: cannot open the database /dev/null/aibridge.db"),
        (["list", "--aibridge-rate-limit", "1"], 2, "aibridge: No such option '--aibridge-rate-limit'"),
        (["list", "--output", "xml"], 2, "aibridge: Invalid value for '--output'"),
    ],
)
def test_what_goes_wrong_is_one_line_on_stderr(  # noqa: PLR0917 -- two fixtures, and a case of three
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    line: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["aibridge", "tokens", *arguments])
    monkeypatch.setenv("CODER_DATA_DIR", str(shell.data_dir))

    with pytest.raises(SystemExit) as ended:
        main()

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (code, "")
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert "pw-do-not-show" not in err


def test_the_data_is_found_through_a_config_file_whose_other_options_are_wrong(shell: Shell, tmp_path: Path) -> None:
    config = tmp_path / "aibridge.yaml"
    config.write_text(f"data_dir: {tmp_path / 'elsewhere'}\naibridge: {{openai_key_file: /not/readable}}\n")

    done = CliRunner().invoke(
        cli, ["tokens", "create", "x", "--user", "ada", "--config", str(config)], env={"CODER_DATA_DIR": None}
    )

    assert done.exit_code == 0
    assert (tmp_path / "elsewhere/aibridge.db").exists()
