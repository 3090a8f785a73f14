"""Lists that come in pages: the options that say which, and the line that says how to go on."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from aibridge.cli.output import Row, show
from aibridge.contract.shapes import DEFAULT_LIMIT, LARGEST_LIMIT

_Thing = TypeVar("_Thing", bound=msgspec.Struct)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list somebody wants: `size` entries, after the one of that id."""

    size: int
    after_id: str | None

    @property
    def limit(self) -> int:
        """How many to ask for: one more, which shows that the list goes on."""
        return self.size + 1

    def show(  # noqa: PLR0913 -- a page, and how it is printed
        self,
        things: Sequence[_Thing],
        count: int,
        columns: Iterable[str],
        output: str,
        row: Callable[[_Thing], Row] = msgspec.structs.asdict,
        *,
        name: str = "id",
    ) -> None:
        """Print what came, and on stderr how to get the next page if there is one.

        Args:
            things: what came when `limit` were asked for.
            count: how many match in all.
            columns: of the table.
            output: the form.
            row: what the table shows of a thing.
            name: the field that `--after-id` takes.
        """
        shown = things[: self.size]
        show(shown, columns, output, row)
        if len(things) > len(shown):
            click.echo(f"{count} match in all; the next page: --after-id {getattr(shown[-1], name)}", err=True)


def pages(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--limit` and `--after-id`, which its function receives as `page`."""

    def paged(*arguments: Any, limit: int, after_id: str | None, **flags: Any) -> None:  # noqa: ANN401 -- click's
        function(*arguments, page=Page(size=limit, after_id=after_id), **flags)

    # Not `wraps` alone: click collects the options of a function in an attribute.
    paged.__dict__.update(function.__dict__)
    paged.__doc__ = function.__doc__
    paged.__name__ = function.__name__
    limit = click.option(
        "--limit",
        type=click.IntRange(1, LARGEST_LIMIT - 1),
        default=DEFAULT_LIMIT,
        show_default=True,
        help="How many at most.",
    )
    after = click.option("--after-id", help="Continue after this one, the last of the page before.")
    return limit(after(paged))
