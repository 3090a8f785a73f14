"""`aibridge users`: people and service accounts."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.output import JSON, Row, json, output_option, show_one, table
from aibridge.cli.paging import Page, pages
from aibridge.cli.session import first_line
from aibridge.cli.users_create import create
from aibridge.contract.users import UpdateRolesRequest, UpdateUserPasswordRequest, UpdateUserProfileRequest, User
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.user import UserStatus

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("username", "email", "name", "status", "roles", "last_seen_at", "id")


@click.group("users")
def command() -> None:
    """Make, list, change and delete users."""


@command.command("list")
@click.option("--search", help="Only those with this in username, email address or name.")
@click.option("--status", type=click.Choice([status.value for status in UserStatus]), help="Only those who are this.")
@pages
@output_option
@asks
def listing(client: "Client", *, search: str | None, status: str | None, page: Page, output: str) -> None:
    """List users, by name."""
    wanted = UserStatus(status) if status else None
    answer = client.users(q=search, status=wanted, limit=page.limit, after_id=page.after_id)
    page.show(answer.users, answer.count, _COLUMNS, output)


command.add_command(create)


@command.command("show")
@click.argument("user", help="Id, username, or me.")
@output_option
@asks
def show(client: "Client", *, user: str, output: str) -> None:
    """Show a user."""
    show_one(client.user(user), output)


@command.command("edit")
@click.argument("user", help="Id, username, or me.")
@click.option("--username", help="Another username, which only administrators may give.")
@click.option("--name", help="The full name.")
@click.option("--email", help="The email address.")
@output_option
@asks
def edit(client: "Client", /, *, user: str, output: str, **changes: str | None) -> None:
    """Change what a user is called; what is left out stays."""
    given = {field: msgspec.UNSET if value is None else value for field, value in changes.items()}
    show_one(client.update_user_profile(user, UpdateUserProfileRequest(**given)), output)


@command.command("delete")
@click.argument("user", help="Id or username.")
@yes_option
@asks
def delete(client: "Client", *, user: str, yes: bool) -> None:
    """Delete a user, with all tokens and memberships. What they did stays on record."""
    found = client.user(user)
    consent(f"Delete {_called(found)}, with all tokens and memberships?", yes=yes)
    client.delete_user(found.id)
    click.echo(f"{found.username} is deleted.")


@command.command("suspend")
@click.argument("user", help="Id or username.")
@yes_option
@asks
def suspend(client: "Client", *, user: str, yes: bool) -> None:
    """Shut a user out: no token of theirs is in force until `aibridge users activate`."""
    found = client.user(user)
    consent(f"Shut {_called(found)} out?", yes=yes)
    click.echo(f"{client.suspend_user(found.id).username} is suspended.")


@command.command("activate")
@click.argument("user", help="Id or username.")
@asks
def activate(client: "Client", *, user: str) -> None:
    """Let a user in again."""
    click.echo(f"{client.activate_user(user).username} is active.")


@command.command("roles")
@click.argument("user", help="Id, username, or me.")
@click.option("--set", "roles", multiple=True, metavar="ROLE", help="Give this one, and take all that are not named.")
@click.option("--none", "takes_all", is_flag=True, help="Take all roles of the site.")
@output_option
@asks
def roles(client: "Client", *, user: str, roles: Sequence[str], takes_all: bool, output: str) -> None:
    """Show the roles of a user, or say which of the site they shall have.

    Those in an organization are for `aibridge members edit-roles` to say.
    """
    if takes_all and roles:
        raise click.UsageError("--none and --set exclude each other")
    if takes_all or roles:
        try:
            wanted = [RoleIdentifier(role) for role in roles]
        except ValueError as error:
            raise click.UsageError(f"--set: {error}") from None
        client.update_user_roles(user, UpdateRolesRequest(roles=wanted))
    held = client.user_roles(user)
    if output == JSON:
        click.echo(json(held))
        return
    rows: list[Row] = [{"organization_id": None, "role": role.name} for role in held.roles]
    for organization_id, inner in held.organization_roles.items():
        rows += [{"organization_id": organization_id, "role": role.name} for role in inner]
    click.echo(table(rows, ("role", "organization_id")))


@command.command("password")
@click.argument("user", default="me", help="Id or username; yourself if left out.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the new password from the first line of standard input; your own needs the old one in the second.",
)
@asks
def password(client: "Client", *, user: str, password_stdin: bool) -> None:
    """Set a password. All other sessions of the user end."""
    found = client.user(user)
    is_own = user == "me" or found.id == client.user("me").id
    old = None
    if password_stdin:
        lines = sys.stdin
        new = first_line(lines, "--password-stdin")
        if is_own:
            old = lines.readline().strip("\r\n") or None
    else:
        if is_own:
            old = click.prompt("Old password", hide_input=True, err=True, default="", show_default=False) or None
        new = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    client.update_user_password(found.id, UpdateUserPasswordRequest(password=new, old_password=old))
    click.echo(f"The password of {found.username} is set.")


def _called(user: User) -> str:
    return f"{user.username!r}{f' ({user.email})' if user.email else ''}"
