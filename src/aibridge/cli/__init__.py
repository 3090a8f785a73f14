"""The command line: a thin skin that turns arguments into calls of other rooms, and what they say into text.

May import every room. Promises: one line on stderr and no traceback when something is wrong, exit code 2 for a wrong
command line or option, 1 for a failure; tables for people, `--output json` for programs; a secret is printed only where
it is made.
"""

import sys
from importlib import import_module

import click

from aibridge import __version__

__all__ = ["cli", "main"]

_MODULES = {
    "server": "aibridge.cli.server",
    "connect": "aibridge.cli.connect",
    "login": "aibridge.cli.login",
    "logout": "aibridge.cli.logout",
    "users": "aibridge.cli.users",
    "organizations": "aibridge.cli.organizations",
    "members": "aibridge.cli.members",
    "roles": "aibridge.cli.roles",
    "groups": "aibridge.cli.groups",
    "tokens": "aibridge.cli.tokens",
    "db": "aibridge.cli.db",
    "providers": "aibridge.cli.providers",
    "limits": "aibridge.cli.limits",
    "interceptions": "aibridge.cli.interceptions",
    "audit": "aibridge.cli.audit",
    "simulate": "aibridge.cli.simulate",
    "demo-provider": "aibridge.cli.demo_provider",
    "codemod": "aibridge.cli.codemod",
    "completion": "aibridge.cli.completion",
}
"""Commands, and the modules whose `command` they are."""


class _Commands(click.Group):
    """Commands that are imported when they are needed: the server does not wait for what only others use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        if cmd_name not in _MODULES:
            return None
        command: click.Command = import_module(_MODULES[cmd_name]).command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aibridge", message="%(prog)s %(version)s")
def cli() -> None:
    """A self-hosted AI gateway for teams."""


def main() -> None:
    """Run the command line of this process and end it."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        return cli.main(prog_name="aibridge", standalone_mode=False) or 0
    except click.Abort:
        message, code = "aborted", 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        message, code = " ".join(error.format_message().split("\n")), error.exit_code
    click.echo(f"aibridge: {message}", err=True)
    return code
