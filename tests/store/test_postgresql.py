"""What PostgreSQL has to be asked for: one writer, bounds to every wait, and a restart of it that costs nothing."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from store_samples import a_start, an_ending, page

from aibridge.domain.interception import Status
from aibridge.domain.row import end_of
from aibridge.domain.usage import UsageSource
from aibridge.store import changes, postgresql, schema
from aibridge.store.database import Database, DatabaseUnavailable
from aibridge.store.interceptions import Query
from aibridge.store.sink import LedgerSink

if TYPE_CHECKING:
    from postgres import Postgres

pytestmark = pytest.mark.xdist_group("postgres")
COUNT = select(schema.facts.c.value).where(schema.facts.c.name == "changes")


@pytest.fixture
def url(postgres: "Postgres") -> Iterator[str]:
    with postgres.shared() as url:
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database.open(url)) as database:
        yield database


@pytest.fixture
def hasty(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """One that waits for nobody longer than 50 ms."""
    monkeypatch.setattr("aibridge.store.database.BUSY_TIMEOUT", 0.05)
    with closing(Database.open(url)) as database:
        yield database


def setting(database: Database, name: str) -> Any:
    with database.reading() as connection:
        return connection.execute(text(f"SHOW {name}")).scalar_one()


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_it_is_known_by_its_usual_names(url: str, scheme: str) -> None:
    with closing(Database.open(url.replace("postgresql", scheme, 1))) as database:
        assert changes.version(database) == 0


def test_every_wait_has_a_bound(database: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "application_name")
    assert [setting(database, name) for name in names] == ["30s", "5s", "1min", "aibridge"]
    with database.preparing() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"
    assert setting(database, "statement_timeout") == "30s"


def test_what_the_url_says_of_the_connection_counts(url: str) -> None:
    with closing(Database.open(f"{url}&application_name=mine&connect_timeout=2")) as database:
        assert setting(database, "application_name") == "mine"


def test_a_reading_transaction_may_not_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="read-only transaction"), database.reading() as connection:
        connection.execute(schema.facts.delete())
    assert changes.version(database) == 0


def test_only_writers_wait_for_a_writer_and_only_so_long(database: Database, hasty: Database) -> None:
    with database.writing():
        with pytest.raises(DatabaseUnavailable, match="lock timeout"), hasty.writing():
            pass
        assert changes.version(hasty) == 0
        LedgerSink(hasty).write([a_start()], [an_ending()])
    with hasty.writing() as connection:
        changes.note(connection)
    assert changes.version(database) == 1
    assert page(database, Query()).count == 1


def test_a_busy_pool_is_unavailable(hasty: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="QueuePool limit"):
        _hold_and_ask(hasty, 16)


def _hold_and_ask(database: Database, connections: int) -> None:
    if connections:
        with database.reading() as connection:
            connection.execute(COUNT)
            _hold_and_ask(database, connections - 1)


def test_a_killed_server_is_unavailable_and_a_restarted_one_costs_no_call(
    postgres: "Postgres", database: Database
) -> None:
    def lose_a_change() -> None:
        with database.writing() as connection:
            changes.note(connection)
            postgres.kill()
            connection.execute(COUNT)

    with database.writing() as connection:
        changes.note(connection)
    try:
        with pytest.raises(DatabaseUnavailable):
            lose_a_change()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="connection"):
                changes.version(database)
    finally:
        postgres.start()
    assert changes.version(database) == 1


def test_connections_that_were_ended_behind_our_back_cost_no_call(postgres: "Postgres", database: Database) -> None:
    with database.reading() as first, database.reading() as second:
        first.execute(COUNT)
        second.execute(COUNT)
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shared'")
    with database.reading() as first, database.reading() as second:
        assert first.execute(COUNT).scalar_one() == second.execute(COUNT).scalar_one() == 0


def test_a_mistake_of_ours_is_no_trouble_of_the_databases(database: Database) -> None:
    with pytest.raises(ProgrammingError), database.reading() as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))


def test_what_somebody_elses_database_has_in_it_is_told(postgres: "Postgres") -> None:
    url = postgres.new()
    name = url.partition("@/")[2].partition("?")[0]
    postgres.execute("CREATE TABLE users (x integer)", name)
    with pytest.raises(DatabaseUnavailable, match='relation "users" already exists'):
        Database.open(url)
    assert postgres.execute("SELECT relname FROM pg_class WHERE relname = 'facts'", name) == []
    postgres.drop(url)


def test_no_message_shows_a_secret(
    postgres: "Postgres", url: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = url.replace("//postgres@", "//nobody:hunter2@") + "&sslpassword=hunter2"
    with pytest.raises(DatabaseUnavailable, match="nobody") as failed:
        Database.open(wrong)
    with pytest.raises(DBAPIError) as refused, database.writing() as connection:
        connection.execute(schema.facts.insert().values(name="changes", value=4711))
    with closing(Database.open(f"{url}&password=hunter2")) as opened:
        assert str(opened) == "postgresql:///shared"
    shown = f"{failed.value!r} {failed.value.__cause__!r} {refused.value} {caplog.text}"
    assert "hunter2" not in shown
    assert "4711" not in shown


def test_a_missing_driver_is_told_with_what_to_install() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from aibridge.store.database import Database
try:
    Database.open("postgresql://ann@host/database")
except ValueError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'aibridge[postgres]'" in told


def test_of_two_that_end_a_call_at_once_the_first_counts_as_a_whole(
    postgres: "Postgres", url: str, database: Database
) -> None:
    LedgerSink(database).write([a_start()], [])
    first = an_ending(status=Status.INTERRUPTED, usage=None, usage_source=UsageSource.UNKNOWN)

    def end_it_as_well() -> None:
        with closing(Database.open(url)) as other, other.appending() as connection:
            LedgerSink(other)._write_any(connection, {}, {"a": end_of(an_ending())})

    second = threading.Thread(target=end_it_as_well)
    with database.appending() as connection:
        LedgerSink(database)._write_any(connection, {}, {"a": end_of(first)})
        second.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = 'shared' AND wait_event_type = 'Lock'"
        while not postgres.execute(waiting):
            assert second.is_alive()
    second.join()
    (record,) = page(database, Query()).records
    assert record.ending == first
    with database.reading() as connection:
        assert connection.execute(select(schema.token_usages)).all() == []


def test_processes_that_ship_the_same_at_once_store_it_once(url: str, database: Database) -> None:
    names = [f"{number:03}" for number in range(50)]
    batches = [names[start : start + 5] for start in range(0, len(names), 5)]
    together = threading.Barrier(4)
    failures: list[Exception] = []

    def ship() -> None:
        with closing(Database.open(url)) as mine:
            sink = LedgerSink(mine)
            together.wait()
            try:
                for batch in batches:
                    sink.write([a_start(name) for name in batch], [an_ending(name) for name in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                failures.append(error)

    threads = [threading.Thread(target=ship) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [record.ending for record in page(database, Query()).records] == [an_ending(name) for name in names[::-1]]


def test_writers_are_known_by_one_lock(database: Database) -> None:
    held = text("SELECT objid FROM pg_locks WHERE locktype = 'advisory'")
    with database.writing() as connection:
        assert connection.execute(held).all() == [(postgresql.WRITERS & 0xFFFFFFFF,)]
    with database.reading() as connection:
        assert connection.execute(held).all() == []
