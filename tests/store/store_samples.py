"""Records to store, complete and valid unless a test says otherwise."""

from pathlib import Path
from typing import Any

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.store import interceptions
from aibridge.store.database import Database
from aibridge.store.interceptions import Page, Query

NOW = 1_790_000_000_000_000
MINUTE = 60_000_000


def url_of(directory: Path) -> str:
    return f"sqlite:///{directory / 'data' / 'aibridge.db'}"


def a_start(name: str = "a", **changes: Any) -> Interception:
    values: dict[str, Any] = {
        "id": name,
        "actor_id": "u1",
        "token_id": "t1",
        "provider": "anthropic",
        "route": "/v1/messages",
        "model": "claude-sonnet-5",
        "streaming": True,
        "client": "Claude Code",
        "session_id": "s1",
        "user_agent": "claude-cli/2.1",
        "started_at": NOW,
    }
    return Interception(**values | changes)


def an_ending(name: str = "a", **changes: Any) -> Ending:
    values: dict[str, Any] = {
        "id": name,
        "status": Status.COMPLETED,
        "http_status": 200,
        "first_byte_at": NOW + 100,
        "ended_at": NOW + 200,
        "response_id": "msg_1",
        "usage": Usage(
            input_tokens=5,
            output_tokens=7,
            cache_read_input_tokens=11,
            cache_write_input_tokens=13,
            extra={"cache_ephemeral_1h_input": 13},
        ),
        "usage_source": UsageSource.PROVIDER,
    }
    return Ending(**values | changes)


def page(database: Database, query: Query) -> Page:
    """List interceptions, in a transaction of its own."""
    with database.reading() as connection:
        return interceptions.page(connection, query)
