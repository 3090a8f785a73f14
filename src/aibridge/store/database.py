"""One database: how it is opened, and the two kinds of transaction there are.

SQLite as it should be for a server: WAL (readers and the writer do not wait for each other), `synchronous=FULL` (what
is committed survives the power: the journal forgets what it has shipped), a busy timeout, foreign keys.
See https://sqlite.org/wal.html and https://sqlite.org/pragma.html.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from aibridge.store import schema, upgrades

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another's write, or for a free connection, before a database counts as unavailable."""

_WRITES = "aibridge_writes"
_PRAGMAS = (
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class DatabaseUnavailable(Exception):  # noqa: N818 - a state of the world, in the words of `domain.errors`
    """The database cannot be used now; the same call may succeed later."""


class DatabaseTooNew(Exception):  # noqa: N818 - as above
    """The database was written by a newer program; this one would misread it."""


class Database:
    """An open database. Any number of threads may use it at once.

    Make one with `open`, and `close` it at the end.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open the database at `url`, creating file and schema where they are absent, upgrading a schema that is old.

        A new file is readable by its owner alone, and so is its directory if that is new, too. Processes that open one
        new database at once take turns.

        Raises:
            ValueError: the URL is not of the form `sqlite:///path`.
            DatabaseTooNew: the schema is newer than this program.
            DatabaseUnavailable: the file cannot be opened, or is no database.
        """
        path = _file_of(url)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _turn(path.with_name(path.name + ".lock")):
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
                database = cls(_engine(path))
                try:
                    database._prepare()
                except BaseException:
                    database.close()
                    raise
        except OSError as error:
            raise DatabaseUnavailable(f"cannot open the database {path}: {error.strerror}") from error
        return database

    @property
    def dialect(self) -> Dialect:
        """How statements are spelt here."""
        return self._engine.dialect

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout.

        Raises:
            DatabaseUnavailable: the database cannot be used now.
        """
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back on an exception.

        It is the only writer from its first statement on, so what it has read is still so when it writes.

        Raises:
            DatabaseUnavailable: the database cannot be used now.
        """
        with _translated(), self._writer.begin() as connection:
            yield connection

    def _prepare(self) -> None:
        with self.writing() as connection:
            if not inspect(connection).has_table(schema.facts.name):
                schema.metadata.create_all(connection)
                connection.execute(
                    schema.facts.insert(),
                    [{"name": "schema_version", "value": schema.VERSION}, {"name": "changes", "value": 0}],
                )
            query = schema.facts.select().where(schema.facts.c.name == "schema_version")
            version = connection.execute(query).one().value
            if version > schema.VERSION:
                raise DatabaseTooNew(
                    f"the database has schema version {version}, this program knows versions up to {schema.VERSION}: "
                    "run the newer aibridge, or point this one at another database"
                )
            upgrades.upgrade(connection, version)


def _file_of(url: str) -> Path:
    expected = "supported is sqlite:///path/to/file"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(f"the database URL is not one: {expected}") from None
    if parsed.drivername != "sqlite":
        raise ValueError(f"a database of the kind {parsed.drivername!r} is not supported: {expected}")
    if not parsed.database or parsed.database == ":memory:" or parsed.host or parsed.query:
        raise ValueError(f"the database URL must name a file and nothing else: {expected}")
    return Path(parsed.database)


@contextlib.contextmanager
def _turn(lock: Path) -> Iterator[None]:
    """Let one process in at a time.

    Two connections that switch a new file to WAL at once fail with "database is locked", busy timeout or not (seen with
    SQLite 3.40). The lock is a file of its own: closing a database file releases the locks SQLite holds on it.
    """
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _engine(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), pool_timeout=BUSY_TIMEOUT)

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Said outright: the driver begins only before it writes, so reads would each see another moment. And IMMEDIATE,
        # since a transaction that reads and then writes fails at once, without waiting, when another wrote in between.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's word for trouble into ours. What is a mistake of ours stays what it is."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError):
        raise
    except (DatabaseError, PoolTimeout) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error
        raise DatabaseUnavailable(f"the database cannot be used now: {cause}") from error
