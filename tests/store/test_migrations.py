"""A database of another revision: today's program opens it with all that is in it, and can take it back."""

import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from store_samples import a_start, an_ending, url_of

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import founding, migrations, schema
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable
from aibridge.store.sink import LedgerSink

if TYPE_CHECKING:
    from postgres import Postgres

BY_HAND = """
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
INSERT INTO facts VALUES ('schema_version', 1), ('changes', 0);
"""
"""What the program made that knew no migrations, version 1."""
SECOND_BY_HAND = """
ALTER TABLE tokens ADD COLUMN priority TEXT DEFAULT 'interactive' NOT NULL;
UPDATE facts SET value = 2 WHERE name = 'schema_version';
"""
"""How version 2 of it upgraded that."""
ROWS = (
    "UPDATE facts SET value = 7 WHERE name = 'changes'",
    "INSERT INTO users (id, username, is_owner, created_at) VALUES ('u1', 'ann', {true}, 5), ('u2', 'bob', {false}, 6)",
    """
    INSERT INTO tokens (id, user_id, name, digest, last_four, created_at, last_used_at)
    VALUES ('t1', 'u1', 'laptop', {bytes}, 'last', 5, 6), ('t2', 'u2', 'ci', {bytes}, 'four', 7, NULL)
    """,
    """
    INSERT INTO interceptions (id, actor_id, token_id, provider, route, model, streaming, client, user_agent,
    started_at) VALUES ('i1', 'u1', 't1', 'p', '/', 'm', 1, 'c', 'a', 9)
    """,
    "INSERT INTO token_usages VALUES ('i1', 1, 2, 3, 4, '{{}}', 'provider')",
)
OLD_TOKENS = "SELECT id, user_id, name, digest, last_four, created_at, expires_at, last_used_at, revoked_at FROM tokens"
LEDGER = "SELECT * FROM interceptions JOIN token_usages ON interception_id = id"
FACTS = "SELECT * FROM facts ORDER BY name"
EVERYBODY = "SELECT id, username, status, login_type, roles, created_at, updated_at FROM users ORDER BY id"
MEMBERS = "SELECT organization_id, user_id, roles FROM organization_members ORDER BY user_id"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgres"))])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that a program has yet to make its own."""
    if request.param == "sqlite":
        yield url_of(tmp_path)
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.new()
        yield url
        server.drop(url)


@pytest.fixture
def database(empty_url: str) -> Iterator[Database]:
    """It, without a schema."""
    with closing(Database.open(empty_url)) as database:
        with database.preparing() as connection:
            for name in [*_TABLES[::-1], "alembic_version"]:
                connection.exec_driver_sql(f"DROP TABLE {name}")
        yield database


_TABLES = [table.name for table in schema.metadata.sorted_tables]


def move(database: Database, to: str) -> None:
    with database.preparing() as connection:
        migrations.move(connection, to)


def fill(database: Database) -> None:
    """Write what a database of the first or second revision may hold."""
    if database.dialect.name == "sqlite":
        words = {"true": "1", "false": "0", "bytes": "X'00ff'"}
    else:
        words = {"true": "true", "false": "false", "bytes": "'\\x00ff'"}
    with database.writing() as connection:
        for row in ROWS:
            connection.exec_driver_sql(row.format(**words))


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def all_rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    with database.reading() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(table.select()))
            for table in schema.metadata.sorted_tables
        }


def shape_of(database: Database) -> object:
    """Everything that the engine knows of tables, columns, indexes and constraints."""
    with database.reading() as connection:
        return _sqlite_shape(connection) if database.dialect.name == "sqlite" else _postgresql_shape(connection)


def _sqlite_shape(connection: Connection) -> object:
    shape = {}
    tables = connection.exec_driver_sql("SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'")
    for name, *kept in tables.all():
        if not name.startswith("sqlite_"):
            columns, indexes, references = (
                [tuple(row) for row in connection.exec_driver_sql(f"PRAGMA {part}({name})")]
                for part in ("table_info", "index_list", "foreign_key_list")
            )
            # Which index was made first is a matter of chance.
            shape[name] = [tuple(kept), columns, sorted(row[1:] for row in indexes), references]
    made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name")
    return shape, [tuple(row) for row in made]


