"""Somebody at a shell."""

import json
import re
from pathlib import Path
from typing import Any

from api_standin import Standin
from click.testing import CliRunner, Result

from aibridge.cli import cli

TOKEN = "aib_0123456789_of-the-environment"


class Shell:
    """Runs commands with a home directory of its own, against the stand-in of the server."""

    def __init__(self, home: Path, server: Standin) -> None:
        self.home = home
        self.server = server
        self.environ: dict[str, str | None] = {
            "HOME": str(home),
            "CODER_URL": server.url,
            "CODER_SESSION_TOKEN": TOKEN,
            **dict.fromkeys(
                (
                    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "CODER_ORGANIZATION"),
                    *("CODER_DATA_DIR", "CODER_DATABASE_URL", "CODER_CONFIG_PATH"),
                )
            ),
        }

    def run(self, *arguments: str, typed: str | None = None, **environ: str | None) -> Result:
        return CliRunner().invoke(cli, arguments, input=typed, env=self.environ | environ)

    def done(self, *arguments: str, typed: str | None = None, **environ: str | None) -> str:
        """What a command prints that ends well."""
        result = self.run(*arguments, typed=typed, **environ)
        assert (result.exit_code, result.exception) == (0, None), result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "--output", "json"))

    def cells(self, *arguments: str) -> list[list[str]]:
        """The rows of the table that a command prints, without its heading."""
        return [re.split(" {2,}", line) for line in self.done(*arguments).splitlines()[1:]]

    def fails(self, *arguments: str, typed: str | None = None, **environ: str | None) -> tuple[int, str]:
        """The exit code of a command that fails, and what it says."""
        result = self.run(*arguments, typed=typed, **environ)
        assert result.stdout == ""
        assert result.exit_code != 0
        return result.exit_code, result.stderr
