"""`aibridge limits`: who may use how much."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click
import msgspec

from aibridge.cli.amounts import amount_of, told
from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.organization import id_of, organization_option
from aibridge.cli.output import Row, output_option, show_one
from aibridge.cli.output import show as show_all
from aibridge.cli.times import Duration
from aibridge.contract.aibridge import CreateLimitRequest, LimitBody, LimitView, UpdateLimitRequest
from aibridge.domain.rule import Mode, Subject, Unit

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("name", "mode", "subject", "only", "provider", "model", "allowed", "used", "source")


class _Flags(TypedDict):
    """What is said of a limit, None for what is not."""

    unit: str | None
    amount: str | None
    window: float | None
    burst: str | None
    subject: str | None
    only: Sequence[str]
    provider: str | None
    model: str | None
    mode: str | None
    queue_timeout: float | None
    queue_size: int | None


_FLAGS = (
    click.option("--unit", type=click.Choice([unit.value for unit in Unit]), help="What is counted."),
    click.option("--amount", help="How much of it; of cost in dollars, for example 12.50."),
    click.option("--window", type=Duration("100ms", "366d"), help="In how long a time, for example 1m."),
    click.option("--burst", help="How much a quiet subject may use at once; none for the usual."),
    click.option(
        "--subject", type=click.Choice([subject.value for subject in Subject]), help="Who has a count of their own."
    ),
    click.option("--only", multiple=True, help="The subjects it is for: a pattern such as ci-*. Several times."),
    click.option("--provider", help="The providers it is for: a pattern."),
    click.option("--model", help="The models it is for: a pattern, for example claude-*."),
    click.option(
        "--mode",
        type=click.Choice([mode.value for mode in Mode]),
        help="A limit in shadow refuses nothing, and counts what it would have refused.",
    ),
    click.option("--queue-timeout", type=Duration("0s", "10m"), help="How long calls may wait for a place."),
    click.option("--queue-size", type=click.IntRange(0, 10**6), help="How many calls may wait for a place."),
)


def _described(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_FLAGS):
        function = option(function)
    return function


@click.group("limits")
def command() -> None:
    """Say who may use how much."""


@command.command("list")
@output_option
@asks
def listing(client: "Client", *, output: str) -> None:
    """List the limits in the order in which they are asked, and how much of each is used."""
    show_all(client.limits().results, _COLUMNS, output, _row)


@command.command("create")
@click.argument("name", help="What refusals call it: a-z, 0-9 and dashes.")
@_described
@organization_option("For the calls of this organization only, by id or name.")
@output_option
@asks
def create(client: "Client", *, name: str, organization: str | None, output: str, **flags: Unpack[_Flags]) -> None:
    """Make a limit. It needs at least --unit and --amount, and --window unless it counts calls at one time."""
    for flag in ("unit", "amount"):
        if flags[flag] is None:
            raise click.UsageError(f"Missing option '--{flag}'.")
    whose = None if organization is None else id_of(client, organization)
    unit = Unit(str(flags["unit"]))
    body = _changed(LimitBody(unit=unit, amount=0, organization_id=whose), flags)
    request = CreateLimitRequest(name=name, **msgspec.structs.asdict(body))
    show_one(client.create_limit(request), output, _row)


@command.command("show")
@click.argument("name")
@output_option
@asks
def show(client: "Client", *, name: str, output: str) -> None:
    """Show a limit, how much of it is used and by whom."""
    show_one(client.limit(name), output, _row)


@command.command("edit")
@click.argument("name")
@_described
@output_option
@asks
def edit(client: "Client", *, name: str, output: str, **flags: Unpack[_Flags]) -> None:
    """Change a limit; what is left out stays. `--mode enforce` lets it refuse."""
    present = client.limit(name)
    if present.only is None:
        raise click.ClickException(f"you may not see whom {name!r} is for, so you cannot change it")
    if flags["unit"] is not None and flags["unit"] != present.unit and flags["amount"] is None:
        raise click.UsageError("--unit changes what the amount means: give --amount, too")
    fields = {field: getattr(present, field) for field in LimitBody.__struct_fields__}
    body = _changed(LimitBody(**fields), flags)
    show_one(client.update_limit(name, UpdateLimitRequest(**msgspec.structs.asdict(body))), output, _row)


@command.command("delete")
@click.argument("name")
@yes_option
@asks
def delete(client: "Client", *, name: str, yes: bool) -> None:
    """Delete a limit. Nothing is refused because of it any more."""
    found = client.limit(name)
    consent(f"Delete the limit {found.name!r}, which allows {told(found)}?", yes=yes)
    client.delete_limit(found.name)
    click.echo(f"{found.name} is deleted.")


def _changed(body: LimitBody, flags: _Flags) -> LimitBody:
    """The limit with all that the flags say."""
    unit = body.unit if flags["unit"] is None else Unit(flags["unit"])
    changes: dict[str, Any] = {"unit": unit}
    for name in ("window", "provider", "model", "queue_timeout", "queue_size"):
        if flags[name] is not None:
            changes[name] = flags[name]
    if flags["amount"] is not None:
        changes["amount"] = amount_of(flags["amount"], unit, "--amount")
    if flags["burst"] is not None:
        changes["burst"] = None if flags["burst"] == "none" else amount_of(flags["burst"], unit, "--burst")
    if flags["subject"] is not None:
        changes["subject"] = Subject(flags["subject"])
    if flags["mode"] is not None:
        changes["mode"] = Mode(flags["mode"])
    if flags["only"]:
        changes["only"] = tuple(flags["only"])
    return msgspec.structs.replace(body, **changes)


def _row(limit: LimitView) -> Row:
    most = limit.subjects[0] if limit.subjects else None
    return {
        "name": limit.name,
        "mode": limit.mode,
        "subject": limit.subject,
        "only": limit.only,
        "provider": limit.provider,
        "model": limit.model,
        "organization_id": limit.organization_id,
        "allowed": told(limit),
        "burst": None if limit.burst is None else told(limit, limit.burst),
        "queue": f"{limit.queue_size} for {limit.queue_timeout:g} s" if limit.queue_size else None,
        "used": None if most is None else f"{told(limit, most.used)}{f' by {most.key}' if most.key else ''}",
        "source": limit.source,
        "decisions": None if limit.decisions is None else dict(limit.decisions),
    }
