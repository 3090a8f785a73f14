"""Claude Code and Codex as people run them: a base URL, a token, a home of their own, and nothing else of ours."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAMS = Path(__file__).with_name("node_modules")
CLAUDE = _PROGRAMS / "@anthropic-ai/claude-code-linux-x64/claude"
CODEX = _PROGRAMS / "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"

TURN = 60.0
"""Seconds that a turn may take. Undisturbed, it takes two."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What an agent says of a turn that it completed."""

    session: str
    text: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, kw_only=True)
class Agent:
    """An agent, what the ledger calls it, and how it completes a turn: with URL, token, directory, shell command."""

    name: str
    provider: str
    route: str
    turn: Callable[[str, str, Path, str], Turn]


def _claude(url: str, token: str, directory: Path, command: str) -> Turn:
    prompt = "demo-tool:Bash " + json.dumps({"command": command, "description": "What the test asked for"})
    environment = {
        "ANTHROPIC_BASE_URL": f"{url}/anthropic",
        "ANTHROPIC_AUTH_TOKEN": token,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    arguments = ["-p", prompt, "--allowedTools", "Bash", "--output-format", "json"]
    said = json.loads(_output(CLAUDE, arguments, directory, environment))
    assert said["is_error"] is False
    return Turn(
        session=said["session_id"],
        text=said["result"],
        input_tokens=said["usage"]["input_tokens"],
        output_tokens=said["usage"]["output_tokens"],
    )


def _codex(url: str, token: str, directory: Path, command: str) -> Turn:
    # A model that Codex does not know gets the shell as a plain function; the ones it knows run JavaScript, which the
    # demo provider does not write.
    home = directory / "codex-home"
    home.mkdir()
    (home / "config.toml").write_text(f'model = "demo"\nopenai_base_url = "{url}/openai/v1"\n')
    prompt = "demo-tool:exec_command " + json.dumps({"cmd": command})
    environment = {"CODEX_HOME": str(home), "CODEX_API_KEY": token}
    arguments = ["exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access", prompt]
    events: dict[str, dict[str, Any]] = {}
    for line in _output(CODEX, arguments, directory, environment).splitlines():
        event = json.loads(line)
        events[event["type"]] = event  # of each type the last one: the last item is the answer
    usage = events["turn.completed"]["usage"]
    return Turn(
        session=events["thread.started"]["thread_id"],
        text=events["item.completed"]["item"]["text"],
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
    )


def _output(program: Path, arguments: list[str], directory: Path, environment: Mapping[str, str]) -> str:
    """What a program prints when it ends well."""
    if not program.exists():
        raise FileNotFoundError(f"{program} is missing: npm ci --prefix tests/e2e")
    done = subprocess.run(
        [program, *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory), **environment},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TURN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


AGENTS = (
    Agent(name="Claude Code", provider="anthropic", route="/v1/messages", turn=_claude),
    Agent(name="Codex", provider="openai", route="/v1/responses", turn=_codex),
)
