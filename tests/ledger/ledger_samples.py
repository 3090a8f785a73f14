"""Records, disks and sinks for the tests of the ledger."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.row import End, Start, end_of, start_of
from aibridge.domain.usage import Usage, UsageSource
from aibridge.ledger import entry, segments
from aibridge.ledger.journal import Journal

NOW = 1_767_225_600_000_000
Record: TypeAlias = Start | End

EARLIER_START = (
    b'84bebc5c {"type":"started","interception":{"id":"a","actor_id":"8c9b6f0e","token_id":"f3a1",'
    b'"provider":"anthropic","route":"/v1/messages","model":"claude-sonnet-4-5","streaming":true,"client":'
    b'"Claude Code","session_id":null,"user_agent":"claude-cli/2.0 (external, \\"cli\\") \xc3\xbcn\xc3\xafcode\\n",'
    b'"started_at":1767225600000000}}\n'
)
EARLIER_END = (
    b'35ac50c5 {"type":"ended","ending":{"id":"a","status":"completed","http_status":200,"error":null,'
    b'"first_byte_at":1767225600300000,"ended_at":1767225609000000,"response_id":"msg_01","usage":{"input_tokens":12,'
    b'"output_tokens":345,"cache_read_input_tokens":0,"cache_write_input_tokens":0,"extra":{"output_reasoning":6}},'
    b'"usage_source":"provider"}}\n'
)
"""The lines that an earlier version wrote for the start and the ending of `a`."""


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


def started(name: str) -> Start:
    return start_of(interception(name))


def ended(name: str) -> End:
    return end_of(ending(name))


def line(*records: Record) -> bytes:
    """One line that holds the records."""
    return entry.encode([each for each in records if len(each) != 3], [each for each in records if len(each) == 3])


def names_of(records: Sequence[Record]) -> list[str]:
    return [name for name, *_ in records]


def begin(ledger: Journal, *names: str) -> bool:
    return ledger.write([interception(name) for name in names], [])


def end(ledger: Journal, *names: str) -> bool:
    return ledger.write([], [ending(name) for name in names])


def write(directory: Path, *names: str, segment_bytes: int = 1 << 20) -> None:
    ledger = Journal.open(directory, now=NOW, segment_bytes=segment_bytes)
    for name in names:
        begin(ledger, name)
        end(ledger, name)
        ledger.sync()
    ledger.close()


def records_in(directory: Path) -> list[Record]:
    """Everything that can be read from all segments, in order."""
    found: list[Record] = []
    for number in segments.numbers(directory):
        for each in segments.path_of(directory, number).read_bytes().splitlines(keepends=True):
            reading = entry.read(each)
            found += [*reading.started, *reading.ended]
    return found


def endings_in(directory: Path) -> list[End]:
    """The endings among them."""
    return [record for record in records_in(directory) if len(record) == 3]


class MemorySink:
    """Keeps every batch; refuses while `trouble` is set."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.batches: list[tuple[list[Start], list[End]]] = []

    def write_rows(self, started: Sequence[Start], ended: Sequence[End]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.batches.append((list(started), list(ended)))

    @property
    def started(self) -> list[str]:
        return [name for batch, _ in self.batches for name in names_of(batch)]

    @property
    def ended(self) -> list[str]:
        return [name for _, batch in self.batches for name in names_of(batch)]


class SqliteSink:
    """A database as the store would keep it, in miniature. Usage is in a table without a key, so doubling shows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with sqlite3.connect(path) as database:
            database.execute("pragma journal_mode = wal")
            database.execute("create table if not exists interceptions (id text primary key, status text)")
            database.execute("create table if not exists usages (id text, output_tokens integer)")
        database.close()

    def write_rows(self, started: Sequence[Start], ended: Sequence[End]) -> None:
        with sqlite3.connect(self._path) as database:
            database.execute("pragma synchronous = off")  # survives a killed process, and no power is cut here
            database.executemany(
                "insert or ignore into interceptions (id) values (?)", [(name,) for name in names_of(started)]
            )
            for name, (status, *_), use in ended:
                first = database.execute(
                    "update interceptions set status = ? where id = ? and status is null", (status, name)
                ).rowcount
                if first and use is not None:
                    database.execute("insert into usages values (?, ?)", (name, use[2]))
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
