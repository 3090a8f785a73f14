"""`aibridge roles`: which roles there are, and those that organizations make."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.organization import organization_option, within_option
from aibridge.cli.output import Row, output_option, show, show_one
from aibridge.contract.roles import AssignableRole, CreateCustomRoleRequest, UpdateCustomRoleRequest
from aibridge.domain.permission import Action, Permission, Resource

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("name", "display_name", "built_in", "assignable", "permissions")


class _Permission(click.ParamType[Permission]):
    """What a role allows, `resource:action`, or denies, with an exclamation mark before it."""

    name = "permission"

    def convert(self, value: str | Permission, param: click.Parameter | None, ctx: click.Context | None) -> Permission:
        if isinstance(value, Permission):
            return value
        resource, _, action = value.removeprefix("!").partition(":")
        try:
            return Permission(resource=Resource(resource), action=Action(action), negate=value.startswith("!"))
        except ValueError as error:
            self.fail(
                f"{value!r} is not allowed ({error}); allowed: RESOURCE:ACTION such as group:read, and !group:read "
                "to deny it",
                param,
                ctx,
            )


_permissions = click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=_Permission(),
    help="What it allows, for example group:read, or denies, for example !group:delete. May be given several times.",
)


@click.group("roles")
def command() -> None:
    """See what roles grant, and make some of your own."""


@command.command("list")
@organization_option("The roles of this organization, by id or name, instead of those of the whole site.")
@output_option
@asks
def listing(client: "Client", *, organization: str | None, output: str) -> None:
    """List the roles of the whole site, or those of an organization."""
    roles = client.site_roles() if organization is None else client.organization_roles(organization)
    show(roles, _COLUMNS, output, _row)


@command.command("create")
@click.argument("name", help="Letters, digits and single dashes.")
@click.option("--display-name", default="", help="What people see.")
@_permissions
@within_option
@output_option
@asks
def create(  # noqa: PLR0913 -- one argument per flag
    client: "Client", *, name: str, display_name: str, permissions: Sequence[Permission], organization: str, output: str
) -> None:
    """Make a role of an organization. It can grant nothing that you may not do there."""
    request = CreateCustomRoleRequest(name=name, display_name=display_name, organization_permissions=list(permissions))
    show_one(client.create_organization_role(organization, request), output, _row)


@command.command("edit")
@click.argument("name", help="Of a role that an organization made.")
@click.option("--display-name", help="What people see.")
@_permissions
@within_option
@output_option
@asks
def edit(  # noqa: PLR0913 -- one argument per flag
    client: "Client",
    *,
    name: str,
    display_name: str | None,
    permissions: Sequence[Permission],
    organization: str,
    output: str,
) -> None:
    """Change a role; what is left out stays. Permissions that are given are all it has then."""
    request = UpdateCustomRoleRequest(
        display_name=msgspec.UNSET if display_name is None else display_name,
        organization_permissions=list(permissions) or msgspec.UNSET,
    )
    show_one(client.update_organization_role(organization, name, request), output, _row)


@command.command("delete")
@click.argument("name", help="Of a role that an organization made.")
@within_option
@yes_option
@asks
def delete(client: "Client", *, name: str, organization: str, yes: bool) -> None:
    """Delete a role, and take it from all who hold it."""
    consent(f"Delete the role {name!r}, and take it from all who hold it?", yes=yes)
    client.delete_organization_role(organization, name)
    click.echo(f"{name} is deleted.")


def _row(role: AssignableRole) -> Row:
    granted = [*role.site_permissions, *role.organization_permissions, *role.user_permissions]
    return {
        "name": role.name.name,
        "display_name": role.display_name,
        "built_in": role.built_in,
        "assignable": role.assignable,
        "permissions": list(map(str, granted)),
    }
