"""Journal lines: what is whole is read, what is not is neither invented nor in the way."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import ended, interception, started

from aibridge.domain.interception import Ending, Interception
from aibridge.ledger.entry import Ended, Entry, Started, encode, read

RECORDS: list[Entry] = [started("a"), started("b"), ended("a"), ended("b"), started("c")]
LINES = [encode(record) for record in RECORDS]
DATA = b"".join(LINES)


def test_a_line_is_checksum_space_json_newline() -> None:
    line = encode(started("a"))
    checksum, payload = line.split(b" ", 1)
    assert len(checksum) == 8
    assert msgspec.json.decode(payload)["type"] == "started"
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")


@given(st.builds(Interception), st.builds(Ending))
def test_what_was_encoded_is_read_back(begun: Interception, over: Ending) -> None:
    records: list[Entry] = [Started(interception=begun), Ended(ending=over)]
    data = b"".join(encode(record) for record in records)
    assert read(data) == (records, 2, len(data), 0)


def test_a_cut_at_any_byte_leaves_exactly_the_whole_records_before_it() -> None:
    for cut in range(len(DATA) + 1):
        whole = 0
        while whole < len(LINES) and sum(map(len, LINES[: whole + 1])) <= cut:
            whole += 1
        reading = read(DATA[:cut])
        assert reading == (RECORDS[:whole], whole, sum(map(len, LINES[:whole])), 0)


def test_one_damaged_byte_costs_at_most_its_own_record() -> None:
    for offset in range(len(DATA)):
        for damage in (0x01, 0x20, 0x80, DATA[offset] ^ ord("\n")):
            if damage == 0:
                continue
            bad = bytearray(DATA)
            bad[offset] ^= damage
            reading = read(bytes(bad))
            assert all(entry in RECORDS for entry in reading.entries)
            lost = len(RECORDS) - len(reading.entries)
            assert lost <= 1
            # A damaged last newline is a line that was never finished; any other damaged newline costs nothing.
            assert reading.damaged >= lost or offset == len(DATA) - 1


@settings(max_examples=300)
@given(st.data())
def test_many_damaged_bytes_never_raise_and_never_invent(data: st.DataObject) -> None:
    bad = bytearray(DATA)
    for offset in data.draw(st.lists(st.integers(0, len(DATA) - 1), min_size=1, max_size=20)):
        bad[offset] = data.draw(st.integers(0, 255))
    assert all(entry in RECORDS for entry in read(bytes(bad)).entries)


@given(st.binary(max_size=300))
def test_garbage_never_raises_and_is_no_record(garbage: bytes) -> None:
    reading = read(garbage + b"\n")
    assert reading.entries == []
    assert reading.end == len(garbage) + 1


@given(st.binary(max_size=100).filter(lambda noise: b"\n" not in noise))
def test_a_half_record_does_not_swallow_the_whole_one_behind_it(noise: bytes) -> None:
    reading = read(LINES[0][:50] + noise + LINES[1])
    assert reading.entries == [RECORDS[1]]


def test_text_of_a_client_is_never_taken_for_a_record() -> None:
    forged = encode(started("forged")).decode().strip()
    line = encode(Started(interception=interception("true", user_agent=f"x {forged} ")))
    assert read(line.replace(b"true", b"lost")).entries == []


def test_a_whole_record_of_an_unknown_kind_is_passed_over() -> None:
    class Later(msgspec.Struct, tag="later"):
        pass

    strange = encode(Later())  # type: ignore[arg-type]
    assert read(strange + LINES[0]) == ([RECORDS[0]], 2, len(strange) + len(LINES[0]), 1)


def test_reading_stops_after_the_wanted_number_of_lines() -> None:
    assert read(DATA, 2) == (RECORDS[:2], 2, len(LINES[0] + LINES[1]), 0)
