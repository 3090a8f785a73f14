"""The ledger as a record of who came when."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from people import person
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor
from store_samples import NOW, a_start, an_ending, url_of

from aibridge.domain.interception import Ending, Interception
from aibridge.domain.interception_id import interception_id
from aibridge.limits.arrivals import Arrival
from aibridge.store import arrivals
from aibridge.store.arrivals import Period
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink

ALWAYS = Period(since=0, until=NOW + 10**9)


def a_call(instant: int, chance: int = 0, **changes: Any) -> Interception:
    return a_start(interception_id(instant, chance), started_at=instant, **changes)


def the_end_of(call: Interception, **changes: Any) -> Ending:
    return an_ending(call.id, ended_at=call.started_at + 2_500_000, **changes)


def read(database: Database, since: int = 0, until: int = ALWAYS.until) -> list[Arrival]:
    period = Period(since=since, until=until)
    found = list(arrivals.arrivals(database, period))
    assert arrivals.count(database, period) == len(found)
    return found


def test_a_call_is_told_with_all_that_went_in_and_out_and_how_long_it_took(database: Database) -> None:
    ann = person(database, "ann", now=NOW)
    call = a_call(NOW, actor_id=ann.id, token_id="laptop")
    LedgerSink(database).write([call], [the_end_of(call)])

    (arrival,) = read(database)

    assert arrival == Arrival(
        at=NOW / 1e6,
        actor="ann",
        token="laptop",
        provider="anthropic",
        model="claude-sonnet-5",
        input_tokens=5 + 11 + 13,
        output_tokens=7,
        duration=2.5,
        cache_read_input_tokens=11,
        cache_write_input_tokens=13,
    )


def test_who_is_gone_goes_by_the_id(database: Database) -> None:
    LedgerSink(database).write([a_call(NOW, actor_id="u9")], [])
    assert [arrival.actor for arrival in read(database)] == ["u9"]


def test_a_call_that_runs_lasts_to_the_end_of_the_period_and_used_nothing_yet(database: Database) -> None:
    LedgerSink(database).write([a_call(NOW)], [])
    (arrival,) = read(database, until=NOW + 7_000_000)
    assert (arrival.duration, arrival.input_tokens, arrival.output_tokens) == (7.0, 0, 0)


def test_a_call_whose_usage_is_unknown_used_nothing(database: Database) -> None:
    call = a_call(NOW)
    LedgerSink(database).write([call], [the_end_of(call, usage=None)])
    (arrival,) = read(database)
    assert (arrival.duration, arrival.input_tokens, arrival.output_tokens) == (2.5, 0, 0)


def test_a_period_has_what_began_in_it_to_the_microsecond(database: Database) -> None:
    instants = [NOW - 1, NOW, NOW + 1, NOW + 999, NOW + 1000, NOW + 1001]
    LedgerSink(database).write([a_call(instant, number) for number, instant in enumerate(instants)], [])
    for since in instants:
        for until in instants:
            expected = [instant / 1e6 for instant in instants if since <= instant < until]
            assert [arrival.at for arrival in read(database, since, until)] == expected


@pytest.mark.parametrize("number", [0, 1, 6, 7, 8, 14, 20])
def test_all_pages_together_have_each_call_once_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(arrivals, "PAGE", 7)
    # Many in one millisecond, which only chance tells apart.
    calls = [a_call(NOW + each // 10, each, token_id=f"{each}") for each in range(number)]
    LedgerSink(database).write(calls, [])
    assert [arrival.token for arrival in read(database)] == [f"{each}" for each in range(number)]


def test_a_page_is_searched_by_id_and_never_sorted(tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        LedgerSink(database).write([a_call(NOW)], [])
        statements: list[tuple[str, Any]] = []

        def note(_: Connection, __: DBAPICursor, sql: str, parameters: Any, *rest: object) -> None:
            statements.append((sql, parameters))

        event.listen(database._engine, "before_cursor_execute", note)
        list(arrivals.arrivals(database, ALWAYS))
        event.remove(database._engine, "before_cursor_execute", note)
        sql, parameters = statements[-1]
        with database.reading() as connection:
            details = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        assert "SEARCH interceptions USING PRIMARY KEY (id>? AND id<?)" in str(details), details
        assert "TEMP B-TREE" not in str(details)
