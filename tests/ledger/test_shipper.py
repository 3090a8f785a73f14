"""The shipper: every record reaches the sink, in order, whatever the sink or the files do."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ledger_samples import NOW, MemorySink, SqliteSink, ended, ending, interception, started

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.ledger import cursor, entry, segments, shipper
from aibridge.ledger.cursor import Cursor
from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Shipper, pause_after

PATIENCE = 10.0


def eventually(fact: Callable[[], bool]) -> None:
    """Wait for another thread to make it true."""
    until = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < until
        threading.Event().wait(0.002)


def ship_all(ship: Shipper) -> None:
    while ship.ship():
        pass


def write(directory: Path, *names: str, segment_bytes: int = 1 << 20) -> None:
    ledger = Journal.open(directory, now=NOW, segment_bytes=segment_bytes)
    for name in names:
        ledger.begin(interception(name))
        ledger.end(ending(name))
        ledger.sync()
    ledger.close()


def test_records_arrive_in_order_and_once(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    ship_all(Shipper(tmp_path, sink))
    assert sink.batches == [([interception("a"), interception("b")], [ending("a"), ending("b")])]


def test_batches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "BATCH_RECORDS", 3)
    write(tmp_path, "a", "b", "c")
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert [len(begun) + len(over) for begun, over in sink.batches] == [3, 3]
    assert sink.ended == ["a", "b", "c"]


def test_within_a_batch_no_id_comes_twice_and_the_first_ending_stands(tmp_path: Path) -> None:
    interrupted = entry.Ended(ending=ending("a", Status.INTERRUPTED))
    lines = [entry.encode(each) for each in (started("a"), ended("a"), started("a"), interrupted)]
    segments.path_of(tmp_path, 1).write_bytes(b"".join(lines))
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert sink.batches == [([interception("a")], [ending("a")])]


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
    whole, second = entry.encode(started("a")), entry.encode(ended("a"))
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
    segments.path_of(tmp_path, 1).write_bytes(entry.encode(started("a")) + entry.encode(started("b"))[:-1])
    Journal.open(tmp_path, now=NOW).close()
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert (sink.started, sink.ended) == (["a"], ["a"])


def test_what_is_appended_while_a_segment_is_being_left_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, read = segments.path_of(tmp_path, 1), segments.read
    first.write_bytes(entry.encode(started("a")))
    sink = MemorySink()
    ship = Shipper(tmp_path, sink)
    ship_all(ship)

    def read_just_before_the_last_record(path: Path, offset: int) -> bytes:
        data = read(path, offset)
        if path == first and data == b"" and not segments.path_of(tmp_path, 2).exists():
            with first.open("ab") as file:
                file.write(entry.encode(ended("a")))
            segments.path_of(tmp_path, 2).touch()
        return data

    monkeypatch.setattr(segments, "read", read_just_before_the_last_record)
    ship_all(ship)
    ship_all(ship)
    assert sink.ended == ["a"]


def test_a_damaged_record_is_skipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [entry.encode(started("a")), b"garbage\n", entry.encode(ended("a"))]
    segments.path_of(tmp_path, 1).write_bytes(b"".join(lines))
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert (sink.started, sink.ended) == (["a"], ["a"])
    assert "skipped 1 damaged" in caplog.text


def test_a_record_longer_than_a_chunk_is_read(tmp_path: Path) -> None:
    path = segments.path_of(tmp_path, 1)
    long = entry.Started(interception=interception("a", user_agent="x" * (3 << 20)))
    path.write_bytes(entry.encode(long) + entry.encode(ended("a")))
    sink = MemorySink()
    ship_all(Shipper(tmp_path, sink))
    assert (sink.started, sink.ended) == (["a"], ["a"])


def test_shipped_segments_are_deleted_and_the_newest_stays(tmp_path: Path) -> None:
    write(tmp_path, *(f"i{count}" for count in range(12)), segment_bytes=1500)
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
    ledger = Journal.open(tmp_path, now=NOW, segment_bytes=1500)
    ledger.begin(interception("long"))
    for count in range(20):
        ledger.end(ending(f"i{count}"))
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


def test_the_thread_ships_what_it_is_told_of_and_the_lag_returns_to_zero(tmp_path: Path) -> None:
    sink = MemorySink()
    ship = Shipper(tmp_path, sink)
    ledger = Journal.open(tmp_path, now=NOW, notify=ship.notify)
    ship.start()
    ledger.begin(interception("a"))
    ledger.end(ending("a"))
    eventually(lambda: sink.ended == ["a"])
    eventually(lambda: ship.lag() == 0)
    eventually(lambda: ship.lag_seconds() == 0.0)
    ledger.end(ending("b"))
    assert ship.stop(PATIENCE)
    assert sink.ended == ["a", "b"]
    ledger.close()


def test_lag_counts_what_an_earlier_process_left_and_what_came_since(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(shipper, "_LONGEST_PAUSE_SECONDS", 0.001)
    write(tmp_path, "a", "b")
    sink = MemorySink()
    sink.trouble = RuntimeError("database is away")
    now = 100.0
    ship = Shipper(tmp_path, sink, clock=lambda: now)
    ledger = Journal.open(tmp_path, now=NOW, notify=ship.notify)
    ledger.begin(interception("c"))
    ship.start()
    eventually(lambda: ship.lag() == 5)
    eventually(lambda: ship._failures > 5)
    now = 107.0
    assert ship.lag_seconds() == 7.0
    assert caplog.text.count("database is away") == 1
    sink.trouble = None
    eventually(lambda: ship.lag() == 0)
    assert ship.stop(PATIENCE)
    assert caplog.text.count("are shipped again") == 1
    assert ship.lag_seconds() == 0.0
    ledger.close()


def test_stopping_gives_a_failing_sink_one_more_try(tmp_path: Path) -> None:
    write(tmp_path, "a")
    sink = MemorySink()
    sink.trouble = RuntimeError("database is away")
    ship = Shipper(tmp_path, sink)
    ship.start()
    eventually(lambda: ship._failures == 1)
    began = time.monotonic()
    assert not ship.stop(PATIENCE)
    assert ship._failures == 2
    assert time.monotonic() - began < 1.0


def test_stopping_does_not_wait_longer_than_told_for_a_sink_that_hangs(tmp_path: Path) -> None:
    write(tmp_path, "a")
    hanging, release = threading.Event(), threading.Event()

    class HangingSink:
        def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> None:
            hanging.set()
            release.wait(PATIENCE)

    ship = Shipper(tmp_path, HangingSink())
    ship.start()
    assert hanging.wait(PATIENCE)
    assert not ship.stop(0.01)
    release.set()
    ship._thread.join(PATIENCE)
    assert not ship._thread.is_alive()


def test_nothing_goes_to_the_sink_that_is_not_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a")
    order: list[str] = []
    fdatasync = os.fdatasync

    def watched(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fdatasync(descriptor)

    class WatchedSink:
        def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> None:
            order.append("sink")

    monkeypatch.setattr(os, "fdatasync", watched)
    ship = Shipper(tmp_path, WatchedSink())
    while "sink" not in order:
        ship.ship()
    assert order[-3:] == ["0000000001.journal", "sink", "cursor.new"]
