"""The kinds of transaction there are, as `database` asks for them and each engine begins them."""

import enum
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects.sqlite import Insert

_OPTION: Final = "aibridge_transaction"


class Kind(enum.Enum):
    """What a transaction is for."""

    READING = enum.auto()
    """Sees one state of the database throughout."""
    WRITING = enum.auto()
    """The only one of its kind at a time."""
    APPENDING = enum.auto()
    """Writes what no decision rests on, so it need not wait for those that decide: the ledger's records."""
    PREPARING = enum.auto()
    """Changes the schema: a `WRITING` that may take, and wait for, as long as it needs."""


class Home(Protocol):
    """Where a database lives: a file, or a server."""

    engine: Engine

    def insert(self, table: Table) -> Insert:
        """An insertion that knows what to do on a conflict."""

    def options(self, kind: Kind) -> dict[str, Any]:
        """What else the engine must know before a transaction of this kind begins."""

    def turn(self) -> AbstractContextManager[None]:
        """Let one process in at a time, to make the database or to change its schema.

        Raises:
            OSError: that is not possible here.
        """

    def require(self) -> None:
        """Make sure that there is something to open.

        Raises:
            FileNotFoundError: there is not.
        """


def engine_of(home: Home, kind: Kind) -> Engine:
    """The engine of a home, for transactions of one kind."""
    return home.engine.execution_options(**{_OPTION: kind}, **home.options(kind))


def kind_of(connection: Connection) -> Kind:
    """Of which kind the transaction is that begins on a connection."""
    kind: Kind = connection.get_execution_options().get(_OPTION, Kind.READING)
    return kind
