"""How many users made calls, by the days of a zone, with each engine."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import a_start

from aibridge.domain.interception_id import interception_id
from aibridge.store import schema, usage
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink

HOUR = 3_600_000_000
DAY = 24 * HOUR
MIDNIGHT = 1_790_035_200_000_000
"""2026-09-22, 00:00:00 UTC."""


def calls(database: Database, *made: tuple[str, int]) -> None:
    """Record calls: of whom, and when."""
    LedgerSink(database).write(
        [a_start(interception_id(at, number), actor_id=who, started_at=at) for number, (who, at) in enumerate(made)],
        [],
    )


def active(
    database: Database, since: int = MIDNIGHT - 9 * DAY, until: int = MIDNIGHT + 9 * DAY, offset: int = 0
) -> list[tuple[str, int]]:
    with database.reading() as connection:
        return usage.daily_active_users(connection, since, until, offset)


def test_without_calls_there_is_no_day(database: Database) -> None:
    assert active(database) == []


def test_who_calls_often_on_a_day_is_one_user_of_it(database: Database) -> None:
    calls(database, ("ann", MIDNIGHT), ("ann", MIDNIGHT + HOUR), ("bob", MIDNIGHT + 2), ("ann", MIDNIGHT + DAY))
    assert active(database) == [("2026-09-22", 2), ("2026-09-23", 1)]


def test_days_begin_at_midnight_and_end_a_microsecond_before_the_next(database: Database) -> None:
    calls(database, ("ann", MIDNIGHT - 1), ("bob", MIDNIGHT), ("cid", MIDNIGHT + DAY - 1), ("dan", MIDNIGHT + DAY))
    assert active(database) == [("2026-09-21", 1), ("2026-09-22", 2), ("2026-09-23", 1)]


@pytest.mark.parametrize(
    ("offset", "days"),
    [
        (2, [("2026-09-22", 1), ("2026-09-23", 1)]),
        (1, [("2026-09-22", 2)]),
        (0, [("2026-09-22", 2)]),
        (-1, [("2026-09-21", 1), ("2026-09-22", 1)]),
        (14, [("2026-09-22", 1), ("2026-09-23", 1)]),
        (-12, [("2026-09-21", 1), ("2026-09-22", 1)]),
    ],
)
def test_days_are_those_of_the_zone(database: Database, offset: int, days: list[tuple[str, int]]) -> None:
    calls(database, ("ann", MIDNIGHT + HOUR - 1), ("bob", MIDNIGHT + 23 * HOUR - 1))
    assert active(database, offset=offset) == days


def test_both_bounds_are_included_and_nothing_beyond_them(database: Database) -> None:
    calls(database, *((name, MIDNIGHT + at) for name, at in (("a", -1), ("b", 0), ("c", 5), ("d", 6))))
    assert active(database, since=MIDNIGHT, until=MIDNIGHT + 5) == [("2026-09-22", 2)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4 * DAY)), max_size=20),
    offset=st.integers(-12, 14),
)
def test_days_are_as_a_calendar_has_them(database: Database, made: list[tuple[str, int]], offset: int) -> None:
    with database.writing() as connection:
        connection.execute(schema.interceptions.delete())
    calls(database, *((who, MIDNIGHT + at) for who, at in made))
    days: dict[str, set[str]] = {}
    for who, at in made:
        seconds = (MIDNIGHT + at + offset * HOUR) // 1_000_000
        days.setdefault(datetime.fromtimestamp(seconds, UTC).date().isoformat(), set()).add(who)
    assert active(database, offset=offset) == [(day, len(days[day])) for day in sorted(days)]
