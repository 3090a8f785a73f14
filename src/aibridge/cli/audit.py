"""`aibridge audit`: who changed what."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click
import msgspec

from aibridge.cli.asking import asks
from aibridge.cli.organization import id_of, organization_option
from aibridge.cli.output import JSON, Row, json, output_option
from aibridge.cli.paging import Page, pages
from aibridge.cli.times import Instant
from aibridge.contract.audit import AuditLog, AuditLogsQuery
from aibridge.domain.permission import Resource

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("number", "time", "actor", "action", "resource", "name", "address")


class _Filters(TypedDict):
    """The flags that say which changes."""

    actor: str | None
    action: str | None
    resource: str | None
    resource_id: str | None
    organization: str | None
    since: datetime | None
    until: datetime | None


def _filters(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--until", type=Instant(), help="Only changes before then."),
        click.option("--since", type=Instant(), help="Only changes since then: 2026-11-24T09:00:00Z, or 7d ago."),
        organization_option("Only changes in this organization, by id or name."),
        click.option("--resource-id", help="Only changes of the thing with this id."),
        click.option(
            "--resource",
            type=click.Choice([resource.value for resource in Resource if resource is not Resource.ANY]),
            metavar="KIND",
            help="Only changes of this kind of thing, for example user.",
        ),
        click.option("--action", help="Only changes of this sort, for example create."),
        click.option("--actor", help="Only changes that this user made, by id or name."),
    ):
        function = option(function)
    return function


@click.group("audit")
def command() -> None:
    """See who changed what, and check that nobody changed the record."""


@command.command("list")
@_filters
@pages
@output_option
@asks
def listing(client: "Client", *, page: Page, output: str, **filters: Unpack[_Filters]) -> None:
    """List changes, the newest first."""
    answer = client.audit_logs(**_query(client, filters), limit=page.limit, after_id=page.after_id)
    page.show(answer.audit_logs, answer.count, _COLUMNS, output, _row, name="number")


@command.command("export")
@_filters
@asks
def export(client: "Client", **filters: Unpack[_Filters]) -> None:
    """Write changes as CSV, the newest first, at most 100000 of them."""
    click.echo(client.audit_csv(**_query(client, filters)), nl=False)


@command.command("verify")
@output_option
@asks
def verify(client: "Client", *, output: str) -> None:
    """Check that no change was altered, left out or put in. The exit code is 1 if one was."""
    found = client.audit_verification()
    if output == JSON:
        click.echo(json(found))
    if not found.valid:
        raise click.ClickException(f"entry {found.broken_at} is not what was written")
    if output != JSON:
        click.echo(f"{found.count} entries, all as they were written.")


def _query(client: "Client", filters: _Filters) -> dict[str, Any]:
    query = AuditLogsQuery(
        actor=filters["actor"],
        action=filters["action"],
        resource=Resource(filters["resource"]) if filters["resource"] else None,
        resource_id=filters["resource_id"],
        organization_id=id_of(client, filters["organization"]) if filters["organization"] else None,
        date_from=filters["since"],
        date_to=filters["until"],
    )
    paging = ("limit", "offset", "after_id")
    return {name: value for name, value in msgspec.structs.asdict(query).items() if name not in paging}


def _row(entry: AuditLog) -> Row:
    return {
        "number": entry.number,
        "time": entry.time,
        "actor": entry.actor_name,
        "action": entry.action,
        "resource": entry.resource,
        "name": entry.resource_name or entry.resource_id,
        "address": entry.address,
    }
