"""A command line to run, limits to give it, and calls to play."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from aibridge.cli import cli

SECOND = 1_000_000
START = 1_764_000_000 * SECOND  # 2025-11-24 16:00:00Z

RULES = """\
limits:
  - name: cap
    unit: concurrent
    amount: 2
  - name: rate
    unit: requests
    amount: 3
    window: 1m
    subject: user
    mode: shadow
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["simulate", *arguments], env={"CODER_DATABASE_URL": None, "COLUMNS": "100"})


def limits_in(directory: Path) -> str:
    """A file with two limits: no more than two calls at one time, and a shadow."""
    path = directory / "new.yaml"
    path.write_text(RULES)
    return str(path)


def calls_in(directory: Path) -> str:
    """A file with five calls of Ada's, ten seconds each and a second apart, and one of Ben's an hour later."""
    ada = [line(number, "ada", 10.0) for number in range(5)]
    path = directory / "calls.jsonl"
    path.write_text("".join([*ada, line(3600, "<ben>", 1.0)]))
    return str(path)


def line(second: int, actor: str, duration: float) -> str:
    row = {"at": START / SECOND + second, "actor": actor, "provider": "openai", "model": "gpt-6"}
    return json.dumps(row | {"input_tokens": 10, "output_tokens": 5, "duration": duration}) + "\n"
