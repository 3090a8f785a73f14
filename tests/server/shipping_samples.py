"""Records to ship, and what a database has of them."""

import contextlib
import sqlite3
from pathlib import Path

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource

NOW = 1_767_225_600_000_000


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
