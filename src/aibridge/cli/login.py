"""`aibridge login`: sign in, and keep the session for the other commands and for AI clients."""

import sys
from http import HTTPStatus
from typing import IO, TYPE_CHECKING

import click

from aibridge.cli import session
from aibridge.cli.asking import answered
from aibridge.cli.session import ServerURL, Session, where_options
from aibridge.contract.signin import LoginWithPasswordRequest

if TYPE_CHECKING:
    from aibridge.sdk import Client

_TOKEN = "token"  # noqa: S105 -- a word of the command line


@click.command(_TOKEN)
@where_options
def _token(url: str | None, token_file: IO[str] | None) -> None:
    """Print the token, for programs that ask for it, such as Claude Code's apiKeyHelper.

    That of another server is never printed: with --url, only one that is for this server.
    """
    found = session.sought(url, token_file)
    if not found.session_token:
        raise click.ClickException(f"nobody is signed in at {found.url}: aibridge login {found.url}")
    click.echo(found.session_token)


class _Login(click.Command):
    """A command of its own, with another below it: `aibridge login URL` and `aibridge login token`."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        if args[:1] == [_TOKEN]:
            return _token.make_context(f"{info_name} {_TOKEN}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


_EXAMPLES = """\b
Examples:
  aibridge login https://ai.example.com
  aibridge login https://ai.example.com --token-file token.txt
  aibridge login token          prints the token
"""


@click.command("login", cls=_Login, epilog=_EXAMPLES)
@click.argument("url", required=False, type=ServerURL(), metavar="[URL | token]")
@click.option("--token", help="Use this token. Other users can see it: better --token-file.")
@click.option("--token-file", type=click.File(encoding="utf-8"), help="File with the token, - for standard input.")
@click.option("--username", help="Username or email address; asked for unless given.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, and do not ask for it.")
def command(
    *,
    url: str | None,
    token: str | None,
    token_file: IO[str] | None,
    username: str | None,
    password_stdin: bool,
) -> None:
    """Sign in at a server.

    The server is URL, that of CODER_URL, or the last one. The session is kept in a file that only you can read. A
    token you give is kept as it is, and `aibridge logout` leaves it in force.
    """
    if sum((token is not None, token_file is not None, username is not None)) > 1:
        raise click.UsageError("--token, --token-file and --username are three ways to sign in: give one")
    if password_stdin and username is None:
        raise click.UsageError("--password-stdin needs --username")
    if token_file is not None:
        token = session.first_line(token_file, "--token-file")
    where = session.default_url(url)
    with answered(Session(url=where)) as client:
        is_own = token is None
        if token is None:
            token = _from_password(client, username, is_from_input=password_stdin)
    with answered(Session(url=where, session_token=token)) as client:
        username = _whose(client)
    session.keep(Session(url=where, session_token=token, is_own=is_own))
    known = f" as {username}" if username else ", with a token whose scope does not say whose it is"
    click.echo(f"You are signed in at {where}{known}.")


def _whose(client: "Client") -> str | None:
    """Whose the token is; None for one that is in force and may not read that, such as one for AI calls alone."""
    from aibridge.sdk import Error  # noqa: PLC0415 -- as in `asking`

    try:
        return client.user("me").username
    except Error as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        client.experiments()  # This asks for no permission, but for a token in force.
        return None


def _from_password(client: "Client", username: str | None, *, is_from_input: bool) -> str:
    if not client.auth_methods().password.enabled:
        raise click.ClickException(
            f"{client.url} takes no passwords: sign in with a browser, make a token there, and use --token-file -"
        )
    name = username or click.prompt("Username or email address", err=True)
    if is_from_input:
        password = session.first_line(sys.stdin, "--password-stdin")
    else:
        password = click.prompt("Password", hide_input=True, err=True)
    return client.login_with_password(LoginWithPasswordRequest(email=name, password=password)).session_token