def _postgresql_shape(connection: Connection) -> object:
    queries = (
        """
        SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, ordinal_position
        """,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
        """,
    )
    return [[tuple(row) for row in connection.execute(text(query))] for query in queries]


def test_the_newest_migration_leads_to_todays_schema() -> None:
    assert migrations.revisions()[-1] == schema.REVISION


def test_all_steps_together_make_what_a_new_database_is(database: Database) -> None:
    move(database, schema.REVISION)
    made, kept = shape_of(database), all_rows(database)
    with database.preparing() as connection:
        for name in [*_TABLES[::-1], "alembic_version"]:
            connection.exec_driver_sql(f"DROP TABLE {name}")
        founding.found(connection)
    assert made == shape_of(database)
    assert kept == all_rows(database)


def test_alembic_finds_no_difference_to_the_schema(database: Database) -> None:
    move(database, schema.REVISION)
    with database.reading() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*expression")  # it cannot read those indexes of SQLite
        differences = compare_metadata(MigrationContext.configure(connection), schema.metadata)
    unread = {"users_by_username", "users_by_email"} if database.dialect.name == "sqlite" else set()
    assert [each for each in differences if getattr(each[1], "name", None) not in unread] == []


@pytest.mark.parametrize("revision", ["1", "2"])
def test_what_an_older_program_wrote_is_there(database: Database, empty_url: str, revision: str) -> None:
    move(database, revision)
    fill(database)
    tokens, ledger = rows(database, OLD_TOKENS), rows(database, LEDGER)

    with closing(Database.open(empty_url)) as opened:
        assert opened.revision() == schema.REVISION
        assert rows(opened, OLD_TOKENS) == tokens
        assert rows(opened, LEDGER) == ledger
        assert rows(opened, EVERYBODY) == [
            ("u1", "ann", "active", "none", '["owner"]', 5, 5),
            ("u2", "bob", "active", "none", "[]", 6, 6),
        ]
        organization = str(DEFAULT_ORGANIZATION)
        assert rows(opened, MEMBERS) == [(organization, "u1", "[]"), (organization, "u2", "[]")]
        kinds = rows(opened, 'SELECT organization_id, kind, priority, scopes, "only" FROM tokens')
        assert kinds == [(organization, "token", "interactive", None, None)] * 2
        assert rows(opened, "SELECT value FROM facts WHERE name = 'changes'") == [(7,)]


def test_names_that_differ_in_case_alone_do_not_keep_an_old_database_from_being_opened(
    database: Database, empty_url: str
) -> None:
    move(database, "2")
    long = "x" * 64
    users = [("u1aaaaaaaaaa", "Bob", 5), ("u2aaaaaaaaaa", "bob", 6), ("u3aaaaaaaaaa", "BOB", 6), ("u4", long, 1)]
    with database.preparing() as connection:
        for user, name, at in [*users, ("u5aaaaaaaaaa", long.upper(), 2)]:
            connection.execute(
                text("INSERT INTO users (id, username, is_owner, created_at) VALUES (:id, :name, :owner, :at)"),
                {"id": user, "name": name, "owner": False, "at": at},
            )
    with closing(Database.open(empty_url)) as opened:
        assert rows(opened, "SELECT id, username FROM users ORDER BY id") == [
            ("u1aaaaaaaaaa", "Bob"),
            ("u2aaaaaaaaaa", "bob-u2aaaaaa"),
            ("u3aaaaaaaaaa", "BOB-u3aaaaaa"),
            ("u4", long),
            ("u5aaaaaaaaaa", f"{'X' * 55}-u5aaaaaa"),
        ]


def test_a_database_goes_down_and_up_again_with_all_that_fits(database: Database) -> None:
    move(database, "1")
    shapes = {"1": shape_of(database)}
    fill(database)
    kept = [rows(database, query) for query in (OLD_TOKENS, LEDGER, "SELECT * FROM users ORDER BY id", FACTS)]
    for revision in ("2", "3"):
        move(database, revision)
        shapes[revision] = shape_of(database)
    for revision in ("2", "1", "3", "1", "2", "1"):
        move(database, revision)
        assert shape_of(database) == shapes[revision]
        assert database.revision() == revision
    assert [rows(database, query) for query in (OLD_TOKENS, LEDGER, "SELECT * FROM users ORDER BY id", FACTS)] == kept


def test_on_the_way_down_no_token_comes_to_more_than_it_was_for(database: Database) -> None:
    move(database, schema.REVISION)
    with database.writing() as connection:
        for user, status, deleted in (("ann", "active", None), ("sam", "suspended", None), ("del", "active", 5)):
            at = {"created_at": 1, "updated_at": 1, "deleted_at": deleted}
            of = {"status": status, "login_type": "none", "roles": '["owner"]'}
            connection.execute(schema.users.insert(), {"id": user, "username": user, "name": "", **of, **at})
            for token, bounds in (
                ("free", {}),
                ("scoped", {"scopes": '["x"]'}),
                ("bound", {"only": '["x"]'}),
                ("session", {"kind": "session"}),
            ):
                row = {"id": f"{user}-{token}", "user_id": user, "organization_id": str(DEFAULT_ORGANIZATION)}
                rest = {"kind": "token", "name": token, "digest": b"", "last_four": "", "created_at": 1}
                connection.execute(schema.tokens.insert().values(row | rest | bounds))
    move(database, "2")
    assert sorted(rows(database, "SELECT username, is_owner FROM users")) == [("ann", True), ("sam", True)]
    assert rows(database, "SELECT id FROM tokens") == [("ann-free",)]


@pytest.mark.parametrize("revision", ["1", "2"])
def test_an_interrupted_step_leaves_the_database_as_it_was(database: Database, empty_url: str, revision: str) -> None:
    move(database, revision)
    fill(database)
    with database.preparing() as connection:
        connection.exec_driver_sql("CREATE TABLE audit_log (x INTEGER)")  # what the last step is about to make
    before = shape_of(database)
    with pytest.raises(DatabaseUnavailable, match="audit_log") as failed:
        Database.open(empty_url)
    assert isinstance(failed.value.__cause__, DBAPIError)
    assert (shape_of(database), database.revision()) == (before, revision)
    assert len(rows(database, OLD_TOKENS)) == 2
    with database.preparing() as connection:
        connection.exec_driver_sql("DROP TABLE audit_log")
    Database.open(empty_url).close()
    assert database.revision() == schema.REVISION


def test_those_who_open_an_old_database_at_once_upgrade_it_once(database: Database, empty_url: str) -> None:
    move(database, "1")
    fill(database)
    together = threading.Barrier(4)
    failures: list[Exception] = []

    def start() -> None:
        together.wait()
        try:
            Database.open(empty_url).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert database.revision() == schema.REVISION
    assert len(rows(database, EVERYBODY)) == 2


@pytest.mark.parametrize("name", ["41", "c0ffee"])
def test_a_newer_database_is_left_alone_and_both_revisions_are_named(
    database: Database, empty_url: str, name: str
) -> None:
    move(database, schema.REVISION)
    with database.writing() as connection:
        connection.execute(founding.REVISIONS.update().values(version_num=name))
    before = shape_of(database)
    with pytest.raises(DatabaseTooNew, match=rf"revision {name}, .* up to {schema.REVISION}"):
        Database.open(empty_url)
    assert (shape_of(database), database.revision()) == (before, name)


def test_there_is_no_other_revision(database: Database) -> None:
    with pytest.raises(ValueError, match=r"no schema revision '4'; there are 1, 2, 3"):
        move(database, "4")


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The database of a program that knew no migrations, still open there."""
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "aibridge.db", isolation_level=None)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(BY_HAND)
        for row in ROWS:
            old.execute(row.format(true="1", false="0", bytes="X'00ff'"))
        yield old


