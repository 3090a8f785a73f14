"""What a new database begins with, and which revision of the schema a database has.

A new one is made from `schema` at once and then bears the mark of the newest migration: Alembic takes a third of a
second to be imported, which the first start does not have. A test holds `schema` and migrations together.
"""

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import schema

_LAST_BY_HAND = 2
"""Revisions up to this one were made by programs that know `facts.schema_version` only, and what it says is so."""

REVISIONS = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As Alembic makes it: one row, the name of the revision."""


def revision(connection: Connection) -> str | None:
    """The revision of the schema that a database has, as its migration is named; None for a database without one.

    It is as old as it says, or newer than this program: the programs before there were migrations counted, too.
    """
    tables = inspect(connection)
    marked: str | None = None
    if tables.has_table(REVISIONS.name):
        marked = connection.execute(select(REVISIONS.c.version_num)).scalar_one_or_none()
    if marked is not None and not (marked.isdecimal() and int(marked) <= _LAST_BY_HAND):
        return marked
    if tables.has_table(schema.facts.name):
        counted = select(schema.facts.c.value).where(schema.facts.c.name == "schema_version")
        return str(connection.execute(counted).scalar_one())
    return marked


def found(connection: Connection) -> None:
    """Make the schema and the rows that every database begins with, within a transaction."""
    schema.metadata.create_all(connection, checkfirst=False)
    REVISIONS.create(connection, checkfirst=False)
    connection.execute(REVISIONS.insert().values(version_num=schema.REVISION))
    seed(connection)


def seed(connection: Connection) -> None:
    """Add the rows that every database begins with to tables that are empty."""
    # A program from before there were migrations looks at `schema_version`, and leaves a database alone that has 3.
    rows = [{"name": "schema_version", "value": 3}, {"name": "changes", "value": 0}]
    connection.execute(schema.facts.insert(), rows)
    built_in = {"id": str(DEFAULT_ORGANIZATION), "name": "default", "display_name": "Default"}
    rest = {"description": "", "icon": "", "created_at": 0, "updated_at": 0}
    connection.execute(schema.organizations.insert().values(built_in | rest))
