"""Records to ship, a shipping process to watch, and what a database has in the end."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.ledger.journal import Journal
from aibridge.server.shipping import Shipping

NOW = 1_767_225_600_000_000
PATIENCE = 20.0


def interception(name: str) -> Interception:
    return Interception(
        id=name,
        actor_id="u1",
        token_id="t1",
        provider="openai",
        route="/v1/responses",
        model="gpt-6",
        streaming=False,
        client="Codex",
        session_id=None,
        user_agent="codex/1.0",
        started_at=NOW,
    )


def ending(name: str) -> Ending:
    return Ending(
        id=name,
        status=Status.COMPLETED,
        http_status=200,
        ended_at=NOW + 1,
        usage=Usage(input_tokens=1),
        usage_source=UsageSource.PROVIDER,
    )


def statuses(database: Path) -> dict[str, str | None]:
    """The status of every interception there; each that is completed has its usage, and no other has."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        if not connection.execute("select 1 from sqlite_master where name = 'token_usages'").fetchone():
            return {}
        found = dict(connection.execute("select id, status from interceptions").fetchall())
        used = [name for (name,) in connection.execute("select interception_id from token_usages")]
    assert sorted(used) == sorted(name for name, status in found.items() if status == "completed")
    return found


async def eventually(fact: Callable[[], bool]) -> None:
    """Wait for another process to make it true."""
    until = time.monotonic() + PATIENCE
    for _ in iter(fact, True):
        assert time.monotonic() < until
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def shipped(tmp_path: Path) -> AsyncIterator[tuple[Journal, Shipping]]:
    """A journal, and the process that ships it into a database beside it."""
    parent = Shipping(tmp_path / "journal", f"sqlite:///{tmp_path}/secret.db")
    journal = Journal.open(tmp_path / "journal", now=NOW, notify=parent.notify)
    parent.start()
    try:
        yield journal, parent
    finally:
        await parent.stop()
        journal.close()


def record(journal: Journal, *names: str) -> None:
    for name in names:
        assert journal.write([interception(name)], [ending(name)])


def pid_of(parent: Shipping) -> int:
    assert parent._process is not None
    return parent._process.pid


async def started(parent: Shipping) -> bool:
    await eventually(lambda: parent._process is not None)
    return True


def runs(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False
