"""`aibridge members`: who is in an organization, and with which roles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.organization import id_of, within_option
from aibridge.cli.output import Row, output_option, show_one
from aibridge.cli.paging import Page, pages
from aibridge.contract.organizations import OrganizationMember, UpdateMemberRolesRequest
from aibridge.domain.role import RoleIdentifier

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("username", "name", "email", "roles", "user_id")


@click.group("members")
def command() -> None:
    """Say who is in an organization."""


@command.command("list")
@within_option
@pages
@output_option
@asks
def listing(client: "Client", *, organization: str, page: Page, output: str) -> None:
    """List the members of an organization."""
    answer = client.organization_members(organization, limit=page.limit, after_id=page.after_id)
    page.show(answer.members, answer.count, _COLUMNS, output, _row, name="user_id")


@command.command("add")
@click.argument("user", help="Id or username.")
@within_option
@output_option
@asks
def add(client: "Client", *, user: str, organization: str, output: str) -> None:
    """Make a user a member."""
    show_one(client.add_organization_member(organization, user), output, _row)


@command.command("remove")
@click.argument("user", help="Id or username.")
@within_option
@yes_option
@asks
def remove(client: "Client", *, user: str, organization: str, yes: bool) -> None:
    """End a membership; the member's tokens of this organization are revoked."""
    member = client.organization_member(organization, user)
    consent(f"Remove {member.username!r} from the organization, and revoke the tokens they have there?", yes=yes)
    client.remove_organization_member(organization, member.user_id)
    click.echo(f"{member.username} is removed.")


@command.command("edit-roles")
@click.argument("user", help="Id or username.")
@click.argument("roles", nargs=-1, help="All roles they shall have: those that are not named are taken.")
@within_option
@output_option
@asks
def edit_roles(client: "Client", *, user: str, roles: Sequence[str], organization: str, output: str) -> None:
    """Give a member roles in the organization, such as organization-admin; none takes all."""
    where = id_of(client, organization)
    try:
        named = [RoleIdentifier(role, where) for role in roles]
    except ValueError as error:
        raise click.UsageError(f"ROLES: {error}") from None
    request = UpdateMemberRolesRequest(roles=named)
    show_one(client.update_organization_member_roles(where, user, request), output, _row)


def _row(member: OrganizationMember) -> Row:
    return {
        "username": member.username,
        "name": member.name,
        "email": member.email,
        "roles": [role.name for role in member.roles],
        "user_id": member.user_id,
    }
