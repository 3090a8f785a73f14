"""The journal: what it acknowledges is in the file, whatever the disk does, and what was left open is closed."""

import os
from pathlib import Path

import pytest
from ledger_samples import (
    NOW,
    begin,
    end,
    ended,
    ending,
    endings_in,
    interception,
    line,
    names_of,
    records_in,
    started,
)

from aibridge.ledger import cursor, entry, segments
from aibridge.ledger.cursor import Cursor
from aibridge.ledger.journal import Journal, JournalLocked


def test_an_acknowledged_ending_is_in_the_file_behind_its_start(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    begin(ledger, "a")
    assert end(ledger, "a")
    assert records_in(tmp_path) == [started("a"), ended("a")]
    assert ledger.healthy
    ledger.close()


def test_what_comes_together_is_one_line_and_is_told_as_so_many_records(tmp_path: Path) -> None:
    told: list[int] = []
    ledger = Journal.open(tmp_path, now=NOW, notify=told.append)
    begin(ledger, "a")
    assert ledger.write([interception("b"), interception("c")], [ending("a"), ending("b")])
    data = segments.path_of(tmp_path, 1).read_bytes()
    assert data == line(started("a")) + line(started("b"), started("c"), ended("a"), ended("b"))
    assert told == [1, 4]
    ledger.close()


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    told: list[int] = []
    ledger = Journal.open(tmp_path, now=NOW, notify=told.append)
    assert ledger.write([], [])
    assert segments.path_of(tmp_path, 1).read_bytes() == b""
    assert told == []
    ledger.close()


def test_an_ending_never_stands_before_its_start_however_many_come_together(tmp_path: Path) -> None:
    names = [f"i{count}" for count in range(2 * entry.MOST_IN_LINE + 1)]
    ledger = Journal.open(tmp_path, now=NOW)
    assert ledger.write([interception(name) for name in names], [ending(name) for name in reversed(names)])
    assert names_of(records_in(tmp_path)) == [*names, *reversed(names)]
    ledger.close()
    assert segments.unfinished(tmp_path) == []


def test_two_journals_never_share_a_directory(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    with pytest.raises(JournalLocked, match=str(tmp_path)):
        Journal.open(tmp_path, now=NOW)
    ledger.close()
    Journal.open(tmp_path, now=NOW).close()


def test_what_never_ended_is_closed_as_interrupted_once(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW)
    for name in "abc":
        begin(ledger, name)
    end(ledger, "b")
    ledger.close()
    told: list[int] = []
    Journal.open(tmp_path, now=NOW + 5, notify=told.append).close()
    Journal.open(tmp_path, now=NOW + 9).close()
    interrupted = ("interrupted", None, "interrupted", None, NOW + 5, "")
    assert endings_in(tmp_path) == [ended("b"), ("a", interrupted, None), ("c", interrupted, None)]
    assert told == [2]


def test_the_newest_segment_names_everything_open(tmp_path: Path) -> None:
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=2000)
    begin(ledger, "long")
    for count in range(40):
        begin(ledger, f"short-{count}")
        end(ledger, f"short-{count}")
        ledger.sync()
    ledger.close()
    *old, newest = segments.numbers(tmp_path)
    assert len(old) > 5
    for number in old:
        segments.path_of(tmp_path, number).unlink()
    assert segments.unfinished(tmp_path) == ["long"]
    assert newest == old[-1] + 1


def test_a_lost_head_is_made_up_for_by_the_segment_before(tmp_path: Path) -> None:
    told: list[int] = []
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=1, notify=told.append)
    begin(ledger, "a")
    ledger.close()
    assert told == [1, 1]
    assert segments.numbers(tmp_path) == [1, 2]
    os.truncate(segments.path_of(tmp_path, 2), 0)
    assert segments.unfinished(tmp_path) == ["a"]


def test_a_file_cut_at_any_byte_is_recovered_to_its_whole_records(tmp_path: Path) -> None:
    data = line(started("a")) + line(started("b")) + line(ended("a"))
    for cut in range(0, len(data) + 1, 7):
        directory = tmp_path / str(cut)
        directory.mkdir()
        segments.path_of(directory, 1).write_bytes(data[:cut])
        Journal.open(directory, now=NOW).close()
        whole = entry.read(data[:cut]).lines
        closed = names_of(records_in(directory)[whole:])
        assert closed == [[], ["a"], ["a", "b"], ["b"]][whole]


def test_a_new_process_never_writes_into_an_old_file_nor_under_a_number_shipped_before(tmp_path: Path) -> None:
    Journal.open(tmp_path, now=NOW).close()
    Journal.open(tmp_path, now=NOW).close()
    assert segments.numbers(tmp_path) == [1, 2]
    cursor.save(tmp_path, Cursor(segment=7, offset=100))
    Journal.open(tmp_path, now=NOW).close()
    assert segments.numbers(tmp_path) == [1, 2, 8]
