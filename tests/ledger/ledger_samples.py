"""Records, disks and sinks for the tests of the ledger."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.ledger import entry, segments
from aibridge.ledger.entry import Ended, Entry, Started
from aibridge.ledger.journal import Journal

NOW = 1_767_225_600_000_000


def interception(name: str, **changes: object) -> Interception:
    known: dict[str, object] = {
        "id": name,
        "actor_id": "8c9b6f0e",
        "token_id": "f3a1",
        "provider": "anthropic",
        "route": "/v1/messages",
        "model": "claude-sonnet-4-5",
        "streaming": True,
        "client": "Claude Code",
        "session_id": None,
        "user_agent": 'claude-cli/2.0 (external, "cli") ünïcode\n',
        "started_at": NOW,
    }
    return Interception(**(known | changes))  # type: ignore[arg-type]


def ending(name: str, status: Status = Status.COMPLETED) -> Ending:
    return Ending(
        id=name,
        status=status,
        http_status=200,
        first_byte_at=NOW + 300_000,
        ended_at=NOW + 9_000_000,
        response_id="msg_01",
        usage=Usage(input_tokens=12, output_tokens=345, extra={"output_reasoning": 6}),
        usage_source=UsageSource.PROVIDER,
    )


def started(name: str) -> Started:
    return Started(interception=interception(name))


def ended(name: str) -> Ended:
    return Ended(ending=ending(name))


def name_of(record: Entry) -> str:
    return record.interception.id if isinstance(record, Started) else record.ending.id


def write(directory: Path, *names: str, segment_bytes: int = 1 << 20) -> None:
    ledger = Journal.open(directory, now=NOW, segment_bytes=segment_bytes)
    for name in names:
        ledger.begin(interception(name))
        ledger.end(ending(name))
        ledger.sync()
    ledger.close()


def records_in(directory: Path) -> list[Entry]:
    """Everything that can be read from all segments, in order."""
    found: list[Entry] = []
    for number in segments.numbers(directory):
        found += entry.read(segments.path_of(directory, number).read_bytes()).entries
    return found


class MemorySink:
    """Keeps every batch; refuses while `trouble` is set."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.batches: list[tuple[list[Interception], list[Ending]]] = []

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.batches.append((list(started), list(ended)))

    @property
    def started(self) -> list[str]:
        return [each.id for batch, _ in self.batches for each in batch]

    @property
    def ended(self) -> list[str]:
        return [each.id for _, batch in self.batches for each in batch]


class SqliteSink:
    """A database as the store would keep it, in miniature. Usage is in a table without a key, so doubling shows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with sqlite3.connect(path) as database:
            database.execute("pragma journal_mode = wal")
            database.execute("create table if not exists interceptions (id text primary key, status text)")
            database.execute("create table if not exists usages (id text, output_tokens integer)")
        database.close()

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> None:
        with sqlite3.connect(self._path) as database:
            database.execute("pragma synchronous = off")  # survives a killed process, and no power is cut here
            database.executemany(
                "insert or ignore into interceptions (id) values (?)", [(each.id,) for each in started]
            )
            for each in ended:
                first = database.execute(
                    "update interceptions set status = ? where id = ? and status is null", (each.status, each.id)
                ).rowcount
                if first and each.usage is not None:
                    database.execute("insert into usages values (?, ?)", (each.id, each.usage.output_tokens))
        database.close()

    def statuses(self) -> dict[str, str | None]:
        with sqlite3.connect(self._path) as database:
            found = dict(database.execute("select id, status from interceptions").fetchall())
        database.close()
        return found

    def usages(self) -> list[str]:
        with sqlite3.connect(self._path) as database:
            found = [name for (name,) in database.execute("select id from usages order by id")]
        database.close()
        return found
