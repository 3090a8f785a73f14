"""The journal: what it acknowledges is in the file, whatever the disk does, and what was left open is closed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_samples import NOW, ended, ending, interception, name_of, records_in, started

from aibridge.domain.interception import Status
from aibridge.domain.usage import UsageSource
from aibridge.ledger import cursor, entry, segments
from aibridge.ledger.cursor import Cursor
from aibridge.ledger.entry import Ended
from aibridge.ledger.journal import Journal, JournalLocked


def test_an_acknowledged_ending_is_in_the_file_behind_its_start(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    ledger.begin(interception("a"))
    assert ledger.end(ending("a"))
    assert records_in(tmp_path) == [started("a"), ended("a")]
    assert ledger.healthy
    ledger.close()


def test_starts_wait_for_the_scheduled_flush_and_are_written_at_once(tmp_path: Path) -> None:
    scheduled: list[Callable[[], object]] = []
    ledger = Journal.open(tmp_path, now=NOW, schedule=scheduled.append)
    ledger.begin(interception("a"))
    ledger.begin(interception("b"))
    assert records_in(tmp_path) == []
    (flush,) = scheduled
    flush()
    assert records_in(tmp_path) == [started("a"), started("b")]
    ledger.begin(interception("c"))
    assert len(scheduled) == 2
    ledger.close()


def test_an_ending_takes_the_waiting_starts_along(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW, schedule=lambda _: None)
    ledger.begin(interception("a"))
    ledger.begin(interception("b"))
    ledger.end(ending("a"))
    assert records_in(tmp_path) == [started("a"), started("b"), ended("a")]
    ledger.close()


def test_whoever_asks_is_told_how_many_records_were_written(tmp_path: Path) -> None:
    told: list[int] = []
    ledger = Journal.open(tmp_path, now=NOW, schedule=lambda _: None, notify=told.append)
    ledger.begin(interception("a"))
    ledger.end(ending("a"))
    assert told == [2]
    ledger.close()


def test_two_journals_never_share_a_directory(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    with pytest.raises(JournalLocked, match=str(tmp_path)):
        Journal.open(tmp_path, now=NOW)
    ledger.close()
    Journal.open(tmp_path, now=NOW).close()


def test_what_never_ended_is_closed_as_interrupted_once(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    for name in "abc":
        ledger.begin(interception(name))
    ledger.end(ending("b"))
    ledger.close()
    told: list[int] = []
    Journal.open(tmp_path, now=NOW + 5, notify=told.append).close()
    Journal.open(tmp_path, now=NOW + 9).close()
    closed = [record.ending for record in records_in(tmp_path)[4:] if isinstance(record, Ended)]
    assert [(each.id, each.status, each.error, each.ended_at) for each in closed] == [
        ("a", Status.INTERRUPTED, "interrupted", NOW + 5),
        ("c", Status.INTERRUPTED, "interrupted", NOW + 5),
    ]
    assert all(each.usage is None and each.usage_source is UsageSource.UNKNOWN for each in closed)
    assert told == [2]


def test_the_newest_segment_names_everything_open(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=2000)
    ledger.begin(interception("long"))
    for count in range(40):
        ledger.begin(interception(f"short-{count}"))
        ledger.end(ending(f"short-{count}"))
        ledger.sync()
    ledger.close()
    *old, newest = segments.numbers(tmp_path)
    assert len(old) > 5
    for number in old:
        segments.path_of(tmp_path, number).unlink()
    assert [each.id for each in segments.unfinished(tmp_path)] == ["long"]
    assert newest == old[-1] + 1


def test_a_lost_head_is_made_up_for_by_the_segment_before(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=1)
    ledger.begin(interception("a"))
    ledger.close()
    assert segments.numbers(tmp_path) == [1, 2]
    os.truncate(segments.path_of(tmp_path, 2), 0)
    assert [each.id for each in segments.unfinished(tmp_path)] == ["a"]


def test_a_file_cut_at_any_byte_is_recovered_to_its_whole_records(tmp_path: Path) -> None:
    lines = [entry.encode(record) for record in (started("a"), started("b"), ended("a"))]
    data = b"".join(lines)
    for cut in range(0, len(data) + 1, 7):
        directory = tmp_path / str(cut)
        directory.mkdir()
        segments.path_of(directory, 1).write_bytes(data[:cut])
        Journal.open(directory, now=NOW).close()
        whole = len(entry.read(data[:cut]).entries)
        closed = [name_of(record) for record in records_in(directory)[whole:]]
        assert closed == [[], ["a"], ["a", "b"], ["b"]][whole]


def test_a_new_process_never_writes_into_an_old_file_nor_under_a_number_shipped_before(tmp_path: Path) -> None:
    Journal.open(tmp_path, now=NOW).close()
    Journal.open(tmp_path, now=NOW).close()
    assert segments.numbers(tmp_path) == [1, 2]
    cursor.save(tmp_path, Cursor(segment=7, offset=100))
    Journal.open(tmp_path, now=NOW).close()
    assert segments.numbers(tmp_path) == [1, 2, 8]
