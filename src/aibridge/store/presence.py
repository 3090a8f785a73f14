"""When tokens were last used and people last seen, and what follows. Instants are UTC microseconds."""

from collections.abc import Mapping, Sequence

from aibridge.store import sessions, tokens
from aibridge.store.database import Database
from aibridge.store.sightings import fall_dormant, seen

DORMANT_AFTER = 90 * 86_400_000_000
"""A quarter without a sign of life, in microseconds."""
SESSIONS_KEPT = 400 * 86_400_000_000
"""A little more than a year, in microseconds: whose calls those with a session were is known by its row alone."""


def used(
    database: Database, uses: Sequence[tuple[str, int]], users: Mapping[str, int], *, session_duration: float
) -> None:
    """Note when tokens were used and by whom, and let sessions among them go on for `session_duration` seconds.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    if not uses:
        return
    with database.writing() as connection:
        tokens.mark_used(connection, uses)
        seen(connection, users.items())
        sessions.slide(connection, uses, session_duration)


def tidy(database: Database, now: int) -> None:
    """Delete sessions that ended `SESSIONS_KEPT` ago, and let fall dormant who was not seen for `DORMANT_AFTER`.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
    """
    with database.writing() as connection:
        sessions.sweep(connection, now - SESSIONS_KEPT)
        fall_dormant(connection, now - DORMANT_AFTER, now)
