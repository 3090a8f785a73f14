"""How commands print: tables for people, JSON for programs, from the same things."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

from aibridge.domain.role import encode_hook

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Thing = TypeVar("_Thing", bound=msgspec.Struct)
Row = Mapping[str, object]

JSON = "json"
output_option: Callable[[_Command], _Command] = click.option(
    "--output", type=click.Choice(["table", JSON]), default="table", show_default=True, help="Form to print in."
)


def show(
    things: Sequence[_Thing],
    columns: Iterable[str],
    output: str,
    row: Callable[[_Thing], Row] = msgspec.structs.asdict,
) -> None:
    """Print things: as JSON all of each, as the API has it, or as a table the named columns of their rows."""
    click.echo(json(things) if output == JSON else table(map(row, things), columns))


def show_one(thing: _Thing, output: str, row: Callable[[_Thing], Row] = msgspec.structs.asdict) -> None:
    """Print one thing: as JSON, or each cell of its row on a line of its own."""
    if output == JSON:
        click.echo(json(thing))
    else:
        click.echo(table([{"field": name, "value": value} for name, value in row(thing).items()], ("field", "value")))


def json(value: object) -> str:
    """A value as indented JSON; instants as RFC 3339 says."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=encode_hook), indent=2).decode()


def table(rows: Iterable[Row], columns: Iterable[str]) -> str:
    """Rows under their columns' names, each column as wide as its widest cell."""
    names = list(columns)
    lines = [
        [name.replace("_", " ").upper() for name in names],
        *([_cell(row[name]) for name in names] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cell(value: object) -> str:
    """A value on one line. Clients choose some of these texts, and a terminal obeys control characters."""
    match value:
        case None | "" | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            text = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
        case list() | tuple():
            text = ", ".join(map(_cell, value))
        case msgspec.Struct() | dict():
            text = msgspec.json.encode(value, enc_hook=encode_hook).decode()
        case _:
            text = str(value)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
