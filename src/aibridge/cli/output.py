"""How commands print: tables for people, JSON for programs, from the same rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

_Command = TypeVar("_Command", bound=Callable[..., Any])
Row = Mapping[str, object]

JSON = "json"
output_option: Callable[[_Command], _Command] = click.option(
    "--output", type=click.Choice(["table", JSON]), default="table", show_default=True, help="Form to print in."
)


def instant(microseconds: int | None) -> datetime | None:
    """An instant of the database (UTC microseconds) as both forms print it."""
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC)


def show(rows: Sequence[Row], columns: Iterable[str], output: str) -> None:
    """Print rows: all of each as JSON, or the named columns as a table."""
    click.echo(json(rows) if output == JSON else table(rows, columns))


def json(value: object) -> str:
    """A value as indented JSON; instants as RFC 3339 says."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


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
    if value is None:
        return "-"
    text = f"{value:%Y-%m-%d %H:%M:%SZ}" if isinstance(value, datetime) else str(value)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
