"""How a database of an older version becomes one of today's: statements for each step, never changed once released.

Steps are written out and not derived from `schema`, which moves on: each has to lead to what the next one was written
for. A new column has a default, so that an older program that still has the database open can go on writing to it.
"""

from sqlalchemy import Connection

from aibridge.store.schema import VERSION, facts

_STEPS: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE tokens ADD COLUMN priority TEXT DEFAULT 'interactive' NOT NULL",),
}
"""By the version that a step begins with; it ends with the next one."""


def upgrade(connection: Connection, version: int) -> None:
    """Take the schema from `version` to today's, within a writing transaction: all of the way or none."""
    if version < VERSION:
        for step in range(version, VERSION):
            for statement in _STEPS[step]:
                connection.exec_driver_sql(statement)
        connection.execute(facts.update().where(facts.c.name == "schema_version").values(value=VERSION))
