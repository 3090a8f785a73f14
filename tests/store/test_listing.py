"""Interceptions as they are read: who sees what, in which order, page by page."""

from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import person
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor
from store_samples import NOW, a_start, an_ending, page, url_of

from aibridge.domain.interception import Interception
from aibridge.domain.interception_id import interception_id
from aibridge.store import interceptions, users
from aibridge.store.database import Database
from aibridge.store.interceptions import Query
from aibridge.store.sink import LedgerSink
from aibridge.store.users import User


def ids(database: Database, **query: Any) -> list[str]:
    found = page(database, Query(**query))
    return [record.interception.id for record in found.records]


def store(database: Database, *starts: Interception) -> None:
    LedgerSink(database).write(starts, [an_ending(start.id) for start in starts])


@pytest.fixture
def ann(database: Database) -> User:
    return person(database, "ann", now=NOW)


def test_the_newest_come_first_as_their_ids_tell(database: Database) -> None:
    instants = [NOW, NOW + 2_000, NOW - 50_000_000, NOW + 1_000]
    store(database, *(a_start(interception_id(instant, 0), started_at=instant) for instant in instants))
    listed = page(database, Query()).records
    assert [record.interception.started_at for record in listed] == sorted(instants, reverse=True)


@given(
    started=st.integers(0, 2**47 * 1000), after=st.integers(-(2**55), 2**47 * 1000), chance=st.integers(0, 2**74 - 1)
)
def test_no_id_is_before_the_bound_that_its_instant_is_not_before(started: int, after: int, chance: int) -> None:
    if started >= after:
        assert interception_id(started, chance) >= interceptions.earliest_id(after)


def test_a_listing_since_an_instant_has_what_began_at_it(database: Database) -> None:
    instants = [NOW - 1, NOW, NOW + 1]
    store(database, *(a_start(interception_id(instant, instant % 5), started_at=instant) for instant in instants))
    for count, instant in enumerate([NOW + 2, NOW + 1, NOW, NOW - 1]):
        assert page(database, Query(started_after=instant)).count == count
    assert page(database, Query(started_after=-(10**17))).count == 3


def test_each_filter_keeps_what_equals_it(database: Database) -> None:
    store(
        database,
        a_start("a", provider="openai", started_at=NOW),
        a_start("b", model="gpt-6", started_at=NOW + 1),
        a_start("c", client="Codex", started_at=NOW + 2),
    )
    assert ids(database, provider="openai") == ["a"]
    assert ids(database, model="gpt-6") == ["b"]
    assert ids(database, client="Codex") == ["c"]
    assert ids(database, client="Code") == []
    assert ids(database, started_after=NOW + 1) == ["c", "b"]
    assert ids(database, started_before=NOW + 1) == ["b", "a"]
    assert ids(database, started_after=NOW + 1, started_before=NOW + 1, model="gpt-6") == ["b"]
    assert ids(database, provider="openai", client="Codex") == []


def test_an_initiator_is_named_by_id_or_username(database: Database, ann: User) -> None:
    store(database, a_start("a", actor_id=ann.id), a_start("b", actor_id="someone else"))
    assert ids(database, initiator="ann") == ids(database, initiator=ann.id) == ["a"]
    assert ids(database, initiator="bob") == []
    usernames = [record.username for record in page(database, Query()).records]
    assert usernames == [None, "ann"]


def test_of_those_who_had_a_name_one_after_another_the_last_is_meant(database: Database, ann: User) -> None:
    store(database, a_start("a", actor_id=ann.id))
    assert ids(database, initiator="Ann") == ["a"]
    with database.writing() as connection:
        users.delete(connection, ann.id, now=NOW)
    assert ids(database, initiator="ann") == ["a"]
    for call in ("b", "c"):
        later = person(database, "ANN", now=NOW)
        store(database, a_start(call, actor_id=later.id))
        assert ids(database, initiator="ann") == [call]
        with database.writing() as connection:
            users.delete(connection, later.id, now=NOW + ord(call))
    assert ids(database, initiator="ann") == ["c"]
    assert ids(database, initiator=ann.id) == ["a"]


