"""A database in a file and back, from each engine into each."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor
from store_samples import a_start, an_ending, url_of

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import changes, migrations, schema
from aibridge.store.backup import backup, restore
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable
from aibridge.store.sink import LedgerSink

if TYPE_CHECKING:
    from postgres import Postgres

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgres"))]
Rows = dict[str, list[tuple[Any, ...]]]
AT = {"created_at": 1, "updated_at": 2}


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new database, beside `database`."""
    server: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    url = server.new() if server else f"sqlite:///{tmp_path}/target.db"
    with closing(Database.open(url)) as target:
        yield target
    if server:
        server.drop(url)


def everything_in(database: Database) -> Rows:
    """All rows but that which counts changes."""
    with database.reading() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(table.select()) if row[0] != "changes")
            for table in schema.metadata.sorted_tables
        }


def fill(database: Database) -> None:
    """Write a row of each kind of value: bytes, flags, nulls, long numbers, rows that refer to others."""
    organization = str(DEFAULT_ORGANIZATION)
    user = {"id": "u1", "username": "ann", "name": "Änn", "status": "active", "login_type": "none", "roles": "[]"}
    token = {"id": "t1", "user_id": "u1", "organization_id": organization, "kind": "token", "name": "laptop"}
    provider = {"id": "p1", "name": "p", "display_name": "", "kind": "openai", "base_url": "http://x"}
    rest = {"enabled": True, "internal": False, "sealed_key": b"\0\xff"}
    with database.writing() as connection:
        connection.execute(schema.users.insert().values(user | AT))
        connection.execute(
            schema.organization_members.insert().values(organization_id=organization, user_id="u1", roles="[]", **AT)
        )
        secret = {"digest": bytes(range(256)), "last_four": "last", "created_at": 2**62}
        connection.execute(schema.tokens.insert().values(token | secret))
        connection.execute(schema.providers.insert().values(provider | AT | rest))
        changes.note(connection)
    names = [f"{number:04}" for number in range(1500)]  # more than are copied at once
    LedgerSink(database).write([a_start(name) for name in names], [an_ending(name) for name in names])


def test_everything_comes_back_whatever_the_engine(database: Database, target: Database, tmp_path: Path) -> None:
    fill(database)
    backup(database, tmp_path / "backup.db")
    restore(target, tmp_path / "backup.db")
    assert everything_in(target) == everything_in(database)
    assert len(everything_in(target)["interceptions"]) == 1500
    assert target.revision() == schema.REVISION


def test_a_backup_is_one_private_file_of_a_database_of_ours(database: Database, tmp_path: Path) -> None:
    fill(database)
    previous = os.umask(0o000)
    try:
        backup(database, tmp_path / "backup.db")
    finally:
        os.umask(previous)
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup.db"]
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600
    with closing(Database.open(f"sqlite:///{tmp_path}/backup.db")) as opened:
        assert everything_in(opened) == everything_in(database)


def test_a_backup_shows_one_moment(database: Database, tmp_path: Path) -> None:
    fill(database)
    before = everything_in(database)

    def write_meanwhile(_: Connection, __: DBAPICursor, sql: str, *___: object) -> None:
        if "FROM organizations" in sql:  # one of the first tables that are copied
            LedgerSink(database).write([a_start("late")], [an_ending("late")])

    event.listen(database._engine, "before_cursor_execute", write_meanwhile)
    backup(database, tmp_path / "backup.db")
    event.remove(database._engine, "before_cursor_execute", write_meanwhile)
    with closing(Database.open(f"sqlite:///{tmp_path}/backup.db")) as opened:
        assert everything_in(opened) == before


