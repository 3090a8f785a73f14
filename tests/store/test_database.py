"""Opening a database, and what its transactions promise."""

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError
from store_samples import url_of

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import changes, schema
from aibridge.store.database import Database, DatabaseUnavailable
from aibridge.store.snapshot import snapshot

FIRST_START = """
import sys, time
from aibridge.store.database import Database
from aibridge.store.first_owner import first_owner
sys.stdin.readline()
database = Database.open(sys.argv[1])
print(first_owner(database, username="owner", token_name="first", now=1) is not None)
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """A database in a file."""
    with closing(Database.open(url_of(tmp_path))) as database:
        yield database


def add(connection: Connection, name: str, value: int = 0) -> None:
    connection.execute(schema.facts.insert().values(name=name, value=value))


def facts(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        return {row.name: row.value for row in connection.execute(select(schema.facts))}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hunter2@db",
        "postgresql://app:hunter2@db:port/aibridge",
        "postgresql+asyncpg://app:hunter2@db/aibridge",
        "sqlite+aiosqlite:///x.db",
        "mysql://hunter2@h/d",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "sqlite://hunter2@host/x.db",
        "aibridge.db",
        "",
    ],
)
def test_another_kind_of_url_is_refused_with_what_is_supported(url: str) -> None:
    expected = r"postgresql://user@host/database" if url.startswith("postgresql") else r"sqlite:///path/to/file"
    with pytest.raises(ValueError, match=expected) as refused:
        Database.open(url)
    assert "hunter2" not in str(refused.value)


def test_a_new_database_is_private(tmp_path: Path) -> None:
    previous = os.umask(0o000)
    try:
        with closing(Database.open(url_of(tmp_path))):
            files = sorted((tmp_path / "data").iterdir())
            assert "aibridge.db-wal" in [file.name for file in files]
            assert {file.name: mode_of(file) for file in files} == {file.name: 0o600 for file in files}
    finally:
        os.umask(previous)
    assert mode_of(tmp_path / "data") == 0o700


def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o750)
    Database.open(url_of(tmp_path)).close()
    assert mode_of(tmp_path / "data") == 0o750


def test_what_was_written_is_there_after_reopening(database_url: str) -> None:
    with closing(Database.open(database_url)) as database, database.writing() as connection:
        add(connection, "written", 7)
    with closing(Database.open(database_url)) as database:
        assert facts(database)["written"] == 7


def test_every_connection_has_its_pragmas(file: Database) -> None:
    def settings() -> list[object]:
        with file.reading() as connection:
            names = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    with file.reading():  # holds the first connection, so that another one is opened
        assert settings() == ["wal", 2, 5000, 1]


def test_tables_are_strict(file: Database) -> None:
    with file.reading() as connection:
        strict = connection.exec_driver_sql("SELECT name FROM pragma_table_list WHERE strict").scalars().all()
    assert set(strict) == set(schema.metadata.tables)


def test_foreign_keys_are_kept(database: Database) -> None:
    orphan = {"organization_id": str(DEFAULT_ORGANIZATION), "user_id": "nobody", "roles": "[]"}
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(schema.organization_members.insert(), orphan | {"created_at": 0, "updated_at": 0})


def test_a_user_is_known_by_a_name_in_any_case_of_ascii_letters_alone(database: Database) -> None:
    row = {"name": "", "status": "active", "login_type": "none", "roles": "[]", "created_at": 0, "updated_at": 0}
    with database.writing() as connection:
        for name in ("Ü", "ü", "K", "\N{KELVIN SIGN}"):
            connection.execute(schema.users.insert(), row | {"id": name, "username": name})
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(schema.users.insert(), row | {"id": "k", "username": "k"})


def test_texts_are_in_the_order_of_their_bytes(database: Database) -> None:
    names = ["B", "_", "a", "a-", "a0", "b", "Ü"]
    with database.writing() as connection:
        connection.execute(schema.facts.delete())
        for name in reversed(names):
            add(connection, name)
        assert list(connection.execute(select(schema.facts.c.name).order_by(schema.facts.c.name)).scalars()) == names


def test_processes_that_start_at_once_on_a_new_database_all_succeed_and_one_founds_it(tmp_path: Path) -> None:
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_START, url_of(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in starting]
    assert sorted(ended) == [("False\n", ""), ("False\n", ""), ("True\n", "")]
    with closing(Database.open(url_of(tmp_path))) as database:
        assert len(snapshot(database).tokens) == 1


def test_threads_that_open_a_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    together = threading.Barrier(8)
    failures: list[Exception] = []

    def start() -> None:
        together.wait()
        try:
            Database.open(url_of(tmp_path)).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_opening_waits_for_whoever_is_opening(tmp_path: Path) -> None:
    Database.open(url_of(tmp_path)).close()
    opening = threading.Thread(target=lambda: Database.open(url_of(tmp_path)).close())
    with (tmp_path / "data" / "aibridge.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        opening.start()
        opening.join(timeout=0.2)
        assert opening.is_alive()
    opening.join(timeout=10)
    assert not opening.is_alive()


def test_writers_take_turns_even_when_they_read_first(database: Database) -> None:
    def add_many() -> None:
        for _ in range(25):
            with database.writing() as connection:
                value = connection.execute(select(schema.facts.c.value).where(counter)).scalar_one()
                connection.execute(schema.facts.update().values(value=value + 1).where(counter))

    counter = schema.facts.c.name == "changes"
    threads = [threading.Thread(target=add_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert changes.version(database) == 100


def test_a_read_sees_one_moment(database: Database) -> None:
    names = select(schema.facts.c.name)
    with database.reading() as connection:
        before = connection.execute(names).all()
        with database.writing() as writer:
            add(writer, "new")
        assert connection.execute(names).all() == before
    assert "new" in facts(database)


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.writing() as writer:
        add(writer, "new")
        assert "new" not in facts(database)


def test_an_exception_undoes_the_transaction(database: Database) -> None:
    def add_and_fail() -> None:
        with database.writing() as connection:
            add(connection, "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert "new" not in facts(database)


def test_a_locked_database_is_unavailable(file: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "aibridge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with file.reading() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        with pytest.raises(DatabaseUnavailable, match="locked"), file.writing():
            pass
        other.execute("ROLLBACK")
    with file.writing() as connection:
        add(connection, "new")


def test_a_database_that_is_opened_as_it_is_must_be_there_and_gets_no_schema(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"cannot open the database .*aibridge\.db: No such file"):
        Database.open(url_of(tmp_path), prepare=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "aibridge.db").touch()
    with closing(Database.open(url_of(tmp_path), prepare=False)) as database:
        assert database.revision() is None


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 100)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        Database.open(f"sqlite:///{path}")


def test_a_path_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match=r"file/aibridge\.db"):
        Database.open(f"sqlite:///{tmp_path}/file/aibridge.db")
    (tmp_path / "taken").mkdir()
    with pytest.raises(DatabaseUnavailable):
        Database.open(f"sqlite:///{tmp_path}/taken")
