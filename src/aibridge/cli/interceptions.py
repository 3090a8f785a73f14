"""`aibridge interceptions`: what the ledger knows of past and running calls."""

import click

from aibridge.cli.database import opened
from aibridge.cli.flags import GroupedCommand, takes
from aibridge.cli.output import Row, instant, output_option, show
from aibridge.options import LOCATION
from aibridge.store import interceptions
from aibridge.store.interceptions import Query, Record

_COLUMNS = (
    "started",
    "user",
    "provider",
    "model",
    "client",
    "status",
    "http_status",
    "input_tokens",
    "output_tokens",
    "id",
)


@click.group("interceptions")
def command() -> None:
    """See which calls were made."""


@command.command("list", cls=GroupedCommand)
@click.option("--initiator", help="Only calls of this user: id or name.")
@click.option("--provider", help="Only calls to this provider.")
@click.option("--model", help="Only calls for this model.")
@click.option("--client", help="Only calls of this program, for example 'Claude Code'.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@click.option("--after-id", help="Continue after this interception, the last of the page before.")
@output_option
@takes(LOCATION)
def listing(  # noqa: PLR0913 -- one argument per flag
    *,
    initiator: str | None,
    provider: str | None,
    model: str | None,
    client: str | None,
    limit: int,
    after_id: str | None,
    output: str,
    **flags: str | None,
) -> None:
    """List interceptions, the newest first."""
    query = Query(
        initiator=initiator, provider=provider, model=model, client=client, limit=limit + 1, after_id=after_id
    )
    with opened(flags) as database:
        page = interceptions.page(database, query)
    records = page.records[:limit]
    show([_row(record) for record in records], _COLUMNS, output)
    if len(page.records) > limit:  # the one more that was asked for
        last = records[-1].interception.id
        click.echo(f"{page.count} match in all; the next page: --after-id {last}", err=True)


def _row(record: Record) -> Row:
    call, ending = record.interception, record.ending
    usage = ending.usage if ending else None
    return {
        "id": call.id,
        "user": record.username,
        "provider": call.provider,
        "route": call.route,
        "model": call.model,
        "streaming": call.streaming,
        "client": call.client,
        "session_id": call.session_id,
        "started": instant(call.started_at),
        "first_byte": instant(ending.first_byte_at) if ending else None,
        "ended": instant(ending.ended_at) if ending else None,
        "status": str(ending.status) if ending else "running",
        "http_status": ending.http_status if ending else None,
        "error": ending.error if ending else None,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cache_read_input_tokens": usage.cache_read_input_tokens if usage else None,
        "cache_write_input_tokens": usage.cache_write_input_tokens if usage else None,
    }
