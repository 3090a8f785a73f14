"""SQLite as it should be for a server: one file, which is readable by its owner alone.

WAL (readers and the writer do not wait for each other), `synchronous=FULL` (what is committed survives the power: the
journal forgets what it has shipped), a busy timeout, foreign keys.
See https://sqlite.org/wal.html and https://sqlite.org/pragma.html.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from aibridge.store.transaction import Kind, kind_of

FORM = "sqlite:///path/to/file"
"""What a URL of such a database looks like."""


_LIBRARY = "libsqlite3.so.0"
_SINGLE_THREAD, _MEMORY_STATISTICS = 1, 9
"""SQLITE_CONFIG_SINGLETHREAD and SQLITE_CONFIG_MEMSTATUS (https://sqlite.org/c3ref/c_config_covering_index_scan.html)."""


def without_locks() -> bool:
    """Let SQLite do without locks; whether the library agreed. For a process in which one thread will use it.

    It takes one for each value that it is given, and nobody ever waits for them. Python has no way to say so, so this
    asks the library that Debian's Python is linked to; one that has its own goes on as ever. See "start-time selection"
    in https://sqlite.org/threadsafe.html.
    """
    try:
        import ctypes  # noqa: PLC0415 (not every build of Python has it)

        configure: Callable[..., int] = ctypes.CDLL(_LIBRARY).sqlite3_config
    except (ImportError, OSError):
        return False
    return configure(_SINGLE_THREAD) == 0 and configure(_MEMORY_STATISTICS, 0) == 0


class File:
    """A database in a file."""

    def __init__(self, url: URL, patience: float) -> None:
        """Take the file that `url` names, and wait up to `patience` seconds for another's write.

        Raises:
            ValueError: the URL names no file, or more than a file.
        """
        if not url.database or url.database == ":memory:" or url.host or url.query:
            raise ValueError(f"the database URL must name a file and nothing else: {FORM}")
        self.path = Path(url.database)
        # Parameters of statements are digests, names and addresses, and no matter for a log.
        self.engine = create_engine(
            URL.create("sqlite", database=str(self.path)), pool_timeout=patience, hide_parameters=True
        )
        pragmas = (
            f"PRAGMA busy_timeout = {int(patience * 1000)}",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
        )

        @event.listens_for(self.engine, "connect")
        def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(pragma)
            cursor.close()

        event.listen(self.engine, "begin", _begin)

    def insert(self, table: Table) -> Insert:
        """An insertion that knows what to do on a conflict."""
        return insert(table)

    def options(self, kind: Kind) -> dict[str, Any]:
        """Nothing: `_begin` says all."""
        del kind
        return {}

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let one process in at a time, and make file and directory where they are absent.

        Two connections that switch a new file to WAL at once fail with "database is locked", busy timeout or not (seen
        with SQLite 3.40). The lock is a file of its own: closing a database file releases the locks SQLite holds on it.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.path.with_name(self.path.name + ".lock")
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileExistsError):
                make_private(self.path)
            yield
        finally:
            os.close(descriptor)

    def require(self) -> None:
        """Make sure that the file is there, since SQLite would make it.

        Raises:
            FileNotFoundError: it is not.
        """
        if not self.path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))

    def __str__(self) -> str:
        return str(self.path)


def make_private(path: Path) -> None:
    """Make an empty file that its owner alone may read.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be made.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _begin(connection: Connection) -> None:
    """Begin outright: the driver begins only before it writes, so reads would each see another moment.

    And IMMEDIATE, since a transaction that reads and then writes fails at once, without waiting, when another wrote in
    between.
    """
    connection.exec_driver_sql("BEGIN" if kind_of(connection) is Kind.READING else "BEGIN IMMEDIATE")