@pytest.mark.parametrize("more", ["", SECOND_BY_HAND])
def test_a_database_from_before_there_were_migrations_becomes_one_of_today(
    by_hand: sqlite3.Connection, tmp_path: Path, more: str
) -> None:
    by_hand.executescript(more)
    with closing(Database.open(url_of(tmp_path))) as database:
        Database.open(f"sqlite:///{tmp_path}/new.db").close()
        with closing(Database.open(f"sqlite:///{tmp_path}/new.db")) as new:
            assert shape_of(database) == shape_of(new)
        assert [row[0] for row in rows(database, EVERYBODY)] == ["u1", "u2"]


def test_a_program_from_before_there_were_migrations_leaves_todays_database_alone(
    by_hand: sqlite3.Connection, tmp_path: Path
) -> None:
    looked_at = "SELECT value FROM facts WHERE name = 'schema_version'"
    with closing(Database.open(url_of(tmp_path))) as upgraded, closing(Database.open(f"{url_of(tmp_path)}2")) as new:
        assert rows(upgraded, looked_at) == rows(new, looked_at) == [(3,)]  # of which it knows 2


def test_it_can_upgrade_by_hand_what_was_taken_back_for_it(by_hand: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        move(database, "1")
    by_hand.executescript(SECOND_BY_HAND)
    with closing(Database.open(url_of(tmp_path))) as database:
        assert database.revision() == schema.REVISION
        assert len(rows(database, OLD_TOKENS)) == 2


def test_an_older_program_that_has_it_open_goes_on_recording_calls(by_hand: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        by_hand.execute(ROWS[3].replace("'i1'", "'i2'"))
        LedgerSink(database).write([a_start("i2")], [an_ending("i2")])
        assert rows(database, "SELECT id, model, http_status FROM interceptions WHERE id = 'i2'") == [("i2", "m", 200)]


def test_neither_the_first_start_nor_the_second_waits_for_alembic(tmp_path: Path) -> None:
    code = "import sys; from aibridge.store.database import Database; Database.open(sys.argv[1]); print(*sys.modules)"
    for _ in range(2):
        command = [sys.executable, "-c", code, url_of(tmp_path)]
        loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        unwanted = ("alembic", "sqlalchemy.orm", "sqlalchemy.ext", "sqlalchemy.dialects.postgresql", "psycopg")
        assert [name for name in loaded if name in unwanted] == []
