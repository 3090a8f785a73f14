"""A database that is locked: calls are served from memory, the journal holds their records, and they arrive later."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from server.asking import CHAT, MESSAGES, ask
from server.life import serving

LOCKED = 3.0
"""Seconds for which the database is away."""
PROMPTLY = 1.0
"""Seconds within which every call is answered meanwhile."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Nobody else can write to the database within the block."""
    with closing(sqlite3.connect(data_dir / "aibridge.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


def test_calls_are_served_while_the_database_is_locked_and_recorded_afterwards(tmp_path: Path) -> None:
    statuses, durations = [], []
    with serving(tmp_path / "data") as server:
        with locked(server.data_dir):
            since = time.monotonic()
            while time.monotonic() - since < LOCKED:
                begun = time.monotonic()
                statuses.append(ask(server.url, CHAT, token=server.token, model="demo?latency=0.05").status)
                durations.append(time.monotonic() - begun)
            waiting = server.metric("journal_lag_records")
            ready = ask(server.url, "/readyz").status
        records = server.interceptions(len(statuses), limit="1000")

    assert {*statuses} == {200}
    assert max(durations) < PROMPTLY
    assert waiting > 0
    assert ready == 200
    assert {record["status"] for record in records} == {"completed"}


def test_a_server_that_stops_while_the_database_is_locked_leaves_the_records_for_the_next(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        token = server.token
        with locked(server.data_dir):
            answered = ask(server.url, MESSAGES, token=token, model="demo").status
            server.kill()
    with serving(tmp_path / "data", token=token) as server:
        (record,) = server.interceptions(1)

    assert answered == 200
    assert record["status"] == "completed"
