"""`aibridge connect`: what it prints and writes for each client."""

import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cli_shell import Shell

from aibridge.cli.clients import CLIENTS, Target
from aibridge.domain.provider import Provider, ProviderKind
from aibridge.gateway.routes import Routes

pytest_plugins = ["cli_fixtures"]

URL = "https://ai.example.com"
TARGET = Target(url=URL, command="aibridge login token")

PATHS = {
    "claude-code": ["/v1/messages"],
    "codex": ["/responses"],
    "openai-sdk": ["/chat/completions", "/responses"],
    "anthropic-sdk": ["/v1/messages"],
}
"""What each client adds to its base URL."""


@pytest.fixture
def routes() -> Routes:
    providers = [
        Provider.at("openai", ProviderKind.OPENAI, "https://api.openai.com/v1"),
        Provider.at("anthropic", ProviderKind.ANTHROPIC, "https://api.anthropic.com"),
    ]
    pool: Any = None  # nothing is sent
    return Routes(providers, lambda _: pool)


def bases(client: str) -> list[str]:
    settings = CLIENTS[client].settings(TARGET)
    exports = CLIENTS[client].exports(TARGET)
    text = json.dumps([settings, dict(exports)])
    return sorted({word for word in text.split('"') if word.startswith(f"{URL}/")})


@pytest.mark.parametrize("client", PATHS)
def test_the_base_urls_are_served(client: str, routes: Routes) -> None:
    (base,) = bases(client)

    for path in PATHS[client]:
        found = routes.find(b"POST", (base.removeprefix(URL) + path).encode())
        assert found is not None
        assert found.route.recorded


def test_the_base_urls_of_opencode_are_served(routes: Routes) -> None:
    anthropic, openai = bases("opencode")

    for base, path in ((anthropic, "/messages"), (openai, "/responses"), (openai, "/chat/completions")):
        assert routes.find(b"POST", (base.removeprefix(URL) + path).encode()) is not None


def connect(shell: Shell, *arguments: str) -> str:
    return shell.done("connect", *arguments, "--url", URL)


def test_claude_code_asks_a_command_for_the_token(shell: Shell) -> None:
    printed = connect(shell, "claude-code", "--model", "claude-x")

    comment, _, document = printed.partition("\n")
    assert comment == f"# {shell.home}/.claude/settings.json"
    settings = json.loads(document)
    helper = settings.pop("apiKeyHelper")
    assert helper.endswith(f" login token --url {URL}")
    assert settings == {"env": {"ANTHROPIC_BASE_URL": f"{URL}/anthropic", "ANTHROPIC_MODEL": "claude-x"}}
    assert not (shell.home / ".claude").exists()


