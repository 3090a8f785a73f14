"""The ledger's records on their way in: nothing twice, nothing half, nothing lost without a word."""

import logging
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from store_samples import NOW, a_start, an_ending, page, url_of

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.store import schema
from aibridge.store.database import Database
from aibridge.store.interceptions import Query, Record
from aibridge.store.sink import LedgerSink


def records(database: Database) -> list[Record]:
    return page(database, Query()).records


def usages(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(schema.token_usages.c.interception_id)).scalars())


def test_what_was_written_comes_back_whole(database: Database) -> None:
    LedgerSink(database).write([a_start()], [an_ending()])
    assert records(database) == [Record(interception=a_start(), username=None, ending=an_ending())]
    assert records(database)[0].interception.streaming is True


def test_a_running_call_has_no_ending_and_gets_it_later(database: Database) -> None:
    sink = LedgerSink(database)
    start = a_start(session_id=None, streaming=False)
    sink.write([start], [])
    assert records(database) == [Record(interception=start, username=None, ending=None)]
    sink.write([], [an_ending()])
    assert records(database) == [Record(interception=start, username=None, ending=an_ending())]


def test_unknown_usage_has_no_row(database: Database) -> None:
    ending = Ending(id="a", status=Status.CANCELLED, ended_at=NOW + 1, response_id="msg_1", error="cancelled")
    LedgerSink(database).write([a_start()], [ending])
    assert records(database)[0].ending == ending
    assert usages(database) == []


def test_a_usage_of_nothing_is_a_usage(database: Database) -> None:
    ending = an_ending(usage=Usage(), usage_source=UsageSource.PARTIAL)
    LedgerSink(database).write([a_start()], [ending])
    assert records(database)[0].ending == ending
    assert usages(database) == ["a"]


def test_the_first_ending_counts_as_a_whole(database: Database) -> None:
    sink = LedgerSink(database)
    interrupted = an_ending(status=Status.INTERRUPTED, usage=None, usage_source=UsageSource.UNKNOWN)
    sink.write([a_start(), a_start(model="other")], [interrupted, an_ending()])
    sink.write([a_start(model="another")], [an_ending()])
    assert records(database) == [Record(interception=a_start(), username=None, ending=interrupted)]
    assert usages(database) == []
    assert sink.unmatched == 0


def test_a_start_that_comes_again_with_its_ending_is_ended(database: Database) -> None:
    sink = LedgerSink(database)
    sink.write([a_start("a"), a_start("b")], [])
    sink.write([a_start("a", model="other"), a_start("c")], [an_ending("a"), an_ending("b"), an_ending("c")])
    expected = [Record(interception=a_start(name), username=None, ending=an_ending(name)) for name in "cba"]
    assert records(database) == expected
    assert sorted(usages(database)) == ["a", "b", "c"]


def test_a_batch_of_which_a_part_is_known_brings_the_rest(database: Database) -> None:
    sink = LedgerSink(database)
    cancelled = an_ending("a", status=Status.CANCELLED, usage=None, usage_source=UsageSource.UNKNOWN)
    sink.write([a_start("a"), a_start("b")], [cancelled])
    sink.write([a_start("a"), a_start("c"), a_start("d")], [an_ending("a"), an_ending("b"), an_ending("c")])
    endings = {record.interception.id: record.ending for record in records(database)}
    assert endings == {"a": cancelled, "b": an_ending("b"), "c": an_ending("c"), "d": None}
    assert sorted(usages(database)) == ["b", "c"]
    assert sink.unmatched == 0


def test_text_that_is_empty_is_absent(database: Database) -> None:
    LedgerSink(database).write([a_start(session_id="")], [an_ending(error="", response_id="")])
    expected = Record(interception=a_start(session_id=None), username=None, ending=an_ending(response_id=None))
    assert records(database) == [expected]


