"""`aibridge users create`: by the server, or, for the first of all, in a database that no server has opened yet."""

import sys
from collections.abc import Sequence
from typing import IO

import click

from aibridge.cli.asking import answered
from aibridge.cli.flags import GroupedCommand, takes
from aibridge.cli.organization import id_of
from aibridge.cli.output import JSON, json, output_option, show_one
from aibridge.cli.session import LOCAL, first_line, sought, where_options
from aibridge.contract.users import CreateUserRequest
from aibridge.domain.user import LoginType
from aibridge.options import LOCATION
from aibridge.welcome import client_settings


@click.command("create", cls=GroupedCommand)
@click.option("--username", required=True, help="What they are called: letters, digits and . _ @ + -")
@click.option("--email", help="The email address.")
@click.option("--name", default="", help="The full name.")
@click.option("--password-stdin", is_flag=True, help="Read a password from the first line of standard input.")
@click.option("--oidc", is_flag=True, help="They sign in by OpenID Connect, and are known by the email address.")
@click.option(
    "--organization",
    "organizations",
    multiple=True,
    help="An organization they are a member of, by id or name. Several times.  [default: that which everything begins "
    "with]",
)
@click.option("--service-account", metavar="ORGANIZATION", help="Make a service account of this organization.")
@click.option(
    "--first", is_flag=True, help="Make the first user, an owner, in the database itself, and print a token for them."
)
@output_option
@where_options
@takes(LOCATION)
def create(  # noqa: PLR0913 -- one argument per flag
    *,
    username: str,
    email: str | None,
    name: str,
    password_stdin: bool,
    oidc: bool,
    organizations: Sequence[str],
    service_account: str | None,
    first: bool,
    output: str,
    url: str | None,
    token_file: IO[str] | None,
    **flags: str | None,
) -> None:
    """Make a user, or a service account.

    With --first no server is asked: it is for a database without users, before there is a token. The options below
    that name the data are for it alone.
    """
    elsewhere = {"--oidc": oidc, "--organization": organizations, "--service-account": service_account}
    elsewhere |= {"--url": url, "--token-file": token_file}
    wrong = [flag for flag, value in elsewhere.items() if value] if first else []
    if wrong:
        raise click.UsageError(f"{wrong[0]} is not for --first, which makes the owner in the database itself")
    if not first and any(flags.values()):
        raise click.UsageError("options that name the data are for --first: a server knows where its data is")
    if oidc and password_stdin:
        raise click.UsageError("--oidc and --password-stdin are two ways to sign in: give one")
    password = first_line(sys.stdin, "--password-stdin") if password_stdin else None
    if first:
        from aibridge.cli.first_user import make_first_user  # noqa: PLC0415 -- only this opens a database

        made = make_first_user(flags, username=username, email=email, name=name, password=password)
        if output == JSON:
            click.echo(json(made))
            return
        click.echo(f"{username} owns this gateway. This is a token for them. It is shown only now.\n\n  {made.key}\n")
        click.echo("\n".join([f"Where it goes, for a gateway at {LOCAL}:", "", *client_settings(LOCAL, made.key)]))
        return
    with answered(sought(url, token_file)) as client:
        request = CreateUserRequest(
            username=username,
            email=email,
            name=name,
            password=password,
            login_type=LoginType.OIDC if oidc else None,
            organization_ids=[id_of(client, organization) for organization in organizations] or None,
            service_account_of=id_of(client, service_account) if service_account else None,
        )
        show_one(client.create_user(request), output)