def test_claude_code_is_written_beside_what_is_there(shell: Shell) -> None:
    file = shell.home / ".claude" / "settings.json"
    file.parent.mkdir()
    before = '{"permissions": {"allow": ["Bash"]}, "env": {"ANTHROPIC_AUTH_TOKEN": "old", "X": "1"}}'
    file.write_text(before)
    file.chmod(0o644)

    first = connect(shell, "claude-code", "--write")
    second = connect(shell, "claude-code", "--write")

    settings = json.loads(file.read_text())
    assert settings["permissions"] == {"allow": ["Bash"]}
    assert settings["env"] == {"X": "1", "ANTHROPIC_BASE_URL": f"{URL}/anthropic"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert (file.parent / "settings.json.backup-1").read_text() == before
    assert first == f"{file} is written; what it was is in {file}.backup-1.\n"
    assert second == f"{file} is already so.\n"
    assert len(list(file.parent.iterdir())) == 2


def test_a_token_that_claude_code_is_given_is_for_the_owner_alone(shell: Shell) -> None:
    file = shell.home / ".claude" / "settings.json"
    connect(shell, "claude-code", "--write", "--token", "aib_secret")
    file.chmod(0o644)
    connect(shell, "claude-code", "--write", "--token", "aib_secret")

    settings = json.loads(file.read_text())
    assert settings["env"]["ANTHROPIC_AUTH_TOKEN"] == "aib_secret"
    assert "apiKeyHelper" not in settings
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_codex_reads_the_token_from_its_environment(shell: Shell) -> None:
    file = shell.home / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text('model = "gpt-old" # mine\n\n[tui]\ntheme = "dark"\n')

    printed = shell.done("connect", "codex", "--write", "--url", URL, "--model", "gpt-x", "--token", "aib_secret")

    assert tomllib.loads(file.read_text()) == {
        "model": "gpt-x",
        "model_provider": "aibridge",
        "model_providers": {
            "aibridge": {
                "name": "AI Bridge",
                "base_url": f"{URL}/openai/v1",
                "env_key": "AIBRIDGE_TOKEN",
                "wire_api": "responses",
                "supports_websockets": False,
            }
        },
        "tui": {"theme": "dark"},
    }
    assert "# mine" in file.read_text()
    assert "export AIBRIDGE_TOKEN=aib_secret\n" in printed


def test_opencode_reads_the_token_from_its_environment(shell: Shell) -> None:
    printed = connect(shell, "opencode", "--write", "--model", "claude-x")

    settings = json.loads((shell.home / ".config" / "opencode" / "opencode.json").read_text())
    assert settings["model"] == "anthropic/claude-x"
    assert settings["provider"]["anthropic"]["options"] == {
        "baseURL": f"{URL}/anthropic/v1",
        "apiKey": "{env:AIBRIDGE_TOKEN}",
    }
    assert settings["provider"]["openai"]["options"]["baseURL"] == f"{URL}/openai/v1"
    assert f'login token --url {URL})"' in printed


@pytest.mark.parametrize(("model", "named"), [("gpt-5", "openai/gpt-5"), ("mine/gpt-5", "mine/gpt-5")])
def test_opencode_wants_a_provider_before_a_model(shell: Shell, model: str, named: str) -> None:
    assert f'"model": "{named}"' in connect(shell, "opencode", "--model", model)


@pytest.mark.parametrize(("client", "prefix"), [("openai-sdk", "OPENAI"), ("anthropic-sdk", "ANTHROPIC")])
def test_sdks_get_variables_and_a_program_that_is_one(shell: Shell, client: str, prefix: str) -> None:
    printed = connect(shell, client, "--token", "aib_it's", "--model", "m-1")

    variables, _, program = printed.partition("# Python\n")
    assert f"export {prefix}_BASE_URL={URL}/" in variables
    assert f"export {prefix}_API_KEY='aib_it'\"'\"'s'\n" in variables
    assert 'model="m-1"' in program
    compile(program, "example", "exec")


def test_sdks_have_no_file_to_write(shell: Shell) -> None:
    code, said = shell.fails("connect", "openai-sdk", "--write")

    assert code == 2
    assert "--write: OpenAI's SDK has no file of settings" in said


def test_a_token_may_come_from_a_file(shell: Shell) -> None:
    printed = shell.done("connect", "openai-sdk", "--token-file", "-", typed="aib_secret\nrest\n")

    assert "OPENAI_API_KEY=aib_secret\n" in printed
    assert shell.fails("connect", "openai-sdk", "--token-file", "-", "--token", "t", typed="t\n")[0] == 2
    assert "--token-file: the first line is empty" in shell.fails("connect", "codex", "--token-file", "-", typed="")[1]


def test_a_file_that_is_not_understood_is_left_alone(shell: Shell) -> None:
    file = shell.home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text("{ // mine\n}")

    code, said = shell.fails("connect", "claude-code", "--write")

    assert code == 1
    assert f"{file}: it is no plain JSON" in said
    assert "Nothing is changed" in said
    assert file.read_text() == "{ // mine\n}"


@pytest.mark.parametrize(
    ("client", "variable", "name"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("codex", "CODEX_HOME", "config.toml"),
        ("opencode", "XDG_CONFIG_HOME", "opencode/opencode.json"),
    ],
)
def test_clients_have_variables_that_say_where_their_settings_are(
    shell: Shell, tmp_path: Path, client: str, variable: str, name: str
) -> None:
    place = tmp_path / "elsewhere"
    shell.done("connect", client, "--write", **{variable: str(place)})

    assert (place / name).exists()


def test_the_server_is_the_one_of_the_environment_or_one_on_this_machine(shell: Shell) -> None:
    assert "OPENAI_BASE_URL=https://env.example/base/openai/v1\n" in shell.done(
        "connect", "openai-sdk", CODER_URL="https://env.example/base/"
    )
    local = shell.run("connect", "openai-sdk", CODER_URL=None, CODER_SESSION_TOKEN=None)
    assert "OPENAI_BASE_URL=http://127.0.0.1:4001/openai/v1\n" in local.stdout
    assert local.stderr == (
        "aibridge: nobody is signed in at http://127.0.0.1:4001 yet: aibridge login http://127.0.0.1:4001\n"
    )


@pytest.mark.parametrize("url", ["ftp://x", "x", "https://u:secret@x", "https://x?a=1"])
def test_a_url_that_is_none_is_refused_and_its_password_not_told(shell: Shell, url: str) -> None:
    code, said = shell.fails("connect", "codex", "--url", url)

    assert code == 2
    assert "allowed: an http:// or https:// URL" in said
    assert "secret" not in said
