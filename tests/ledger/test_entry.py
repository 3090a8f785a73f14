"""Journal lines: what is whole is read, what is not is neither invented nor in the way."""

from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import EARLIER_END, EARLIER_START, Record, ended, ending, interception, line, started

from aibridge.domain.interception import Ending, Interception
from aibridge.domain.row import end_of, start_of
from aibridge.domain.usage import Usage
from aibridge.ledger.entry import MOST_IN_LINE, Reading, encode, read

LINES: list[list[Record]] = [[started("a"), started("b")], [started("c"), ended("a")], [ended("b")], [started("d")]]
ENCODED = [line(*records) for records in LINES]
DATA = b"".join(ENCODED)
RECORDS = [record for records in LINES for record in records]


def records_of(reading: Reading) -> list[Record]:
    return [*reading.started, *reading.ended]


def checked(payload: bytes) -> bytes:
    return b"%08x %b\n" % (crc32(payload), payload)


def test_a_line_is_checksum_space_json_newline() -> None:
    data = line(started("a"), ended("b"))
    checksum, payload = data.split(b" ", 1)
    assert len(checksum) == 8
    begun, over = msgspec.json.decode(payload)
    assert (begun[0][0], over[0][0]) == ("a", "b")
    assert data.count(b"\n") == 1
    assert data.endswith(b"]]\n")


@given(st.lists(st.builds(Interception)), st.lists(st.builds(Ending)))
def test_what_was_encoded_is_read_back(begun: list[Interception], over: list[Ending]) -> None:
    starts, ends = [*map(start_of, begun)], [*map(end_of, over)]
    data = encode(starts, ends)
    assert read(data) == (starts, ends, bool(starts or ends), len(data), 0)


def test_a_line_holds_no_more_records_than_may_be_lost_at_once() -> None:
    names = [f"i{count}" for count in range(MOST_IN_LINE)]
    starts, ends = [*map(started, names)], [*map(ended, names)]
    assert read(encode(starts, [])).lines == 1
    assert read(encode(starts[1:], ends[:1])).lines == 1
    assert read(encode(starts, ends[:1])).lines == 2
    assert read(encode(starts + starts, ends + ends[:1])).lines == 4


def test_a_cut_at_any_byte_leaves_exactly_the_whole_lines_before_it() -> None:
    for cut in range(len(DATA) + 1):
        whole = 0
        while sum(map(len, ENCODED[: whole + 1])) <= cut and whole < len(LINES):
            whole += 1
        reading = read(DATA[:cut])
        expected = [record for records in LINES[:whole] for record in records]
        assert sorted(records_of(reading), key=str) == sorted(expected, key=str)
        assert reading[2:] == (whole, sum(map(len, ENCODED[:whole])), 0)


def test_one_damaged_byte_costs_at_most_its_own_line() -> None:
    for offset in range(len(DATA)):
        for damage in (0x01, 0x20, 0x80, DATA[offset] ^ ord("\n")):
            if damage == 0:
                continue
            bad = bytearray(DATA)
            bad[offset] ^= damage
            reading = read(bytes(bad))
            found = records_of(reading)
            assert all(record in RECORDS for record in found)
            lost = [records for records in LINES if not all(record in found for record in records)]
            assert len(lost) <= 1
            # A damaged last newline is a line that was never finished; any other damaged newline costs nothing.
            assert reading.damaged >= len(lost) or offset == len(DATA) - 1


@settings(max_examples=300)
@given(st.data())
def test_many_damaged_bytes_never_raise_and_never_invent(data: st.DataObject) -> None:
    bad = bytearray(DATA)
    for offset in data.draw(st.lists(st.integers(0, len(DATA) - 1), min_size=1, max_size=20)):
        bad[offset] = data.draw(st.integers(0, 255))
    assert all(record in RECORDS for record in records_of(read(bytes(bad))))


@given(st.binary(max_size=300))
def test_garbage_never_raises_and_is_no_record(garbage: bytes) -> None:
    reading = read(garbage + b"\n")
    assert records_of(reading) == []
    assert reading.end == len(garbage) + 1


@given(st.binary(max_size=100).filter(lambda noise: b"\n" not in noise), st.integers(0, len(LINES) - 1))
def test_half_a_line_does_not_swallow_the_whole_one_behind_it(noise: bytes, which: int) -> None:
    reading = read(ENCODED[0][:50] + noise + ENCODED[which])
    assert records_of(reading) == LINES[which]


@pytest.mark.parametrize("forged", [line(started("forged")), line(ended("forged")), EARLIER_END])
def test_text_of_a_client_is_never_taken_for_a_record(forged: bytes) -> None:
    data = encode([start_of(interception("true", user_agent=f"x {forged.decode().strip()} "))], [])
    assert records_of(read(data.replace(b"true", b"lost"))) == []


@pytest.mark.parametrize(
    "payload", [b'{"type":"later"}', b'[[["a"]],[]]', b"[[],[],[]]", b'{"type":"started"}', b"\xff"]
)
def test_a_whole_line_of_an_unknown_kind_is_passed_over(payload: bytes) -> None:
    strange = checked(payload)
    assert read(strange + ENCODED[3]) == ([started("d")], [], 2, len(strange) + len(ENCODED[3]), 1)


def test_lines_of_an_earlier_version_are_read() -> None:
    data = EARLIER_START + EARLIER_END
    assert read(data) == ([started("a")], [ended("a")], 2, len(data), 0)


def test_a_line_of_an_earlier_version_is_found_behind_half_a_line() -> None:
    assert records_of(read(ENCODED[0][:50] + EARLIER_START)) == [started("a")]
    assert records_of(read(EARLIER_END[:50] + ENCODED[0])) == LINES[0]


def test_what_was_used_is_written_as_the_database_keeps_it() -> None:
    _, _, use = end_of(ending("a"))
    assert use == ("a", 12, 345, 0, 0, '{"output_reasoning":6}', "provider")
    ((_, _, nothing),) = read(encode([], [end_of(msgspec.structs.replace(ending("b"), usage=Usage()))])).ended
    assert nothing == ("b", 0, 0, 0, 0, "{}", "provider")
