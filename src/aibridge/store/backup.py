"""A database as one file, and back: an SQLite database of the same schema, whatever the engine it was made from.

So a backup of PostgreSQL can be restored into SQLite and the other way round, and can be looked at with `sqlite3`.
Each is consistent: it shows one moment, while the gateway goes on writing.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import Connection, TableClause, column, func, inspect, select, table
from sqlalchemy.engine import URL

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import founding, schema
from aibridge.store.database import Database, DatabaseUnavailable
from aibridge.store.sqlite import make_private

_ROWS_AT_ONCE = 1000
_CHANGES = schema.facts.c.name == "changes"


def backup(database: Database, path: Path) -> None:
    """Write a database, of whatever revision, to a new file that its owner alone may read.

    Raises:
        FileExistsError: there is such a file.
        OSError: it cannot be written.
        ValueError: the database is empty.
        DatabaseUnavailable: the database cannot be used now, or the disk is full.
    """
    if database.revision() is None:
        raise ValueError("the database is empty")
    make_private(path)
    try:
        with _sqlite_trouble():
            if database.dialect.name == "sqlite":
                with database.reading() as source:
                    _copy_pages(cast("sqlite3.Connection", source.connection.driver_connection), path)
            else:
                _copy_rows_of(database, path)
    except BaseException:
        path.unlink()
        raise


def restore(database: Database, path: Path, *, force: bool = False) -> None:
    """Replace everything in a database by what is in a backup, in one transaction; of an older backup, upgraded.

    Whoever watches `changes.version` sees that something changed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no backup, or there is already something in the database and `force` is not said.
        DatabaseTooNew: the backup is of a newer program.
        DatabaseUnavailable: the database cannot be used now.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with tempfile.TemporaryDirectory(prefix="aibridge-restore-") as directory:
        copied = Path(directory) / "backup.db"
        make_private(copied)
        try:  # a copy, since it may have to be upgraded, and since the file may be in use or on a read-only disk
            with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source:
                _copy_pages(source, copied)
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} is no backup: {error}") from None
        url = _url(copied)
        with closing(Database.open(url, prepare=False)) as unknown:
            if unknown.revision() is None:
                raise ValueError(f"{path} is no backup: it is not a database of this program")
        with (
            closing(Database.open(url)) as kept,
            kept.reading() as source_rows,
            database.preparing() as target,
        ):
            if not force and not _is_new(target):
                raise ValueError("there is something in the database, and all of it would be replaced")
            query = select(schema.facts.c.value).where(_CHANGES)
            counted = [connection.execute(query).scalar_one() for connection in (source_rows, target)]
            _copy_rows(source_rows, target)
            target.execute(schema.facts.update().where(_CHANGES).values(value=max(counted) + 1))


def _url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()


def _copy_pages(source: sqlite3.Connection, path: Path) -> None:
    """SQLite's own way: page by page, as of one moment (https://sqlite.org/backup.html)."""
    with closing(sqlite3.connect(path)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # so that it is one file


def _copy_rows_of(database: Database, path: Path) -> None:
    with (
        closing(Database.open(_url(path), prepare=False)) as written,
        database.reading() as source,
        written.preparing() as target,
    ):
        revision = founding.revision(source)
        if revision == schema.REVISION:
            founding.found(target)
        else:
            from aibridge.store import migrations  # noqa: PLC0415 - Alembic, seldom needed

            migrations.move(target, str(revision))
        _copy_rows(source, target)
    with closing(sqlite3.connect(path)) as alone:
        alone.execute("PRAGMA journal_mode = DELETE")


def _copy_rows(source: Connection, target: Connection) -> None:
    """Replace the rows of every table. Both databases are of one revision; the types are those of the target."""
    tables = list(_tables(target))
    for each in reversed(tables):
        target.execute(each.delete())
    for each in tables:
        rows = source.execute(select(each).execution_options(yield_per=_ROWS_AT_ONCE))
        for part in rows.mappings().partitions():
            target.execute(each.insert(), [dict(row) for row in part])


def _tables(connection: Connection) -> Iterator[TableClause]:
    """The tables of a database, each after those that it refers to."""
    known = inspect(connection)
    for name, _ in known.get_sorted_table_and_fkc_names():
        if name not in (None, founding.REVISIONS.name):
            yield table(name, *(column(each["name"], each["type"]) for each in known.get_columns(name)))


def _is_new(connection: Connection) -> bool:
    """Whether there is nothing in a database but what every one begins with."""
    for each in schema.metadata.sorted_tables:
        query = select(func.count()).select_from(each)
        if each is schema.organizations:
            query = query.where(each.c.id != str(DEFAULT_ORGANIZATION))
        if each is not schema.facts and connection.execute(query).scalar_one():
            return False
    return True


@contextlib.contextmanager
def _sqlite_trouble() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"the backup cannot be written: {error}") from error
