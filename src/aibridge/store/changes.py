"""A counter of changes to who may call, so that the data plane learns of them by asking often and cheaply.

It grows within the transaction of the change: whoever sees it grown sees the change, in this process or another.
Neither the ledger nor a token's last use touch it, since nothing of theirs is in a snapshot.
"""

from sqlalchemy import Connection, select

from aibridge.store.database import Database
from aibridge.store.schema import facts

_COUNTER = facts.c.name == "changes"
_QUERY = select(facts.c.value).where(_COUNTER)


def version(database: Database) -> int:
    """A number that changes whenever users or tokens do: one row by its key, meant to be asked several times a second.

    Ask before taking a snapshot, not after: a change in between then costs a second look and is never missed.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.reading() as connection:
        value: int = connection.execute(_QUERY).scalar_one()
    return value


def note(connection: Connection) -> None:
    """Count a change within the transaction that makes it."""
    connection.execute(facts.update().where(_COUNTER).values(value=facts.c.value + 1))
