"""The commands against a real server: what they send is what it takes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_standin import Standin
from cli_shell import Shell
from server.life import aibridge, serving

PASSWORD = "correct horse battery"

COMMANDS = (
    "users create --username ben --email ben@example.com",
    "users list --search ben --status active",
    "users edit ben --name Ben",
    "users roles ben --set auditor",
    "users suspend ben --yes",
    "users activate ben",
    "organizations create lab",
    "organizations edit lab --description Lab",
    "organizations list",
    "members add ben --organization lab",
    "members edit-roles ben organization-admin --organization lab",
    "members list --organization lab",
    "roles create reader --permission group:read --organization lab",
    "roles edit reader --display-name Reader --organization lab",
    "roles list --organization lab",
    "roles list",
    "groups create night --organization lab",
    "groups edit night --add ben --organization lab",
    "groups list --organization lab",
    "groups show night --organization lab",
    "tokens create ci --lifetime 30d --scope aibridge_interception:create --organization lab",
    "tokens list --all",
    "tokens show ci",
    "tokens rotate ci --overlap 10m",
    "tokens revoke ci --yes",
    "providers create vllm --kind openai --base-url http://127.0.0.1:9/v1 --internal",
    "providers edit vllm --disabled",
    "providers list",
    "providers show vllm",
    "providers delete vllm --yes",
    "limits create calls --unit requests --amount 100 --window 1m --subject user --mode shadow",
    "limits create slots --unit concurrent --amount 8 --queue-timeout 5s --queue-size 16 --organization lab",
    "limits edit calls --mode enforce",
    "limits list",
    "limits show calls",
    "limits delete calls --yes",
    "interceptions list --initiator me --since 1d",
    "audit list --actor ada --limit 3",
    "audit export --organization lab",
    "audit verify",
    "groups delete night --organization lab --yes",
    "roles delete reader --organization lab --yes",
    "members remove ben --organization lab --yes",
    "organizations delete lab --yes",
    "users delete ben --yes",
)


class Here(Standin):
    """Stands where the stand-in does, for a server that is elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    data_dir = tmp_path / "data"
    made = aibridge(data_dir, "users", "create", "--first", "--username", "ada", "--output", "json")
    with serving(data_dir) as running:
        shell = Shell(tmp_path / "home", Here(running.url))
        shell.environ |= {"CODER_URL": None, "CODER_SESSION_TOKEN": None}
        shell.done("login", running.url, "--token-file", "-", typed=json.loads(made.stdout)["key"])
        yield shell


def test_every_command_is_one_that_the_server_takes(shell: Shell) -> None:
    for line in COMMANDS:
        result = shell.run(*line.split())
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert shell.json("audit", "list")[-1]["actor_name"] == "command line"
    assert {row["user_agent"].partition("/")[0] for row in shell.json("audit", "list")[:-2]} == {"aibridge-cli"}


def test_a_session_of_a_password_begins_and_ends(shell: Shell) -> None:
    shell.done("users", "password", "--password-stdin", typed=f"{PASSWORD}\n")
    url = json.loads((shell.home / ".config/aibridge/session.json").read_text())["url"]

    shell.done("login", "--username", "ada", "--password-stdin", typed=f"{PASSWORD}\n")
    token = shell.done("login", "token").strip()
    shell.done("users", "show", "me")
    shell.done("logout")

    code, _ = shell.fails("users", "show", "me", CODER_URL=url, CODER_SESSION_TOKEN=token)
    assert code == 1
