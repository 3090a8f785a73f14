"""A turn of the loop: what is said in it is written at its end, at once, and then those who wait are told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_samples import NOW, ended, ending, interception, line, started

from aibridge.ledger import segments
from aibridge.ledger.journal import Journal
from aibridge.ledger.turn import Turn


class Loop:
    """Runs what is to be done soon when it is told to."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def turn(self) -> None:
        (only,) = self.soon
        self.soon.clear()
        only()


def test_each_turn_is_one_line_however_much_was_said_in_it(tmp_path: Path) -> None:
    loop, ledger = Loop(), Journal.open(tmp_path, now=NOW)
    turn = Turn(ledger, loop.soon.append)
    path = segments.path_of(tmp_path, 1)
    turn.begin(interception("a"))
    turn.begin(interception("b"))
    assert path.read_bytes() == b""
    loop.turn()
    first = line(started("a"), started("b"))
    assert path.read_bytes() == first
    turn.end(ending("b"))
    turn.begin(interception("c"))
    loop.turn()
    assert path.read_bytes() == first + line(started("c"), ended("b"))
    turn.end(ending("c"))
    loop.turn()
    assert path.read_bytes() == first + line(started("c"), ended("b")) + line(ended("c"))
    assert loop.soon == []
    ledger.close()


def test_who_waits_is_told_once_and_after_the_writing(tmp_path: Path) -> None:
    loop, ledger = Loop(), Journal.open(tmp_path, now=NOW)
    turn = Turn(ledger, loop.soon.append)
    seen: list[bytes] = []
    turn.end(ending("a"))
    turn.written(lambda: seen.append(segments.path_of(tmp_path, 1).read_bytes()))
    assert seen == []
    loop.turn()
    assert seen == [line(ended("a"))]
    turn.written(lambda: seen.append(b"again"))
    loop.turn()
    assert seen[1:] == [b"again"]
    ledger.close()


def test_neither_a_record_that_cannot_be_written_nor_one_who_waited_holds_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loop, ledger = Loop(), Journal.open(tmp_path, now=NOW, segment_bytes=1)
    turn = Turn(ledger, loop.soon.append)
    seen: list[str] = []
    turn.begin(interception("a", model="\ud800"))
    turn.written(lambda: seen.remove("nothing"))
    turn.written(lambda: seen.append("told"))
    loop.turn()
    assert seen == ["told"]
    assert "1 records could not be written" in caplog.text
    turn.begin(interception("b"))
    turn.close()
    assert segments.unfinished(tmp_path) == ["b"]
    ledger.close()