def test_an_ending_without_its_start_is_counted_and_logged_with_what_it_used(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sink = LedgerSink(database)
    with caplog.at_level(logging.WARNING):
        sink.write([a_start("a")], [an_ending("a"), an_ending("lost"), an_ending("gone")])
    assert sink.unmatched == 2
    assert [record.interception.id for record in records(database)] == ["a"]
    assert usages(database) == ["a"]
    assert ["lost" in message or "gone" in message for message in caplog.messages] == [True, True]
    assert all("output_tokens=7" in message for message in caplog.messages)


def test_many_unmatched_endings_are_all_found(database: Database) -> None:
    sink = LedgerSink(database)
    sink.write([a_start(str(number)) for number in range(0, 2500, 2)], [])
    sink.write([], [an_ending(str(number)) for number in range(2500)])
    assert sink.unmatched == 1250


def test_an_empty_batch_is_nothing(database: Database) -> None:
    LedgerSink(database).write([], [])
    assert records(database) == []


def test_a_batch_that_fails_leaves_nothing(database: Database) -> None:
    sink = LedgerSink(database)
    impossible = a_start("b", actor_id=None)
    with pytest.raises(IntegrityError):
        sink.write([a_start("a"), impossible], [an_ending("a")])
    assert records(database) == []
    assert usages(database) == []


def test_a_count_that_no_integer_of_the_database_holds_does_not_keep_a_batch_out(database: Database) -> None:
    nonsense = Usage(input_tokens=2**64 - 1, output_tokens=2**63, extra={"total_tokens": 2**64 - 1})
    LedgerSink(database).write([a_start()], [an_ending(usage=nonsense)])
    ending = records(database)[0].ending
    assert ending is not None
    assert ending.usage == Usage(input_tokens=2**63 - 1, output_tokens=2**63 - 1, extra={"total_tokens": 2**64 - 1})


@pytest.mark.parametrize(
    "text", ["'); DROP TABLE interceptions; --", "\u2019 \U0001f980", "%s :id ?", '"', "a" * 10_000]
)
def test_any_text_is_stored_as_it_is(database: Database, text: str) -> None:
    start = a_start(model=text, client=text, user_agent=text, session_id=text, provider=text, route=text)
    ending = an_ending(error=text, response_id=text, usage=Usage(extra={text: 1}))
    LedgerSink(database).write([start], [ending])
    assert records(database) == [Record(interception=start, username=None, ending=ending)]


def test_a_character_that_postgresql_lacks_is_replaced_there_and_found_all_the_same(database: Database) -> None:
    stored = "a\0b" if database.dialect.name == "sqlite" else "a\N{REPLACEMENT CHARACTER}b"
    LedgerSink(database).write([a_start(model="a\0b")], [an_ending(usage=Usage(extra={"a\0b": 1}))])
    (record,) = page(database, Query(model="a\0b")).records
    assert record.interception.model == stored
    assert record.ending is not None
    assert record.ending.usage == Usage(extra={"a\0b": 1})


names = st.sampled_from("abcd")
starts = st.builds(a_start, names, model=st.sampled_from(["m", "n"]), started_at=st.integers(NOW, NOW + 2))
known_usage = st.builds(Usage, input_tokens=st.integers(0, 3))
endings = st.builds(
    an_ending, names, ended_at=st.integers(NOW, NOW + 2), usage=st.none() | known_usage, http_status=st.none()
).map(lambda ending: ending if ending.usage else an_ending(ending.id, usage=None, usage_source=UsageSource.UNKNOWN))
batches = st.lists(st.tuples(st.lists(starts, max_size=4), st.lists(endings, max_size=4)), max_size=4)


def what_should_be_there(batches: list[tuple[list[Interception], list[Ending]]]) -> dict[str, Record]:
    """The first start of each id, and the first ending that did not come before it."""
    expected: dict[str, Record] = {}
    for started, ended in batches:
        for start in started:
            expected.setdefault(start.id, Record(interception=start, username=None, ending=None))
        for ending in ended:
            known = expected.get(ending.id)
            if known is not None and known.ending is None:
                expected[ending.id] = Record(interception=known.interception, username=None, ending=ending)
    return expected


@settings(max_examples=40, deadline=None)
@given(batches=batches, repeats=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_the_database_holds_the_first_of_each_however_often_batches_are_repeated(
    batches: list[tuple[list[Interception], list[Ending]]], repeats: list[int]
) -> None:
    with TemporaryDirectory() as directory, closing(Database.open(url_of(Path(directory)))) as database:
        sink = LedgerSink(database)
        done: list[tuple[list[Interception], list[Ending]]] = []
        for batch, again in zip(batches, repeats, strict=False):
            done.append(batch)
            sink.write(*batch)
            done.extend([done[again % len(done)]] * 2)
            sink.write(*done[-1])
            sink.write(*done[-1])
        expected = what_should_be_there(done)
        assert {record.interception.id: record for record in records(database)} == expected
        used = [name for name, record in expected.items() if record.ending and record.ending.usage]
        assert sorted(usages(database)) == sorted(used)
