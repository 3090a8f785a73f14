"""How a database of one revision becomes one of another, up and down: all of the way or none.

A step (`versions/`) is written out and not derived from `schema`, which moves on, and is never changed once released:
it has to lead to what the next one was written for. Each works on both engines, within the caller's transaction.

Importing this imports Alembic: it is done when a database is not of today's revision, and for `aibridge db migrate`.
"""

import threading
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from aibridge.store import founding

_ONE_AT_A_TIME: Final = threading.Lock()
"""Alembic's `op` speaks to one database for the whole process."""


def revisions() -> list[str]:
    """The names of all revisions, the oldest first."""
    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def move(connection: Connection, to: str) -> None:
    """Take the schema to a revision, upwards or downwards, within a transaction that may change it.

    An empty database begins before the first revision. What an older schema cannot hold is lost on the way down.

    Raises:
        ValueError: there is no such revision.
    """
    known = revisions()
    if to not in known:
        raise ValueError(f"there is no schema revision {to!r}; there are {', '.join(known)}")
    config = _config()
    config.attributes["connection"] = connection
    found = founding.revision(connection)
    with _ONE_AT_A_TIME:
        if found is not None and (not inspect(connection).has_table("alembic_version") or _marked(connection) != found):
            # Made, or taken further, by a program from before there were migrations.
            command.stamp(config, found, purge=True)
        if found is None or known.index(found) < known.index(to):
            command.upgrade(config, to)
        else:
            command.downgrade(config, to)


def _marked(connection: Connection) -> str | None:
    value: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    return value


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
