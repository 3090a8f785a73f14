"""A recorded call as rows: plain values in a fixed order, which the journal writes and the database takes as they are.

Made once, on the event loop; whoever hands them on names no value and converts none. Absent text is empty.
"""

from typing import Final, TypeAlias

import msgspec
from msgspec.structs import astuple

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
    name, actor, token, provider, route, model, streaming, client, session, agent, started_at = astuple(interception)
    return name, actor, token, provider, route, model, +streaming, client, session or "", agent, started_at


def end_of(ending: Ending) -> End:
    """How an interception ended, as rows."""
    name, status, http_status, error, first_byte_at, ended_at, response_id, usage, source = astuple(ending)
    outcome = str(status), http_status, error or "", first_byte_at, ended_at, response_id or ""
    if usage is None:
        return name, outcome, None
    read, written, cache_read, cache_written, extra = astuple(usage)
    kinds = _ENCODER.encode(extra).decode() if extra else _NOTHING
    return name, outcome, (name, read, written, cache_read, cache_written, kinds, str(source))
