"""`aibridge interceptions`: which calls were made, and which are running."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from aibridge.cli.asking import asks
from aibridge.cli.output import Row, output_option
from aibridge.cli.paging import Page, pages
from aibridge.cli.times import Instant
from aibridge.contract.aibridge import InterceptionView

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = (
    *("started", "user", "provider", "model", "client"),
    *("status", "http_status", "input_tokens", "output_tokens", "id"),
)


@click.group("interceptions")
def command() -> None:
    """See which calls were made."""


@command.command("list")
@click.option("--initiator", help="Only calls of this user: id, name or me.")
@click.option("--provider", help="Only calls to this provider.")
@click.option("--model", help="Only calls for this model.")
@click.option("--client", "program", help="Only calls of this program, for example 'Claude Code'.")
@click.option("--since", type=Instant(), help="Only calls that began since then: 2026-11-24T09:00:00Z, or 7d ago.")
@click.option("--until", type=Instant(), help="Only calls that began before then.")
@pages
@output_option
@asks
def listing(  # noqa: PLR0913 -- one argument per flag
    client: "Client",
    *,
    initiator: str | None,
    provider: str | None,
    model: str | None,
    program: str | None,
    since: datetime | None,
    until: datetime | None,
    page: Page,
    output: str,
) -> None:
    """List calls, the newest first."""
    answer = client.interceptions(
        initiator=initiator,
        provider=provider,
        model=model,
        client=program,
        started_after=since,
        started_before=until,
        limit=page.limit,
        after_id=page.after_id,
    )
    page.show(answer.results, answer.count, _COLUMNS, output, _row)


def _row(call: InterceptionView) -> Row:
    used = call.token_usages
    return {
        "started": call.started_at,
        "user": call.initiator.username,
        "provider": call.provider,
        "model": call.model,
        "client": call.client,
        "status": call.status or "running",
        "http_status": call.http_status,
        "input_tokens": sum(usage.input_tokens for usage in used) if used else None,
        "output_tokens": sum(usage.output_tokens for usage in used) if used else None,
        "id": call.id,
    }
