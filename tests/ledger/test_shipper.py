"""The shipper: every record reaches the sink, in order, whatever the sink or the files do."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from ledger_samples import (
    EARLIER_END,
    EARLIER_START,
    NOW,
    MemorySink,
    SqliteSink,
    begin,
    end,
    ended,
    interception,
    line,
    started,
    write,
)

from aibridge.domain.row import End, Start, start_of
from aibridge.ledger import cursor, segments
from aibridge.ledger.cursor import Cursor
from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Shipper, pause_after


def ship_all(ship: Shipper) -> None:
    while ship.ship():
        pass


def test_records_arrive_in_order_and_once(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    ship_all(Shipper(tmp_path, sink))
    assert sink.batches == [([started("a"), started("b")], [ended("a"), ended("b")])]


def test_batches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a", "b", "c")
    size = segments.path_of(tmp_path, 1).stat().st_size
    monkeypatch.setattr(segments, "_CHUNK", size * 2 // 3)
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert [len(begun) + len(over) for begun, over in sink.batches] == [4, 2]
    assert sink.ended == ["a", "b", "c"]


def test_a_sink_that_fails_gets_the_same_batch_again(tmp_path: Path) -> None:
    write(tmp_path, "a")
    sink = MemorySink()
    ship = Shipper(tmp_path, sink)
    sink.trouble = RuntimeError("database is away")
    with pytest.raises(RuntimeError):
        ship_all(ship)
    assert cursor.load(tmp_path) == Cursor(segment=1)
    sink.trouble = None
    ship_all(ship)
    assert sink.ended == ["a"]


def test_a_partial_last_line_is_waited_for(tmp_path: Path) -> None:
    path = segments.path_of(tmp_path, 1)
    whole, second = line(started("a")), line(ended("a"))
    sink = MemorySink()
    ship = Shipper(tmp_path, sink)
    for cut in range(len(second)):
        path.write_bytes(whole + second[:cut])
        ship_all(ship)
        assert (sink.started, sink.ended) == (["a"], [])
    path.write_bytes(whole + second)
    ship_all(ship)
    assert (sink.started, sink.ended) == (["a"], ["a"])


def test_a_half_record_at_the_end_of_a_closed_segment_is_passed(tmp_path: Path) -> None:
    segments.path_of(tmp_path, 1).write_bytes(line(started("a")) + line(started("b"))[:-1])
    Journal.open(tmp_path, now=NOW).close()
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert (sink.started, sink.ended) == (["a"], ["a"])


def test_what_is_appended_while_a_segment_is_being_left_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, read = segments.path_of(tmp_path, 1), segments.read
    first.write_bytes(line(started("a")))
    sink = MemorySink()
    ship = Shipper(tmp_path, sink)
    ship_all(ship)

    def read_just_before_the_last_record(path: Path, offset: int) -> bytes:
        data = read(path, offset)
        if path == first and data == b"" and not segments.path_of(tmp_path, 2).exists():
            with first.open("ab") as file:
                file.write(line(ended("a")))
            segments.path_of(tmp_path, 2).touch()
        return data

    monkeypatch.setattr(segments, "read", read_just_before_the_last_record)
    ship_all(ship)
    ship_all(ship)
    assert sink.ended == ["a"]


@pytest.mark.parametrize(
    ("left", "status"),
    [
        (EARLIER_START + EARLIER_END, "completed"),
        (EARLIER_START + EARLIER_END[:-1], "interrupted"),
        (EARLIER_START, "interrupted"),
    ],
)
def test_what_an_earlier_version_left_is_recovered_and_shipped(tmp_path: Path, left: bytes, status: str) -> None:
    segments.path_of(tmp_path, 1).write_bytes(left)
    Journal.open(tmp_path, now=NOW).close()
    sink = SqliteSink(tmp_path / "sqlite")
    ship_all(Shipper(tmp_path, sink))
    assert sink.statuses() == {"a": status}
    assert sink.usages() == (["a"] if status == "completed" else [])


def test_a_damaged_record_is_skipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [line(started("a")), b"garbage\n", line(ended("a"))]
    segments.path_of(tmp_path, 1).write_bytes(b"".join(lines))
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert (sink.started, sink.ended) == (["a"], ["a"])
    assert "skipped 1 damaged" in caplog.text


def test_a_record_longer_than_a_chunk_is_read(tmp_path: Path) -> None:
    path = segments.path_of(tmp_path, 1)
    long = start_of(interception("a", user_agent="x" * (3 << 20)))
    path.write_bytes(line(long) + line(ended("a")))
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert (sink.started, sink.ended) == (["a"], ["a"])


def test_shipped_segments_are_deleted_and_the_newest_stays(tmp_path: Path) -> None:
    write(tmp_path, *(f"i{count}" for count in range(12)), segment_bytes=750)
    newest = segments.numbers(tmp_path)[-1]
    assert newest > 3
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert segments.numbers(tmp_path) == [newest]
    assert sink.ended == [f"i{count}" for count in range(12)]


def test_a_segment_is_not_deleted_before_it_is_shipped(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c", segment_bytes=1)
    before = segments.numbers(tmp_path)
    sink = MemorySink()
    sink.trouble = RuntimeError("database is away")
    with pytest.raises(RuntimeError):
        ship_all(Shipper(tmp_path, sink))
    assert segments.numbers(tmp_path) == before


def test_an_open_interception_survives_the_deletion_of_the_segment_it_began_in(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "sqlite")
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=750)
    begin(ledger, "long")
    for count in range(20):
        end(ledger, f"i{count}")
        ledger.sync()
    ship_all(Shipper(tmp_path, sink))
    assert segments.numbers(tmp_path)[0] > 2
    ledger.close()
    Journal.open(tmp_path, now=NOW).close()
    ship_all(Shipper(tmp_path, sink))
    assert sink.statuses() == {"long": "interrupted"}


def test_a_lost_or_unreadable_cursor_repeats_and_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a")
    sink = SqliteSink(tmp_path / "sqlite")
    ship_all(Shipper(tmp_path, sink))
    for damage in (b"", b"{", b'{"segment":"x"}', b"\xff"):
        (tmp_path / "cursor").write_bytes(damage)
        assert cursor.load(tmp_path) == Cursor()
        ship_all(Shipper(tmp_path, sink))
    assert sink.statuses() == {"a": "completed"}
    assert sink.usages() == ["a"]


def test_a_place_that_cannot_be_saved_does_not_stop_the_shipping(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", segment_bytes=1)
    (tmp_path / "cursor.new").mkdir()
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert sink.ended == ["a", "b"]
    assert len(segments.numbers(tmp_path)) == 1


def test_pauses_double_from_one_second_to_thirty() -> None:
    assert [pause_after(failures) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert pause_after(10_000) == 30


def test_nothing_goes_to_the_sink_that_is_not_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a")
    order: list[str] = []
    fdatasync = os.fdatasync

    def watched(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fdatasync(descriptor)

    class WatchedSink:
        def write_rows(self, started: Sequence[Start], ended: Sequence[End]) -> None:
            order.append("sink")

    monkeypatch.setattr(os, "fdatasync", watched)
    ship = Shipper(tmp_path, WatchedSink())
    while "sink" not in order:
        ship.ship()
    assert order[-3:] == ["0000000001.journal", "sink", "cursor.new"]
