"""All commands together: what they import, what completes them, and that each is documented."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aibridge.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, by its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, *path, name)
    else:
        yield " ".join(path), command


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_on_the_page(name: str) -> None:
    assert f"`aibridge {name}" in PAGE.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_says_what_it_is_for(name: str) -> None:
    command = COMMANDS[name]

    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden and not hasattr(parameter, "option"):
            assert parameter.help, parameter.name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])

    assert result.exit_code == 0
    assert "_AIBRIDGE_COMPLETE" in result.stdout


def test_bash_completes_commands_and_values() -> None:
    program = "import sys; sys.argv[0] = 'aibridge'; from aibridge.cli import cli; cli(prog_name='aibridge')"

    def completed(*words: str) -> set[str]:
        environ = {
            "_AIBRIDGE_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert {"organizations", "tokens", "connect"} <= completed("aibridge", "")
    assert completed("aibridge", "connect", "open") == {"opencode", "openai-sdk"}
    assert completed("aibridge", "limits", "edit", "x", "--mode", "s") == {"shadow"}


@pytest.mark.parametrize("arguments", [["--help"], ["users", "list", "--help"], ["server", "--help"]])
def test_help_waits_for_neither_the_sdk_nor_what_it_imports(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from aibridge.cli import cli\n"
        f"cli.main({arguments!r}, standalone_mode=False)\n"
        "print([name for name in ('httpx2', 'aibridge.sdk', 'aibridge.server') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_the_server_imports_none_of_the_commands_that_ask_one() -> None:
    program = (
        "import sys\n"
        "from aibridge.cli import cli\n"
        "cli.main(['server', '--help'], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.startswith('aibridge.contract') or name.endswith('.asking')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
