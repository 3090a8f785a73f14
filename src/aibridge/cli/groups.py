"""`aibridge groups`: some members of an organization, under a name."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.organization import within_option
from aibridge.cli.output import Row, output_option, show_one
from aibridge.cli.paging import Page, pages
from aibridge.contract.groups import CreateGroupRequest, Group, UpdateGroupRequest
from aibridge.contract.shapes import LARGEST_LIMIT

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("name", "display_name", "source", "members", "id")


@click.group("groups")
def command() -> None:
    """Make, list, change and delete groups."""


@command.command("list")
@within_option
@pages
@output_option
@asks
def listing(client: "Client", *, organization: str, page: Page, output: str) -> None:
    """List the groups of an organization."""
    answer = client.organization_groups(organization, limit=page.limit, after_id=page.after_id)
    page.show(answer.groups, answer.count, _COLUMNS, output, _row)


@command.command("create")
@click.argument("name")
@click.option("--display-name", default="", help="What people see.")
@within_option
@output_option
@asks
def create(client: "Client", *, name: str, display_name: str, organization: str, output: str) -> None:
    """Make a group, without members."""
    request = CreateGroupRequest(name=name, display_name=display_name)
    show_one(client.create_group(organization, request), output, _row)


@command.command("edit")
@click.argument("group", help="Id or name.")
@click.option("--name", help="Another name.")
@click.option("--display-name", help="What people see.")
@click.option("--add", multiple=True, metavar="USER", help="Id or username. May be given several times.")
@click.option("--remove", multiple=True, metavar="USER", help="Id or username. May be given several times.")
@within_option
@output_option
@asks
def edit(  # noqa: PLR0913 -- one argument per flag
    client: "Client",
    *,
    group: str,
    name: str | None,
    display_name: str | None,
    add: Sequence[str],
    remove: Sequence[str],
    organization: str,
    output: str,
) -> None:
    """Change a group, or who is in it; what is left out stays."""
    request = UpdateGroupRequest(
        name=msgspec.UNSET if name is None else name,
        display_name=msgspec.UNSET if display_name is None else display_name,
        add_users=list(add),
        remove_users=list(remove),
    )
    show_one(client.update_group(_found(client, organization, group).id, request), output, _row)


@command.command("show")
@click.argument("group", help="Id or name.")
@within_option
@output_option
@asks
def show(client: "Client", *, group: str, organization: str, output: str) -> None:
    """Show a group and who is in it."""
    show_one(_found(client, organization, group), output, _row)


@command.command("delete")
@click.argument("group", help="Id or name.")
@within_option
@yes_option
@asks
def delete(client: "Client", *, group: str, organization: str, yes: bool) -> None:
    """Delete a group. Its members stay what they are otherwise."""
    found = _found(client, organization, group)
    consent(f"Delete the group {found.name!r} with {len(found.members)} members?", yes=yes)
    client.delete_group(found.id)
    click.echo(f"{found.name} is deleted.")


def _found(client: "Client", organization: str, group: str) -> Group:
    """The group of that id, or of that name in the organization. The API knows groups by id alone."""
    try:
        return client.group(uuid.UUID(group))
    except ValueError:
        pass
    after_id = None
    while True:
        page = client.organization_groups(organization, limit=LARGEST_LIMIT, after_id=after_id).groups
        for one in page:
            if one.name == group:
                return one
        if len(page) < LARGEST_LIMIT:
            raise click.ClickException(f"there is no group {group!r}")
        after_id = page[-1].id


def _row(group: Group) -> Row:
    return {
        "name": group.name,
        "display_name": group.display_name,
        "source": group.source,
        "members": [member.username for member in group.members],
        "id": group.id,
    }