def test_an_actor_sees_its_own_whatever_it_asks_for(database: Database, ann: User) -> None:
    store(database, a_start("a", actor_id=ann.id), a_start("b", actor_id="u2"), a_start("c", actor_id="u2"))
    assert ids(database, visible_to="u2") == ["c", "b"]
    assert ids(database, visible_to="u2", initiator="ann") == []
    assert page(database, Query(visible_to="u2", limit=1)).count == 2


def test_the_cursor_of_an_unseen_row_is_as_bad_as_one_of_none(database: Database) -> None:
    store(database, a_start("a", actor_id="u1"), a_start("b", actor_id="u2"))
    for cursor in ("b", "no such id"):
        with pytest.raises(LookupError, match=cursor):
            ids(database, visible_to="u1", after_id=cursor)
    assert ids(database, after_id="b") == ["a"]


def test_the_count_is_of_all_that_match_whatever_the_page(database: Database) -> None:
    store(database, *(a_start(f"{number}", provider=f"p{number % 2}") for number in range(9)))
    for paging in ({"limit": 1}, {"offset": 4}, {"after_id": "4"}, {"offset": 100}):
        assert page(database, Query(provider="p0", **paging)).count == 5


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", "'; DROP TABLE interceptions; --", "%", "_", '"', "\\", "\0", "ann' --"]
)
@pytest.mark.parametrize("name", ["provider", "model", "client", "initiator", "visible_to"])
def test_no_value_is_read_as_sql(database: Database, ann: User, name: str, text: str) -> None:
    store(database, a_start("a", actor_id=ann.id))
    assert ids(database, **{name: text}) == []
    with pytest.raises(LookupError):
        ids(database, after_id=text)
    assert ids(database) == ["a"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 25), limit=st.integers(1, 7))
def test_walking_by_cursor_or_by_offset_meets_each_once(database: Database, number: int, limit: int) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM interceptions")
    store(database, *(a_start(f"{each:02}", actor_id=f"u{each % 3}") for each in range(number)))
    everything = ids(database, limit=1000)
    assert everything == [f"{each:02}" for each in reversed(range(number))]

    by_cursor = found = ids(database, limit=limit)
    while found:
        found = ids(database, limit=limit, after_id=found[-1])
        by_cursor = by_cursor + found
    offsets = range(0, number + limit, limit)
    assert by_cursor == everything == [name for offset in offsets for name in ids(database, limit=limit, offset=offset)]


def test_a_walk_is_not_disturbed_by_what_arrives_meanwhile(database: Database) -> None:
    store(database, *(a_start(f"{number}", started_at=NOW + number) for number in range(4)))
    first = ids(database, limit=2)
    store(database, a_start("4", started_at=NOW + 100))
    assert first + ids(database, limit=2, after_id=first[-1]) == ["3", "2", "1", "0"]
    assert all(newer > older for newer, older in pairwise(first))


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (Query(), "SCAN interceptions"),
        (Query(after_id="a"), "SEARCH interceptions USING PRIMARY KEY (id<?)"),
        (Query(visible_to="u1"), "SEARCH interceptions USING INDEX interceptions_by_actor (actor_id=?)"),
        (Query(initiator="ann", after_id="a"), "USING INDEX interceptions_by_actor (actor_id=? AND id<?)"),
        (Query(provider="anthropic"), "SCAN interceptions"),
        (Query(model="claude-sonnet-5", after_id="a"), "SEARCH interceptions USING PRIMARY KEY (id<?)"),
        (Query(started_after=NOW - 5, after_id="a"), "SEARCH interceptions USING PRIMARY KEY (id>? AND id<?)"),
        (Query(visible_to="u1", started_after=NOW), "USING INDEX interceptions_by_actor (actor_id=? AND id>?)"),
    ],
)
def test_a_page_is_read_in_order_and_never_sorted(tmp_path: Path, query: Query, plan: str) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        details = plan_of(database, query)
    assert any(plan in detail for detail in details), details
    assert "TEMP B-TREE" not in str(details)


def plan_of(database: Database, query: Query) -> list[str]:
    store(database, a_start("a", actor_id="u1"))
    statements: list[tuple[str, Any]] = []

    def note(_: Connection, __: DBAPICursor, sql: str, parameters: Any, *rest: object) -> None:
        statements.append((sql, parameters))

    event.listen(database._engine, "before_cursor_execute", note)
    page(database, query)
    event.remove(database._engine, "before_cursor_execute", note)
    sql, parameters = statements[-1]
    with database.reading() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
