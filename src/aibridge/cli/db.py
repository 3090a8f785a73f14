"""`aibridge db`: take the database's schema up or down, and the whole of it to a file and back."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import click

from aibridge import options
from aibridge.cli.flags import GroupedCommand, given, takes
from aibridge.options import LOCATION, Location
from aibridge.store import schema
from aibridge.store.backup import backup, restore
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable
from aibridge.store.migrations import move, revisions


@click.group("db")
def command() -> None:
    """Upgrade the database, back it up, and restore it."""


@command.command("migrate", cls=GroupedCommand)
@click.option("--to", "revision", default=schema.REVISION, show_default=True, help="The schema revision to end at.")
@click.option("--yes", is_flag=True, help="Do not ask, whatever is lost on the way down.")
@takes(LOCATION)
def migrate(revision: str, *, yes: bool, **flags: str | None) -> None:
    """Take the schema to a revision; the server takes it to the newest at its start.

    An older revision is for an older program, and what that does not know is lost: back up first. No server may run.
    """
    with _opened(flags, prepare=False) as (database, location):
        known = revisions()
        if revision not in known:
            raise click.UsageError(f"there is no schema revision {revision!r}; allowed: {', '.join(known)}")
        found = database.revision()
        if found is not None and found not in known:
            raise click.ClickException(f"the database has schema revision {found}, which only a newer aibridge knows")
        if found == revision:
            click.echo(f"The database is at schema revision {revision} already.")
            return
        if found is not None and known.index(found) > known.index(revision) and not yes:
            question = (
                f"Take {database} from schema revision {found} down to {revision}, and lose what that cannot hold?"
            )
            click.confirm(question, abort=True, err=True)
        with _no_server(location), database.turn(), database.preparing() as connection:
            move(connection, revision)
    click.echo(
        f"The database is at schema revision {revision} now; it was {'empty' if found is None else f'at {found}'}."
    )


@command.command("backup", cls=GroupedCommand)
@click.argument("file", type=click.Path(path_type=Path))
@takes(LOCATION)
def back_up(file: Path, **flags: str | None) -> None:
    """Write all of the database to a new FILE, as of one moment; the server may go on meanwhile.

    The file is an SQLite database, and `restore` takes it for either engine. It holds digests of tokens and passwords,
    and the sealed keys of providers: keep it as you keep the database.
    """
    with _opened(flags, prepare=False) as (database, _):
        try:
            backup(database, file)
        except FileExistsError:
            raise click.ClickException(f"there is already a file {file}") from None
        except OSError as error:
            raise click.ClickException(f"cannot write {file}: {error.strerror}") from None
    click.echo(f"{database} is in {file}, {file.stat().st_size} bytes.")


@command.command("restore", cls=GroupedCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace what is in the database.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@takes(LOCATION)
def bring_back(file: Path, *, force: bool, yes: bool, **flags: str | None) -> None:
    """Fill the database from a FILE that `backup` wrote, of this program or an older one. No server may run."""
    with _opened(flags) as (database, location), _no_server(location):
        if not yes:
            click.confirm(
                f"Fill {database} from {file}{', replacing all that is there' * force}?", abort=True, err=True
            )
        try:
            restore(database, file, force=force)
        except FileNotFoundError as error:
            raise click.ClickException(str(error)) from None
        except ValueError as error:
            hint = "" if force else "; --force if that is meant" * ("replaced" in str(error))
            raise click.ClickException(f"{error}{hint}") from None
    click.echo(f"{database} holds what was in {file}.")


@contextmanager
def _opened(flags: Mapping[str, str | None], *, prepare: bool = True) -> Iterator[tuple[Database, Location]]:
    """Open the database that flags and environment name, as it is or prepared, and tell where the data is.

    Raises:
        click.ClickException: a wrong option, or a database that cannot be used.
    """
    try:
        location = options.locate(given(flags), os.environ)
        opened = Database.open(location.database, prepare=prepare)
    except (options.OptionError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    except (DatabaseUnavailable, DatabaseTooNew) as error:
        raise click.ClickException(str(error)) from None
    with closing(opened) as database:
        try:
            yield database, location
        except (DatabaseUnavailable, DatabaseTooNew, ValueError) as error:
            raise click.ClickException(str(error)) from None


@contextmanager
def _no_server(location: Location) -> Iterator[None]:
    """Keep servers of this data directory from running, by the lock of its journal. Others are not seen from here.

    Raises:
        click.ClickException: one is running.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(location.data_dir / "journal" / "lock", os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise click.ClickException(f"a server is running with {location.data_dir}; stop it first") from None
        yield
