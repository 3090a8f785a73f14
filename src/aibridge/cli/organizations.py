"""`aibridge organizations`: who belongs together."""

from typing import TYPE_CHECKING

import click
import msgspec

from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.output import output_option, show_one
from aibridge.cli.paging import Page, pages
from aibridge.contract.organizations import CreateOrganizationRequest, UpdateOrganizationRequest

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("name", "display_name", "is_default", "created_at", "id")


@click.group("organizations")
def command() -> None:
    """Make, list, change and delete organizations."""


@command.command("list")
@pages
@output_option
@asks
def listing(client: "Client", *, page: Page, output: str) -> None:
    """List organizations."""
    answer = client.organizations(limit=page.limit, after_id=page.after_id)
    page.show(answer.organizations, answer.count, _COLUMNS, output)


@command.command("create")
@click.argument("name", help="Lower-case letters, digits and single dashes.")
@click.option("--display-name", default="", help="What people see.")
@click.option("--description", default="", help="What it is for.")
@click.option("--icon", default="", help="Its picture: a URL, or an emoji's path.")
@output_option
@asks
def create(  # noqa: PLR0913 -- one argument per flag
    client: "Client", *, name: str, display_name: str, description: str, icon: str, output: str
) -> None:
    """Make an organization. You are its first administrator."""
    request = CreateOrganizationRequest(name=name, display_name=display_name, description=description, icon=icon)
    show_one(client.create_organization(request), output)


@command.command("show")
@click.argument("organization", help="Its id or name.")
@output_option
@asks
def show(client: "Client", *, organization: str, output: str) -> None:
    """Show an organization."""
    show_one(client.organization(organization), output)


@command.command("edit")
@click.argument("organization", help="Its id or name.")
@click.option("--name", help="Another name.")
@click.option("--display-name", help="What people see.")
@click.option("--description", help="What it is for.")
@click.option("--icon", help="Its picture: a URL, or an emoji's path.")
@output_option
@asks
def edit(client: "Client", /, *, organization: str, output: str, **changes: str | None) -> None:
    """Change an organization; what is left out stays."""
    given = {field: msgspec.UNSET if value is None else value for field, value in changes.items()}
    show_one(client.update_organization(organization, UpdateOrganizationRequest(**given)), output)


@command.command("delete")
@click.argument("organization", help="Its id or name.")
@yes_option
@asks
def delete(client: "Client", *, organization: str, yes: bool) -> None:
    """Delete an organization, with its memberships, groups, roles and limits; its tokens are revoked."""
    found = client.organization(organization)
    consent(f"Delete the organization {found.name!r}, its groups, roles and limits, and revoke its tokens?", yes=yes)
    client.delete_organization(found.id)
    click.echo(f"{found.name} is deleted.")
