"""One database: how it is opened, and the kinds of transaction there are. What engines do differently is theirs.

`sqlite` and `postgresql` each see to it that what is promised here holds: see `transaction`.
"""

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection, Dialect, Engine, Table
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from aibridge.store import founding, postgresql, schema, sqlite
from aibridge.store.transaction import Home, Kind, engine_of

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another's write, or for a free connection, before a database counts as unavailable."""

FORMS = f"supported are {sqlite.FORM} and {postgresql.FORM}"
"""What is said of a URL that is neither."""


class DatabaseUnavailable(Exception):  # noqa: N818 - a state of the world, in the words of `domain.errors`
    """The database cannot be used now; the same call may succeed later."""


class DatabaseTooNew(Exception):  # noqa: N818 - as above
    """The database was written by a newer program; this one would misread it."""


class Database:
    """An open database. Any number of threads may use it at once.

    Make one with `open`, and `close` it at the end.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._engine = home.engine
        self._engines: dict[Kind, Engine] = {kind: engine_of(home, kind) for kind in Kind}

    @classmethod
    def open(cls, url: str, *, prepare: bool = True) -> "Database":
        """Open the database at `url`, creating file and schema where they are absent, upgrading a schema that is old.

        A new file is readable by its owner alone, and so is its directory if that is new, too. Processes that open one
        new database at once take turns. With `prepare=False`, a database is opened as it is, whatever its schema.

        Raises:
            ValueError: the URL is none of `FORMS`, or what it needs is not installed.
            DatabaseTooNew: the schema is newer than this program.
            DatabaseUnavailable: the file cannot be opened or is no database, or the server is not to be reached.
        """
        database = cls(_home(url))
        try:
            if prepare:
                with database.turn():
                    database._prepare()
            else:
                with _openable(database._home):
                    database._home.require()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def dialect(self) -> Dialect:
        """How statements are spelt here."""
        return self._engine.dialect

    def insert(self, table: Table) -> Insert:
        """An insertion that knows what to do on a conflict. Each engine has its own, with the same methods."""
        return self._home.insert(table)

    def __str__(self) -> str:
        """Where it is, without a password."""
        return str(self._home)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout.

        Raises:
            DatabaseUnavailable: the database cannot be used now.
        """
        with _translated(), self._engines[Kind.READING].begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back on an exception.

        It is the only writer from its first statement on, so what it has read is still so when it writes. Only what
        `appending` adds may be new.

        Raises:
            DatabaseUnavailable: the database cannot be used now.
        """
        with _translated(), self._engines[Kind.WRITING].begin() as connection:
            yield connection

    @contextlib.contextmanager
    def appending(self) -> Iterator[Connection]:
        """A transaction for the ledger's records, which need not wait for `writing` where the engine allows it.

        Raises:
            DatabaseUnavailable: the database cannot be used now.
        """
        with _translated(), self._engines[Kind.APPENDING].begin() as connection:
            yield connection

    @contextlib.contextmanager
    def preparing(self) -> Iterator[Connection]:
        """A `writing` that changes the schema or replaces everything: it may last, and waits as long as it must.

        Raises:
            DatabaseUnavailable: the database cannot be used now, or refuses the change.
        """
        try:
            with _translated(), self._engines[Kind.PREPARING].begin() as connection:
                yield connection
        except DBAPIError as error:  # a right that is missing, or what somebody else has put there
            raise _unavailable(error) from error

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let one process in at a time, to open a database or to change its schema; a file is made if it is absent.

        Raises:
            DatabaseUnavailable: the file cannot be opened.
        """
        with contextlib.ExitStack() as stack:
            with _openable(self._home):
                stack.enter_context(self._home.turn())
            yield

    def revision(self) -> str | None:
        """The revision of the schema that the database has; None when it is empty.

        Raises:
            DatabaseUnavailable: the database cannot be used now.
        """
        try:
            with self.reading() as connection:
                return founding.revision(connection)
        except DBAPIError as error:  # what may not be read
            raise _unavailable(error) from error

    def _prepare(self) -> None:
        if self.revision() == schema.REVISION:
            return
        with self.preparing() as connection:
            found = founding.revision(connection)
            if found is None:
                founding.found(connection)
            elif not found.isdecimal() or int(found) > int(schema.REVISION):
                raise DatabaseTooNew(
                    f"the database has schema revision {found}, this program knows revisions up to {schema.REVISION}: "
                    "run the newer aibridge, or point this one at another database"
                )
            elif found != schema.REVISION:
                from aibridge.store import migrations  # noqa: PLC0415 - Alembic, which takes 0.3 s and is seldom needed

                migrations.move(connection, schema.REVISION)


def _home(url: str) -> Home:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number; the texts of both may show a password
        raise ValueError(f"the database URL is not one: {FORMS}") from None
    if parsed.drivername == "sqlite":
        return sqlite.File(parsed, BUSY_TIMEOUT)
    if parsed.drivername in postgresql.NAMES:
        return postgresql.Server(parsed, BUSY_TIMEOUT)
    raise ValueError(f"a database of the kind {parsed.drivername!r} is not supported: {FORMS}")


@contextlib.contextmanager
def _openable(home: Home) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatabaseUnavailable(f"cannot open the database {home}: {error.strerror}") from error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's word for trouble into ours. What is a mistake of ours stays what it is."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError):
        raise
    except (DatabaseError, PoolTimeout) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _unavailable(error) from error
        raise


def _unavailable(error: DBAPIError | PoolTimeout) -> DatabaseUnavailable:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return DatabaseUnavailable(f"the database cannot be used now: {' '.join(str(cause).split())}")
