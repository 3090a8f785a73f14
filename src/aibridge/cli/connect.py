"""`aibridge connect`: point an AI client at the gateway."""

import os
import shlex
import shutil
import stat
import sys
from pathlib import Path
from typing import IO

import click

from aibridge.cli import session
from aibridge.cli.clients import CLIENTS, Client, Target
from aibridge.cli.documents import Unchangeable
from aibridge.cli.replacement import replace
from aibridge.cli.session import ServerURL

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_EXAMPLES = """\b
Examples:
  aibridge connect claude-code --write
  aibridge connect codex --url https://ai.example.com --model gpt-5
  aibridge connect openai-sdk
"""


@click.command("connect", epilog=_EXAMPLES)
@click.argument("name", metavar=f"[{'|'.join(CLIENTS)}]", type=click.Choice(list(CLIENTS)))
@click.option(
    "--url",
    type=ServerURL(),
    help=f"The server.  [env: {session.URL_VARIABLE}; else that of `aibridge login`, else {session.LOCAL}]",
)
@click.option(
    "--token", help="A token to use instead of that of `aibridge login`. Other users can see it: see --token-file."
)
@click.option("--token-file", type=click.File(encoding="utf-8"), help="File with that token, - for standard input.")
@click.option("--model", help="The model it shall use.")
@click.option("--write", is_flag=True, help="Change the client's settings, and keep the old ones beside them.")
def command(  # noqa: PLR0913 -- one argument per flag
    *,
    name: str,
    url: str | None,
    token: str | None,
    token_file: IO[str] | None,
    model: str | None,
    write: bool,
) -> None:
    """Point an AI client at the gateway.

    Prints the client's settings. With --write it puts them where the client looks for them, leaves everything else
    there as it is, and keeps a copy of the file as NAME.backup-1. A second time changes nothing.
    """
    if token and token_file:
        raise click.UsageError("--token and --token-file are two ways to say the same: give one")
    client = CLIENTS[name]
    if write and client.file is None:
        raise click.UsageError(
            f"--write: {client.title} has no file of settings; leave it out, and use what is printed"
        )
    if token_file:
        token = session.first_line(token_file, "--token-file")
    where = session.default_url(url)
    target = Target(
        url=where, command=f"{_program()} login token --url {shlex.quote(where)}", session_token=token, model=model
    )
    if write:
        _write(client, target)
    else:
        _print(client, target)
    if not token and not _signed_in(where):
        click.echo(f"aibridge: nobody is signed in at {where} yet: aibridge login {shlex.quote(where)}", err=True)


def _print(client: Client, target: Target) -> None:
    parts = []
    if client.file is not None:
        parts.append(f"# {client.file(os.environ)}\n{client.edit('', client.settings(target))}")
    exports = _exports(client, target)
    if exports:
        parts.append(f"# the environment of {client.title}\n{exports}\n")
    example = client.example(target)
    if example:
        parts.append(f"# Python\n{example}\n")
    click.echo("\n".join(parts), nl=False)


def _write(client: Client, target: Target) -> None:
    assert client.file is not None  # noqa: S101 -- asked before
    path = client.file(os.environ)
    private = client.holds_token and target.session_token is not None
    try:
        before = _content(path)
        after = client.edit(before, client.settings(target))
        if after == before and not (private and path.stat().st_mode & _OTHERS):
            click.echo(f"{path} is already so.")
        else:
            backup = replace(path, after, private=private, backup=after != before)
            click.echo(f"{path} is written{f'; what it was is in {backup}' if backup else ''}.")
    except (Unchangeable, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"{path}: {error}. Nothing is changed: put in by hand what is printed without --write"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None
    exports = _exports(client, target)
    if exports:
        click.echo(f"{client.title} needs this in its environment, too:\n\n{exports}")


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""


def _exports(client: Client, target: Target) -> str:
    return "\n".join(f"export {name}={word}" for name, word in client.exports(target).items())


def _program() -> str:
    """How a shell finds this program: by its name, else by where it is now."""
    return "aibridge" if shutil.which("aibridge") else shlex.quote(str(Path(sys.argv[0]).absolute()))


def _signed_in(url: str) -> bool:
    if os.environ.get(session.TOKEN_VARIABLE):
        return True
    kept = session.read()
    return kept is not None and kept.url == url
