"""Fixtures for the modules that name this as a plugin: somebody at a shell, and the server their commands ask."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_standin import Standin
from cli_shell import Shell

from aibridge.cli import main


@pytest.fixture
def server() -> Iterator[Standin]:
    standin = Standin()
    yield standin
    standin.close()


@pytest.fixture
def shell(tmp_path: Path, server: Standin) -> Shell:
    return Shell(tmp_path, server)


@pytest.fixture
def program(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The whole program, with what it makes of errors: gives exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int | str | None, str, str]:
        for name, value in shell.environ.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["aibridge", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run
