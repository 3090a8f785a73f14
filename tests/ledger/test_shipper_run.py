"""The shipper at work: when it ships, when it waits, what it tells, and how it ends."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_samples import NOW, MemorySink, begin, end, write

from aibridge.ledger import segments, shipper
from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Progress, Shipper

PATIENCE = 10.0


def eventually(fact: Callable[[], bool]) -> None:
    """Wait for another thread to make it true."""
    until = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < until
        threading.Event().wait(0.002)


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
    begin(ledger, "a")
    end(ledger, "a")
    eventually(lambda: sink.ended == ["a"])
    end(ledger, "b")
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
