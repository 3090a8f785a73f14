"""PostgreSQL as it should be for a server: nothing waits for it without an end, and a restart of it costs no call.

What SQLite gives by being one file has to be asked for here: a reader's one state is REPEATABLE READ, and that there is
one writer is an advisory lock (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS). Both end
with their transaction, so poolers that hand out a connection for each transaction do no harm.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Connection, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from aibridge.store import schema
from aibridge.store.transaction import Kind, kind_of

if TYPE_CHECKING:
    from psycopg import Connection as PsycopgConnection

FORM = "postgresql://user@host/database"
"""What a URL of such a database looks like."""

NAMES = ("postgresql", "postgresql+psycopg", "postgres")
"""How a URL may begin."""

WRITERS: Final = int.from_bytes(b"aibridge", "big", signed=True)
"""The advisory lock of those that write one at a time."""

_STATEMENT_SECONDS = 30
"""For a statement. None of ours takes a second but those over the whole ledger; what takes longer is lost."""
_IDLE_SECONDS = 60
"""For a transaction in which nothing happens: its client may have stopped, and others wait for its lock."""
_CONNECT: Final = {
    "connect_timeout": "5",
    # A server that is gone without a word: found out after half a minute, not after the kernel's two hours.
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "fallback_application_name": "aibridge",
}
"""Said to the driver where the URL does not say it. Seconds, and milliseconds for `tcp_user_timeout`."""


class Server:
    """A database of a PostgreSQL server."""

    def __init__(self, url: URL, patience: float) -> None:
        """Take the database that `url` names, and wait up to `patience` seconds for another's write.

        Raises:
            ValueError: the URL does not fit, or the driver is not installed.
        """
        if not url.database:
            raise ValueError(f"the URL of a PostgreSQL database must name it: {FORM}")
        try:
            self.engine = create_engine(
                url.set(drivername="postgresql+psycopg").update_query_dict(
                    {name: value for name, value in _CONNECT.items() if name not in url.query}
                ),
                # Rows go to the driver as tuples; see `sink`.
                paramstyle="format",
                # A question before each use of a connection: the server may have been restarted meanwhile.
                pool_pre_ping=True,
                pool_timeout=patience,
                # Parameters of statements are digests, names and addresses, and no matter for a log.
                hide_parameters=True,
            )
        except ImportError:
            raise ValueError(
                "a PostgreSQL database needs the driver psycopg, which is not here: pip install 'aibridge[postgres]'"
            ) from None
        _take_conditions_of_indexes()
        from aibridge.store.postgresql_text import replace_nul  # noqa: PLC0415 - which imports the driver

        bounds = (
            f"SET statement_timeout = '{_STATEMENT_SECONDS}s'; SET lock_timeout = '{int(patience * 1000)}ms'; "
            f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'"
        )

        @event.listens_for(self.engine, "connect")
        def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            cursor.execute(bounds)
            cursor.close()
            connection.commit()
            replace_nul(cast("PsycopgConnection", connection))

        event.listen(self.engine, "begin", _begin)

    def insert(self, table: Table) -> Insert:
        """An insertion that knows what to do on a conflict: the dialect's own, with the methods of SQLite's."""
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415 - not imported where SQLite is used

        return cast("Insert", insert(table))

    def options(self, kind: Kind) -> dict[str, Any]:
        """How isolated a transaction is. A writer alone sees what was committed before each of its statements."""
        if kind is Kind.READING:
            return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return {}

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let everybody in: those who would change the schema wait for each other in `_begin`."""
        yield

    def require(self) -> None:
        """Make sure of nothing: a server says itself what it lacks."""

    def __str__(self) -> str:
        url = self.engine.url  # of which anything but this may hold a password
        return f"postgresql://{url.host or ''}/{url.database}"


def _take_conditions_of_indexes() -> None:
    for each in schema.metadata.tables.values():
        for index in each.indexes:
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]


def _begin(connection: Connection) -> None:
    match kind_of(connection):
        case Kind.WRITING:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
        case Kind.PREPARING:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
        case _:
            pass
