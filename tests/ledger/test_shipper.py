"""The shipper: every record reaches the sink, in order, whatever the sink or the files do."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ledger_samples import NOW, MemorySink, SqliteSink, ended, ending, interception, started

from aibridge.domain.interception import Ending, Interception
from aibridge.ledger import cursor, entry, segments, shipper
from aibridge.ledger.cursor import Cursor
from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Progress, Shipper, pause_after

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


class Running:
    """A shipper that runs in a thread, without pauses, and what it tells."""

    def __init__(self, ship: Shipper) -> None:
        self.told: list[Progress] = []
        self.finished: bool | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ship,))
        self._thread.start()

    def _run(self, ship: Shipper) -> None:
        self.finished = ship.run(self._stopping, self.told.append)

    def stop(self) -> bool | None:
        self._stopping.set()
        self._thread.join(PATIENCE)
        return self.finished


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATHER_SECONDS", "_FIRST_PAUSE_SECONDS", "_LONGEST_PAUSE_SECONDS"):
        monkeypatch.setattr(shipper, name, 0.001)


@pytest.mark.usefixtures("_hurried")
def test_it_ships_what_is_written_meanwhile_and_the_rest_when_told_to_stop(tmp_path: Path) -> None:
    sink = MemorySink()
    ledger = Journal.open(tmp_path, now=NOW)
    running = Running(Shipper(tmp_path, sink))
    ledger.begin(interception("a"))
    ledger.end(ending("a"))
    eventually(lambda: sink.ended == ["a"])
    ledger.end(ending("b"))
    ledger.sync()
    assert running.stop() is True
    assert sink.ended == ["a", "b"]
    ledger.close()


def test_told_to_stop_it_ships_every_segment_to_its_end(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c", segment_bytes=1)
    sink, stopping = MemorySink(), threading.Event()
    stopping.set()
    assert Shipper(tmp_path, sink).run(stopping, lambda _: None)
    assert sink.ended == ["a", "b", "c"]


@pytest.mark.usefixtures("_hurried")
def test_progress_is_told_when_there_is_any_and_ends_at_zero(tmp_path: Path) -> None:
    sink = MemorySink()
    running = Running(Shipper(tmp_path, sink, clock=lambda: 100.0))
    eventually(lambda: running.told == [Progress(behind=0, since=100.0)])
    write(tmp_path, "a")
    eventually(lambda: sink.ended == ["a"])
    assert running.stop() is True
    assert len(running.told) > 1
    assert running.told[-1] == Progress(behind=0, since=100.0)


@pytest.mark.usefixtures("_hurried")
def test_trouble_is_told_once_and_so_is_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a", "b")
    sink = MemorySink()
    sink.trouble = RuntimeError("database is away")
    ship = Shipper(tmp_path, sink)
    running = Running(ship)
    eventually(lambda: ship._failures > 5)
    (progress,) = running.told
    assert progress.behind in range(2, 7)
    assert progress.since is None
    assert caplog.text.count("database is away") == 1
    sink.trouble = None
    eventually(lambda: sink.ended == ["a", "b"])
    assert running.stop() is True
    assert caplog.text.count("are shipped again") == 1
    assert running.told[-1].behind == 0


def test_how_much_waits_is_told_from_what_a_record_took_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *(f"i{count}" for count in range(10, 90)), segment_bytes=10_000)
    path, sink = segments.path_of(tmp_path, segments.numbers(tmp_path)[-1]), MemorySink()
    monkeypatch.setattr(segments, "_CHUNK", 3_000)
    ship = Shipper(tmp_path, sink)
    while ship.ship():
        left = 160 - len(sink.started) - len(sink.ended)
        assert abs(ship.progress().behind - left) <= 4
    with path.open("ab") as file:
        file.write(b"h")
    assert ship.progress().behind == 1


def test_a_backlog_is_shipped_without_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "GATHER_SECONDS", PATIENCE * 10)
    monkeypatch.setattr(shipper, "FULL_BATCH_BYTES", 2_000)
    monkeypatch.setattr(segments, "_CHUNK", 2_000)
    write(tmp_path, *(f"i{count}" for count in range(50)), segment_bytes=3_000)
    sink = MemorySink()
    running = Running(Shipper(tmp_path, sink))
    eventually(lambda: len(sink.ended) > 45)
    assert running.stop() is True
    assert len(sink.ended) == 50


@pytest.mark.usefixtures("_hurried")
def test_stopping_gives_a_failing_sink_one_more_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "_FIRST_PAUSE_SECONDS", PATIENCE * 10)
    monkeypatch.setattr(shipper, "_LONGEST_PAUSE_SECONDS", PATIENCE * 10)
    write(tmp_path, "a")
    sink = MemorySink()
    sink.trouble = RuntimeError("database is away")
    ship = Shipper(tmp_path, sink)
    running = Running(ship)
    eventually(lambda: ship._failures == 1)
    assert running.stop() is False
    assert ship._failures == 2


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
