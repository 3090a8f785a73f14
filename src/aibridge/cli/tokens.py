"""`aibridge tokens`: make, list and revoke the credentials that callers present."""

import click

from aibridge.cli.database import now, opened
from aibridge.cli.flags import GroupedCommand, takes
from aibridge.cli.output import JSON, Row, instant, json, output_option, show
from aibridge.domain.priority import Priority
from aibridge.options import LOCATION, OPTIONS
from aibridge.options_kinds import DURATION, duration
from aibridge.store import tokens, users
from aibridge.store.database import Database
from aibridge.store.tokens import StoredToken
from aibridge.store.users import User
from aibridge.welcome import client_settings

_LONGEST_LIFE = 100 * 365 * 86400
_COLUMNS = ("id", "user", "name", "last_four", "priority", "created", "last_used", "expires", "revoked")
_ADDRESS = next(option.default for option in OPTIONS if option.field == "http_address")


class _Life(click.ParamType[float]):
    """A duration from a second to a hundred years, in seconds."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = duration(value)
        except ValueError:
            seconds = 0.0
        if not 1 <= seconds <= _LONGEST_LIFE:
            self.fail(
                f"{value!r} is not allowed; allowed: {DURATION.allowed}, at least 1s and at most 36500d", param, ctx
            )
        return seconds


@click.group("tokens")
def command() -> None:
    """Make, list and revoke tokens."""


@command.command("create", cls=GroupedCommand)
@click.argument("name", help="What people know it by, for example laptop.")
@click.option("--user", "username", required=True, help="Whose token it is; a new name makes a new user.")
@click.option("--expires", type=_Life(), help="How long it is valid, for example 30d; for good without it.")
@click.option(
    "--priority",
    type=click.Choice([priority.value for priority in Priority]),
    default=Priority.INTERACTIVE.value,
    show_default=True,
    help="Of its calls where calls wait: batch ones go when no other waits; chosen lets each call say which it is, in "
    "the header X-AI-Bridge-Priority.",
)
@output_option
@takes(LOCATION)
def create(name: str, username: str, expires: float | None, priority: str, output: str, **flags: str | None) -> None:
    """Make a token and print it, this once."""
    with opened(flags) as database:
        user, is_new = _user(database, username)
        at = now()
        expires_at = None if expires is None else at + int(expires * 1e6)
        minted = tokens.create(
            database, user_id=user.id, name=name, now=at, expires_at=expires_at, priority=Priority(priority)
        )
    if output == JSON:
        row = {"id": minted.id, "user": username, "name": name, "priority": priority, "expires": instant(expires_at)}
        click.echo(json(row | {"token": minted.text}))
        return
    if is_new:
        click.echo(f"{username} is a new user{' and owns this gateway' if user.is_owner else ''}.")
    click.echo(f"A token for {username}. It is shown only now:\n\n  {minted.text}\n\n{directions(minted.text)}")


def directions(token: str) -> str:
    """Where clients want the token."""
    url = f"http://{_ADDRESS}"
    return "\n".join([f"Where it goes, for a gateway at {url}:", "", *client_settings(url, token)])


@command.command("list", cls=GroupedCommand)
@output_option
@takes(LOCATION)
def listing(output: str, **flags: str | None) -> None:
    """List all tokens, revoked and expired ones included."""
    with opened(flags) as database:
        rows = [_row(token) for token in tokens.listing(database)]
    show(rows, _COLUMNS, output)


@command.command("revoke", cls=GroupedCommand)
@click.argument("token_id", metavar="ID", help="As `aibridge tokens list` shows it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@takes(LOCATION)
def revoke(token_id: str, *, yes: bool, **flags: str | None) -> None:
    """Take a token out of force, for good."""
    with opened(flags) as database:
        known = {token.id: token for token in tokens.listing(database)}
        token = known.get(token_id)
        if token is not None and not yes:
            question = f"Revoke the token {token.name!r} of {token.username}, ending in {token.last_four}?"
            click.confirm(question, abort=True, err=True)
        tokens.revoke(database, token_id, now=now())
    click.echo(f"{token_id} is revoked.")


def _user(database: Database, username: str) -> tuple[User, bool]:
    """The user of that name, made if there is none, and whether it was. The first of all is an owner.

    The server makes an owner when it finds no users; where a token is needed before the server may start, nobody else
    would.
    """
    try:
        return users.named(database, username), False
    except LookupError:
        is_first = not tokens.listing(database)
        return users.create(database, username=username, is_owner=is_first, now=now()), True


def _row(token: StoredToken) -> Row:
    return {
        "id": token.id,
        "user": token.username,
        "name": token.name,
        "last_four": token.last_four,
        "priority": token.priority,
        "created": instant(token.created_at),
        "last_used": instant(token.last_used_at),
        "expires": instant(token.expires_at),
        "revoked": instant(token.revoked_at),
    }