def test_a_backup_replaces_no_file(database: Database, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_text("mine")
    with pytest.raises(FileExistsError):
        backup(database, tmp_path / "backup.db")
    assert (tmp_path / "backup.db").read_text() == "mine"


def test_a_backup_that_fails_leaves_no_file(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("aibridge.store.backup._copy_pages", fail)
    monkeypatch.setattr("aibridge.store.backup._copy_rows", fail)
    with pytest.raises(DatabaseUnavailable, match="disk is full"):
        backup(database, tmp_path / "backup.db")
    assert not (tmp_path / "backup.db").exists()


def test_an_empty_database_has_no_backup(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "aibridge.db").touch()
    with (
        closing(Database.open(url_of(tmp_path), prepare=False)) as database,
        pytest.raises(ValueError, match="the database is empty"),
    ):
        backup(database, tmp_path / "backup.db")


def test_an_older_database_is_backed_up_as_it_is_and_restored_as_todays(
    database_url: str, database: Database, target: Database, tmp_path: Path
) -> None:
    fill(database)
    users, calls = everything_in(database)["users"], everything_in(database)["interceptions"]
    with database.preparing() as connection:
        migrations.move(connection, "2")
    with closing(Database.open(database_url, prepare=False)) as old:
        backup(old, tmp_path / "backup.db")
    with closing(Database.open(f"sqlite:///{tmp_path}/backup.db", prepare=False)) as kept:
        assert kept.revision() == "2"
    restore(target, tmp_path / "backup.db")
    restored = everything_in(target)
    assert [row[1] for row in restored["users"]] == [row[1] for row in users]
    assert restored["interceptions"] == calls
    with database.preparing() as connection:
        migrations.move(connection, schema.REVISION)


def test_what_is_there_is_replaced_only_where_that_is_meant(
    database: Database, target: Database, tmp_path: Path
) -> None:
    fill(database)
    backup(database, tmp_path / "backup.db")
    fill(target)
    with target.writing() as connection:
        connection.execute(schema.settings.insert().values(name="appearance", value="{}", updated_at=1))
    before = everything_in(target)
    with pytest.raises(ValueError, match="there is something in the database"):
        restore(target, tmp_path / "backup.db")
    assert everything_in(target) == before
    restore(target, tmp_path / "backup.db", force=True)
    assert everything_in(target) == everything_in(database)


def test_whoever_watches_sees_that_something_changed(database: Database, tmp_path: Path) -> None:
    backup(database, tmp_path / "backup.db")
    with database.writing() as connection:
        for _ in range(5):
            changes.note(connection)
    restore(database, tmp_path / "backup.db", force=True)
    assert changes.version(database) == 6


def test_a_restore_that_fails_changes_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(database, tmp_path / "backup.db")
    fill(database)
    before = everything_in(database)
    with monkeypatch.context() as broken:
        broken.setattr("aibridge.store.backup.max", lambda _: "x" * 10, raising=False)
        with pytest.raises(TypeError):
            restore(database, tmp_path / "backup.db", force=True)
    assert everything_in(database) == before


def test_a_backup_of_a_newer_program_is_refused(database: Database, tmp_path: Path) -> None:
    backup(database, tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as file:
        file.execute("UPDATE alembic_version SET version_num = '41'")
        file.commit()
    with pytest.raises(DatabaseTooNew, match="41"):
        restore(database, tmp_path / "backup.db", force=True)


def test_what_is_no_backup_is_told(database: Database, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE x (y)")
    with pytest.raises(FileNotFoundError, match=r"nothing\.db"):
        restore(database, tmp_path / "nothing.db")
    with pytest.raises(ValueError, match=r"notes\.txt is no backup: file is not a database"):
        restore(database, tmp_path / "notes.txt")
    with pytest.raises(ValueError, match=r"other\.db is no backup"):
        restore(database, tmp_path / "other.db")


def test_restoring_leaves_the_backup_as_it_is(database: Database, tmp_path: Path) -> None:
    backup(database, tmp_path / "backup.db")
    content = (tmp_path / "backup.db").read_bytes()
    (tmp_path / "backup.db").chmod(0o400)
    restore(database, tmp_path / "backup.db")
    assert (tmp_path / "backup.db").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("backup")] == ["backup.db"]
