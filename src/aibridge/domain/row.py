"""A recorded call as rows: plain values in a fixed order, which the journal writes and the database takes as they are.

Made once, on the event loop; whoever hands them on names no value and converts none. Absent text is empty.
"""

from typing import Final, TypeAlias

import msgspec

from aibridge.domain.interception import Ending, Interception

Start: TypeAlias = tuple[str, str, str, str, str, str, int, str, str, str, int]
"""The values of an `Interception`; whether it is streaming is 0 or 1."""
Outcome: TypeAlias = tuple[str, int | None, str, int | None, int, str]
"""status, http_status, error, first_byte_at, ended_at and response_id of an `Ending`."""
Use: TypeAlias = tuple[str, int, int, int, int, str, str]
"""The interception's id, the four counts of its `Usage`, `extra` as text in JSON, and the usage's source."""
End: TypeAlias = tuple[str, Outcome, Use | None]
"""The interception's id, how it ended, and what it used where that is known."""

_NOTHING: Final = "{}"
_ENCODER: Final = msgspec.json.Encoder()


def start_of(interception: Interception) -> Start:
    """How an interception began, as a row."""
    return (
        interception.id,
        interception.actor_id,
        interception.token_id,
        interception.provider,
        interception.route,
        interception.model,
        +interception.streaming,
        interception.client,
        interception.session_id or "",
        interception.user_agent,
        interception.started_at,
    )


def end_of(ending: Ending) -> End:
    """How an interception ended, as rows."""
    outcome = (
        str(ending.status),
        ending.http_status,
        ending.error or "",
        ending.first_byte_at,
        ending.ended_at,
        ending.response_id or "",
    )
    usage = ending.usage
    if usage is None:
        return ending.id, outcome, None
    use = (
        ending.id,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        _ENCODER.encode(usage.extra).decode() if usage.extra else _NOTHING,
        str(ending.usage_source),
    )
    return ending.id, outcome, use
