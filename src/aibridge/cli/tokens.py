"""`aibridge tokens`: make, list, replace and revoke the credentials that callers present."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.organization import id_of, organization_option
from aibridge.cli.output import JSON, Row, json, output_option, show_one
from aibridge.cli.paging import Page, pages
from aibridge.cli.times import Duration
from aibridge.contract.apikeys import APIKey, CreateTokenRequest, GeneratedToken, RotateTokenRequest
from aibridge.domain.priority import Priority
from aibridge.domain.token import ID_LENGTH
from aibridge.welcome import client_settings

if TYPE_CHECKING:
    from aibridge.sdk import Client

_Command = TypeVar("_Command", bound=Callable[..., Any])

_COLUMNS = ("id", "name", "last_four", "scopes", "priority", "created", "last_used", "expires", "revoked")
_LIFETIME = Duration("1s", "3660d")
_OVERLAP = Duration("0s", "30d")
_ID = re.compile(rf"[0-9A-Za-z]{{{ID_LENGTH}}}")

_user_option: Callable[[_Command], _Command] = click.option(
    "--user", default="me", show_default=True, help="Whose: id or username."
)


@click.group("tokens")
def command() -> None:
    """Make, list, replace and revoke tokens."""


@command.command("list")
@_user_option
@click.option("--all", "include_expired", is_flag=True, help="Those that are expired or revoked, too.")
@pages
@output_option
@asks
def listing(client: "Client", *, user: str, include_expired: bool, page: Page, output: str) -> None:
    """List the tokens of a user."""
    answer = client.tokens(user, include_expired=include_expired, limit=page.limit, after_id=page.after_id)
    page.show(answer.keys, answer.count, _COLUMNS, output, _row)


@command.command("create")
@click.argument("name", help="What people know it by, for example laptop.")
@_user_option
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="What it may do: RESOURCE:ACTION such as aibridge_interception:create, or all. May be given several times.  "
    "[default: all]",
)
@click.option("--allow", "allowed", multiple=True, metavar="ID", help="The only things it may do it to. Several times.")
@click.option("--lifetime", type=_LIFETIME, help="How long it is valid, for example 30d; for good without it.")
@organization_option("The organization its calls are of, by id or name.")
@click.option(
    "--priority",
    type=click.Choice([priority.value for priority in Priority]),
    default=Priority.INTERACTIVE.value,
    show_default=True,
    help="Of its calls where calls wait: batch ones go when no other waits; chosen lets each call say which it is, in "
    "the header X-AI-Bridge-Priority.",
)
@output_option
@asks
def create(  # noqa: PLR0913 -- one argument per flag
    client: "Client",
    *,
    name: str,
    user: str,
    scopes: Sequence[str],
    allowed: Sequence[str],
    lifetime: float | None,
    organization: str | None,
    priority: str,
    output: str,
) -> None:
    """Make a token and print it, this once."""
    request = CreateTokenRequest(
        token_name=name,
        lifetime=None if lifetime is None else int(lifetime),
        scopes=list(scopes) or ["all"],
        allow_list=list(allowed) or None,
        organization_id=None if organization is None else id_of(client, organization),
        priority=Priority(priority),
    )
    _tell(client.create_token(user, request), client.url, output)


@command.command("show")
@click.argument("token", help="Id or name.")
@_user_option
@output_option
@asks
def show(client: "Client", *, token: str, user: str, output: str) -> None:
    """Show a token, but for the secret, which nobody knows any more."""
    show_one(_found(client, user, token), output, _row)


@command.command("revoke")
@click.argument("token", help="Id or name.")
@_user_option
@yes_option
@asks
def revoke(client: "Client", *, token: str, user: str, yes: bool) -> None:
    """Take a token out of force, for good."""
    found = _found(client, user, token)
    consent(f"Revoke the token {found.token_name!r} of {found.username}, ending in {found.last_four}?", yes=yes)
    client.delete_api_key(user, found.id)
    click.echo(f"{found.id} is revoked.")


@command.command("rotate")
@click.argument("token", help="Id or name.")
@_user_option
@click.option("--overlap", type=_OVERLAP, default="1h", show_default=True, help="How long the old one stays in force.")
@click.option("--lifetime", type=_LIFETIME, help="How long the new one is valid; as long as the old one without it.")
@output_option
@asks
def rotate(  # noqa: PLR0913 -- one argument per flag
    client: "Client", *, token: str, user: str, overlap: float, lifetime: float | None, output: str
) -> None:
    """Replace a token by a new one with the same bounds, and print that, this once."""
    found = _found(client, user, token)
    request = RotateTokenRequest(overlap=int(overlap), lifetime=None if lifetime is None else int(lifetime))
    _tell(client.rotate_token(user, found.id, request), client.url, output)


def _tell(made: GeneratedToken, url: str, output: str) -> None:
    if output == JSON:
        click.echo(json(made))
        return
    until = f", and is valid until {made.expires_at:%Y-%m-%d %H:%M:%SZ}" if made.expires_at else ""
    click.echo(f"This is the token. It is shown only now{until}.\n\n  {made.key}\n\nWhere it goes:\n")
    click.echo("\n".join(client_settings(url, made.key)))


def _found(client: "Client", user: str, token: str) -> APIKey:
    """The token of that id, or in force under that name. A name may look like an id."""
    from aibridge.sdk import Error  # noqa: PLC0415 -- as in `asking`

    if _ID.fullmatch(token):
        try:
            return client.api_key(user, token)
        except Error as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
    return client.api_key_by_name(user, token)


def _row(token: APIKey) -> Row:
    return {
        "id": token.id,
        "user": token.username,
        "name": token.token_name,
        "last_four": token.last_four,
        "scopes": token.scopes,
        "allowed": token.allow_list,
        "organization_id": token.organization_id,
        "priority": token.priority,
        "created": token.created_at,
        "last_used": token.last_used,
        "expires": token.expires_at,
        "revoked": token.revoked_at,
    }
