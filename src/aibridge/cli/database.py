"""The database of a command: found by the options that say where the data is, and closed at the end."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import click

from aibridge import options
from aibridge.cli.flags import given
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable


@contextmanager
def opened(flags: Mapping[str, str | None]) -> Iterator[Database]:
    """Open the database that flags and environment name.

    What the database cannot do within the block becomes the one line that the command ends with.

    Raises:
        click.ClickException: a wrong option, or a database that cannot be used.
    """
    try:
        url = options.locate(given(flags), os.environ).database
        database = Database.open(url)
    except (options.OptionError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    except (DatabaseUnavailable, DatabaseTooNew) as error:
        raise click.ClickException(str(error)) from None
    with closing(database):
        try:
            yield database
        except (DatabaseUnavailable, LookupError, ValueError) as error:
            raise click.ClickException(str(error)) from None


def now() -> int:
    """This instant in UTC microseconds, as the database keeps them."""
    return time.time_ns() // 1000
