"""The AI clients that `aibridge connect` knows: where each keeps its settings, and what has to be in them.

The base URLs end where each client begins to add paths of its own: OpenAI's clients leave out the version, which is
`/v1`, Claude Code and Anthropic's SDK do not, and opencode wants both with it.

A token is best not in a file at all. Claude Code can ask a command for it (`apiKeyHelper`), Codex (`env_key`) and
opencode (`{env:…}`) read an environment variable.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from aibridge.cli.documents import Settings, with_json, with_toml
from aibridge.cli.session import configuration_home

TOKEN = "AIBRIDGE_TOKEN"  # noqa: S105 -- the name of a variable
"""The environment variable that Codex and opencode take the token from."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a client shall talk to.

    `command` prints the token when it is run by a shell, and stands in where no token is given.
    """

    url: str
    command: str
    session_token: str | None = None
    model: str | None = None

    @property
    def openai(self) -> str:
        """The base URL for those who speak OpenAI's API."""
        return f"{self.url}/openai/v1"

    @property
    def anthropic(self) -> str:
        """The base URL for those who speak Anthropic's API."""
        return f"{self.url}/anthropic"

    @property
    def shell_token(self) -> str:
        """The token as a word of a shell's command line."""
        return shlex.quote(self.session_token) if self.session_token else f'"$({self.command})"'

    def __repr__(self) -> str:
        return f"Target(url={self.url!r}, model={self.model!r})"


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client. `file` says where its settings are, None for one that has no file; `settings` what they are.

    `exports` are environment variables that it needs besides, by name, each as a word of a shell's command line.
    """

    title: str
    exports: Callable[[Target], Mapping[str, str]] = lambda _: {}
    file: Callable[[Mapping[str, str]], Path] | None = None
    settings: Callable[[Target], Settings] = lambda _: {}
    edit: Callable[[str, Settings], str] = with_json
    holds_token: bool = False
    """Whether a token that is given goes into the file."""
    example: Callable[[Target], str] = lambda _: ""


def _home(environ: Mapping[str, str], variable: str, directory: str) -> Path:
    return Path(environ.get(variable) or f"~/{directory}").expanduser()


def _claude_code(target: Target) -> Settings:
    # A token in the environment would be taken before the command is asked: one of the two is there, never both.
    return {
        "env": {
            "ANTHROPIC_BASE_URL": target.anthropic,
            "ANTHROPIC_AUTH_TOKEN": target.session_token,
            **({"ANTHROPIC_MODEL": target.model} if target.model else {}),
        },
        "apiKeyHelper": None if target.session_token else target.command,
    }


def _codex(target: Target) -> Settings:
    return {
        **({"model": target.model} if target.model else {}),
        "model_provider": "aibridge",
        "model_providers": {
            "aibridge": {
                "name": "AI Bridge",
                "base_url": target.openai,
                "env_key": TOKEN,
                "wire_api": "responses",
                "supports_websockets": False,
            }
        },
    }


def _opencode(target: Target) -> Settings:
    key = f"{{env:{TOKEN}}}"
    return {
        **({"model": _with_provider(target.model)} if target.model else {}),
        "provider": {
            "anthropic": {"options": {"baseURL": f"{target.anthropic}/v1", "apiKey": key}},
            "openai": {"options": {"baseURL": target.openai, "apiKey": key}},
        },
    }


def _with_provider(model: str) -> str:
    """A model as opencode names it, `provider/model`."""
    if "/" in model:
        return model
    return f"{'anthropic' if model.startswith('claude') else 'openai'}/{model}"


def _openai_example(target: Target) -> str:
    call = f'client.responses.create(model={json.dumps(target.model or "gpt-5")}, input="Hello").output_text'
    return f"from openai import OpenAI\n\nclient = OpenAI()\nprint({call})"


def _anthropic_example(target: Target) -> str:
    model = json.dumps(target.model or "claude-sonnet-5")
    return (
        "from anthropic import Anthropic\n\n"
        "client = Anthropic()\n"
        'messages = [{"role": "user", "content": "Hello"}]\n'
        f"print(client.messages.create(model={model}, max_tokens=256, messages=messages).content[0].text)"
    )


CLIENTS: Mapping[str, Client] = {
    "claude-code": Client(
        title="Claude Code",
        file=lambda environ: _home(environ, "CLAUDE_CONFIG_DIR", ".claude") / "settings.json",
        settings=_claude_code,
        holds_token=True,
    ),
    "codex": Client(
        title="Codex",
        file=lambda environ: _home(environ, "CODEX_HOME", ".codex") / "config.toml",
        settings=_codex,
        edit=with_toml,
        exports=lambda target: {TOKEN: target.shell_token},
    ),
    "opencode": Client(
        title="opencode",
        file=lambda environ: configuration_home(environ) / "opencode" / "opencode.json",
        settings=_opencode,
        exports=lambda target: {TOKEN: target.shell_token},
    ),
    "openai-sdk": Client(
        title="OpenAI's SDK",
        exports=lambda target: {"OPENAI_BASE_URL": target.openai, "OPENAI_API_KEY": target.shell_token},
        example=_openai_example,
    ),
    "anthropic-sdk": Client(
        title="Anthropic's SDK",
        exports=lambda target: {"ANTHROPIC_BASE_URL": target.anthropic, "ANTHROPIC_API_KEY": target.shell_token},
        example=_anthropic_example,
    ),
}
"""The clients by the name that the command line has for them."""
