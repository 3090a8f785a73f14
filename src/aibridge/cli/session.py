"""Which server the command line talks to, and as whom.

The URL and the token are looked for in flags, then in the environment, then in the file that `aibridge login` writes.
A token from the file goes to the server it is from and to no other, whatever the URL is.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import click
import msgspec

from aibridge.cli.replacement import replace
from aibridge.options import OPTIONS
from aibridge.options_kinds import BASE_URL

URL_VARIABLE = "CODER_URL"
TOKEN_VARIABLE = "CODER_SESSION_TOKEN"  # noqa: S105 -- the name of a variable
LOCAL = "http://" + str(next(option.default for option in OPTIONS if option.field == "http_address"))
"""Where a server is that was started without options."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A server, and the token to show there; empty for none.

    `is_own` says that the token came into being by signing in and ends by signing out: one that somebody gave stays in
    force.
    """

    url: str
    session_token: str = ""
    is_own: bool = False

    def __repr__(self) -> str:
        return f"Session(url={self.url!r}, is_own={self.is_own!r})"


def where_options(function: _Command) -> _Command:
    """Give a command `--url` and `--token-file`, which its function receives as `url` and `token_file`."""
    token_file = click.option(
        "--token-file",
        type=click.File(encoding="utf-8"),
        help=f"File with the token, - for standard input.  [env: {TOKEN_VARIABLE} (the token itself); else that of "
        "`aibridge login`]",
    )
    url = click.option(
        "--url", type=ServerURL(), help=f"The server.  [env: {URL_VARIABLE}; else that of `aibridge login`]"
    )
    return url(token_file(function))


class ServerURL(click.ParamType[str]):
    """Where a server is: `http://` or `https://`, a host and, behind a proxy, a path; without a slash at its end."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check and normalize what was given."""
        try:
            return _url(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def sought(url: str | None, token_file: IO[str] | None = None) -> Session:
    """The server and the token that flags, environment and file name, the first of them that says anything.

    Raises:
        click.UsageError: none of them names a server, or what one says cannot be used.
    """
    kept = read()
    where = url or _of_environment() or (kept.url if kept else None)
    if where is None:
        raise click.UsageError(
            f"no server is named: give --url, set {URL_VARIABLE}, or sign in with `aibridge login URL`"
        )
    if token_file is not None:
        return Session(url=where, session_token=first_line(token_file, "--token-file"))
    token = os.environ.get(TOKEN_VARIABLE, "")
    if token:
        return Session(url=where, session_token=token)
    return kept if kept is not None and kept.url == where else Session(url=where)


def default_url(url: str | None) -> str:
    """The URL of a server that somebody has not signed in at yet: as `sought` finds it, else one on this machine."""
    kept = read()
    return url or _of_environment() or (kept.url if kept else LOCAL)


def first_line(file: IO[str], name: str) -> str:
    """A secret from the first line of a file.

    Raises:
        click.ClickException: there is none in it, or the file cannot be read.
    """
    try:
        line = file.readline().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{name}: cannot be read: {error}") from None
    if not line.strip():
        raise click.UsageError(f"{name}: the first line is empty, and should be the secret")
    return line


def path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the session is kept: `$XDG_CONFIG_HOME/aibridge/session.json`, below `~/.config` if that is not set."""
    return configuration_home(environ) / "aibridge" / "session.json"


def configuration_home(environ: Mapping[str, str]) -> Path:
    """The directory for settings of a person (XDG Base Directory Specification: relative ones do not count)."""
    given = environ.get("XDG_CONFIG_HOME", "")
    return Path(given) if given.startswith("/") else Path("~/.config").expanduser()


def read() -> Session | None:
    """The session that is kept, None where there is none.

    Raises:
        click.ClickException: the file cannot be read, or is no session.
    """
    file = path()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Session)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror or error}") from None
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{file} is no session ({error}): sign in again with `aibridge login URL`") from None


def keep(session: Session) -> None:
    """Keep a session, in place of the one before, where only its owner can read it.

    Raises:
        click.ClickException: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(session), indent=2).decode() + "\n"
    try:
        replace(path(), text, private=True, backup=False)
    except OSError as error:
        raise click.ClickException(f"cannot write {path()}: {error.strerror or error}") from None


def forget() -> None:
    """Keep no session any more.

    Raises:
        click.ClickException: the file cannot be removed.
    """
    try:
        path().unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot remove {path()}: {error.strerror or error}") from None


def _of_environment() -> str | None:
    given = os.environ.get(URL_VARIABLE)
    try:
        return _url(given) if given else None
    except ValueError as error:
        raise click.UsageError(f"{URL_VARIABLE}: {error}") from None


def _url(text: str) -> str:
    try:
        return str(BASE_URL.parse(text)).rstrip("/")
    except ValueError:
        shown = "a URL with a password" if "@" in text else repr(text)
        raise ValueError(f"{shown} is not allowed; allowed: {BASE_URL.allowed}") from None
