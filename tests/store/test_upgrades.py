"""A database that an older program wrote: today's opens it, with all that is in it."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from store_samples import NOW, a_start, an_ending, url_of

from aibridge.domain.priority import Priority
from aibridge.domain.token import digest, matches
from aibridge.store import interceptions, schema, tokens, upgrades, users
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable
from aibridge.store.interceptions import Query
from aibridge.store.sink import LedgerSink

VERSION_1 = """
CREATE TABLE facts (name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name)) STRICT;
CREATE TABLE users (
    id TEXT NOT NULL, username TEXT NOT NULL, is_owner INTEGER NOT NULL, created_at INTEGER NOT NULL,
    PRIMARY KEY (id), UNIQUE (username)
) STRICT;
CREATE TABLE tokens (
    id TEXT NOT NULL, user_id TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL, last_four TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER, revoked_at INTEGER,
    PRIMARY KEY (id), FOREIGN KEY(user_id) REFERENCES users (id)
) STRICT;
CREATE INDEX ix_tokens_user_id ON tokens (user_id);
CREATE TABLE interceptions (
    id TEXT NOT NULL, actor_id TEXT NOT NULL, token_id TEXT NOT NULL, provider TEXT NOT NULL, route TEXT NOT NULL,
    model TEXT NOT NULL, streaming INTEGER NOT NULL, client TEXT NOT NULL, session_id TEXT, user_agent TEXT NOT NULL,
    started_at INTEGER NOT NULL, status TEXT, http_status INTEGER, error TEXT, first_byte_at INTEGER, ended_at INTEGER,
    response_id TEXT,
    PRIMARY KEY (id)
) WITHOUT ROWID, STRICT;
CREATE INDEX interceptions_by_actor ON interceptions (actor_id, id);
CREATE TABLE token_usages (
    interception_id TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL, cache_write_input_tokens INTEGER NOT NULL, extra TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (interception_id)
) WITHOUT ROWID, STRICT;
INSERT INTO facts VALUES ('schema_version', 1), ('changes', 7);
INSERT INTO users VALUES ('u1', 'ann', 1, 5);
"""
OLD_TOKEN = """
INSERT INTO tokens (id, user_id, name, digest, last_four, created_at, last_used_at)
VALUES (?, 'u1', 'laptop', ?, 'last', 5, 6)
"""
TEXT = "aib_0123456789_secret"


def write_version_1(directory: Path) -> sqlite3.Connection:
    """The database that the program of version 1 made, still open there."""
    (directory / "data").mkdir()
    old = sqlite3.connect(directory / "data" / "aibridge.db", isolation_level=None)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript(VERSION_1)
    old.execute(OLD_TOKEN, ("t1", digest(TEXT)))
    return old


@pytest.fixture
def old(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(write_version_1(tmp_path)) as old:
        yield old


def version_in(database: sqlite3.Connection) -> int:
    version: int = database.execute("SELECT value FROM facts WHERE name = 'schema_version'").fetchone()[0]
    return version


def shape_of(database: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Columns, indexes and foreign keys of each table, and how it is kept."""
    shape = {}
    for name, *kept in database.execute("SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'"):
        if not name.startswith("sqlite_"):
            parts = ("table_info", "index_list", "foreign_key_list")
            shape[name] = [tuple(kept), *(row for part in parts for row in database.execute(f"PRAGMA {part}({name})"))]
    return shape


def test_what_an_older_program_wrote_is_there(old: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        (listed,) = tokens.listing(database)
        assert (listed.id, listed.username, listed.created_at, listed.last_used_at) == ("t1", "ann", 5, 6)
        known = tokens.snapshot(database).tokens["t1"]
        assert matches(TEXT, known)
        assert known.actor.is_owner
        assert listed.priority is known.actor.priority is Priority.INTERACTIVE
        assert tokens.version(database) == 7
    assert version_in(old) == schema.VERSION


def test_an_upgraded_database_takes_what_a_new_one_takes(old: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        bob = users.create(database, username="bob", now=NOW)
        minted = tokens.create(database, user_id=bob.id, name="ci", now=NOW, priority=Priority.BATCH)
        assert tokens.snapshot(database).tokens[minted.id].actor.priority is Priority.BATCH
        LedgerSink(database).write([a_start()], [an_ending()])
        assert interceptions.page(database, Query()).count == 1


def test_an_upgraded_schema_is_that_of_a_new_database(old: sqlite3.Connection, tmp_path: Path) -> None:
    Database.open(url_of(tmp_path)).close()
    Database.open(f"sqlite:///{tmp_path}/new.db").close()
    with closing(sqlite3.connect(tmp_path / "new.db")) as new:
        assert shape_of(old) == shape_of(new)


def test_upgrading_happens_once(old: sqlite3.Connection, tmp_path: Path) -> None:
    for _ in range(2):
        Database.open(url_of(tmp_path)).close()
        assert version_in(old) == schema.VERSION


def test_an_older_program_that_has_it_open_can_go_on_writing(old: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        old.execute(OLD_TOKEN, ("t2", b""))
        assert tokens.snapshot(database).tokens["t2"].actor.priority is Priority.INTERACTIVE


def test_a_step_that_fails_leaves_the_database_as_it_was(
    old: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shape_of(old)
    with monkeypatch.context() as broken:
        broken.setitem(upgrades._STEPS, 1, (*upgrades._STEPS[1], "ALTER TABLE nothing ADD COLUMN x TEXT"))
        with pytest.raises(DatabaseUnavailable, match="nothing") as failed:
            Database.open(url_of(tmp_path))
    assert isinstance(failed.value.__cause__, OperationalError)
    assert (shape_of(old), version_in(old)) == (before, 1)
    Database.open(url_of(tmp_path)).close()
    assert version_in(old) == schema.VERSION


def test_those_who_open_an_old_database_at_once_upgrade_it_once(old: sqlite3.Connection, tmp_path: Path) -> None:
    together = threading.Barrier(4)
    failures: list[Exception] = []

    def start() -> None:
        together.wait()
        try:
            Database.open(url_of(tmp_path)).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert version_in(old) == schema.VERSION


def test_a_database_of_a_newer_version_is_left_alone(old: sqlite3.Connection, tmp_path: Path) -> None:
    old.execute("UPDATE facts SET value = 41 WHERE name = 'schema_version'")
    before = shape_of(old)
    with pytest.raises(DatabaseTooNew, match="version 41"):
        Database.open(url_of(tmp_path))
    assert (shape_of(old), version_in(old)) == (before, 41)
