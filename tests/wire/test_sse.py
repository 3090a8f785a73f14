"""The splitter of event streams, whatever the protocol."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import LINE_ENDS, cut, pieces_of

from aibridge.wire import sse
from aibridge.wire.event import Event
from aibridge.wire.sse import BATCH, LIMIT, STRIDE, EventScanner

NEEDLE = b'"usage"'


def scan(*pieces: bytes) -> list[Event]:
    found: list[Event] = []
    scanner = EventScanner((NEEDLE,), found.append)
    for piece in pieces:
        scanner.feed(piece)
    scanner.finish()
    return found


def test_the_first_event_is_given_whatever_it_holds_and_later_ones_for_their_needle() -> None:
    stream = b'data: first\n\ndata: second\n\ndata: {"usage":1}\n\ndata: last\n\n'
    assert scan(stream) == [Event(b"", b"first"), Event(b"", b'{"usage":1}')]


def test_the_first_piece_is_looked_at_at_once_and_later_ones_by_the_batch() -> None:
    found: list[Event] = []
    scanner = EventScanner((NEEDLE,), found.append)
    scanner.feed(b"data: first\n\n")
    assert found == [Event(b"", b"first")]
    scanner.feed(b'data: {"usage":1}\n\n')
    assert len(found) == 1
    scanner.feed(b": padding\n\n" * (BATCH // 11))
    assert found[1:] == [Event(b"", b'{"usage":1}')]


def test_one_space_after_the_colon_is_the_grammars_and_the_rest_is_data() -> None:
    assert scan(b"event: name\ndata:  two\n\n") == [Event(b"name", b" two")]
    assert scan(b"event:name\ndata:none\n\n") == [Event(b"name", b"none")]


def test_data_lines_are_joined_by_a_line_feed() -> None:
    assert scan(b"data: a\ndata\ndata: b\n\n") == [Event(b"", b"a\n\nb")]


def test_comments_unknown_fields_and_events_without_data_are_passed_over() -> None:
    assert scan(b": hello\n\nevent: ping\n\nid: 7\nretry: 1\n\nid: 8\ndata: a\n\n") == [Event(b"", b"a")]


def test_a_byte_order_mark_at_the_start_is_no_part_of_the_first_field() -> None:
    assert scan(b"\xef\xbb\xbfdata: a\n\n") == [Event(b"", b"a")]
    assert scan(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [Event(b"", b"a")]


@pytest.mark.parametrize(
    "stream",
    [
        b'data: a\r\n\r\ndata: "usage"\r\n\r\n',
        b'data: a\r\rdata: "usage"\r\r',
        b'data: a\n\r\ndata: "usage"\r\n\n',
        b'data: a\r\n\rdata: "usage"\r\r\n',
    ],
)
def test_all_line_ends_of_the_grammar_end_a_line(stream: bytes) -> None:
    assert scan(stream) == [Event(b"", b"a"), Event(b"", b'"usage"')]


def test_a_line_end_cut_in_two_is_still_one() -> None:
    # Were the CR taken for a line end of its own, the LF after it would be a blank line and end the event.
    assert scan(b"event: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [Event(b"a", b"b")]


def test_a_last_event_without_its_blank_line_is_given_at_the_end() -> None:
    assert scan(b'data: a\n\ndata: {"usage":1}') == [Event(b"", b"a"), Event(b"", b'{"usage":1}')]
    assert scan(b'data: a\n\ndata: {"usage":1}\r') == [Event(b"", b"a"), Event(b"", b'{"usage":1}')]


def test_a_needle_cut_in_two_is_found() -> None:
    padding = b": x\n\n" * BATCH
    assert scan(b"data: a\n\n", padding + b'data: {"us', b'age":1}\n\n' + padding)[1:] == [Event(b"", b'{"usage":1}')]


@settings(max_examples=300)
@given(st.data())
def test_cuts_do_not_matter(data: st.DataObject) -> None:
    lines = st.sampled_from(
        [b"", b"", b"data: a", b'data: {"usage":1}', b"data", b"event: x", b": c", b'data:"usage"', b"\xef\xbb\xbf"]
    )
    stream = b"".join(data.draw(st.lists(st.tuples(lines, LINE_ENDS).map(b"".join), max_size=20)))
    assert scan(*data.draw(pieces_of(stream))) == scan(stream)


@settings(max_examples=60)
@given(st.data())
def test_cuts_do_not_matter_over_many_batches(data: st.DataObject) -> None:
    event = b'data: {"usage":"' + b"x" * 3000 + b'"}\r\n\r\n'
    stream = (event + b"data: delta\n\n" * 300) * 5
    assert len(scan(stream)) == 5
    assert scan(*data.draw(pieces_of(stream))) == scan(stream)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    scan(*pieces)


def oversized(size: int) -> bytes:
    return b'data: "usage"' + b"x" * size + b'\ndata: "usage"\n\n'


@pytest.mark.parametrize("piece", [1 << 16, (1 << 18) + 1, 1 << 24])
def test_an_event_over_the_limit_is_skipped_and_counted_and_the_next_is_found(piece: int) -> None:
    stream = b"data: a\n\n" + oversized(LIMIT) + b'data: {"usage":1}\n\n' + oversized(LIMIT) + b'data: {"usage":2}\n\n'
    found: list[Event] = []
    scanner = EventScanner((NEEDLE,), found.append)
    for part in cut(stream, range(piece, len(stream), piece)):
        scanner.feed(part)
    scanner.finish()
    assert [event.data for event in found] == [b"a", b'{"usage":1}', b'{"usage":2}']
    assert scanner.oversized == 2


def test_the_end_of_a_skipped_event_is_found_when_its_blank_line_is_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LIMIT", 5 * BATCH)
    rest_of_next = b"x" * 2 * BATCH
    for blank in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        for place in range(len(blank) + 1):
            found: list[Event] = []
            scanner = EventScanner((NEEDLE,), found.append)
            pieces = (
                b"data: a\n\n",
                b"data: " + b"x" * 6 * BATCH,
                b"x" * 6 * BATCH + blank[:place],
                blank[place:] + b'data: "usage"' + rest_of_next,
                b"\n\n" + b": padding\n\n" * BATCH,
            )
            for piece in pieces:
                scanner.feed(piece)
            assert [event.data for event in found] == [b"a", b'"usage"' + rest_of_next]
            assert scanner.oversized == 1


def test_memory_is_bounded_however_large_the_event() -> None:
    scanner = EventScanner((NEEDLE,), lambda _event: None)
    piece = b"x" * 10_000
    tracemalloc.start()
    try:
        for _ in range(3 * LIMIT // len(piece)):
            scanner.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # While looking, the held part exists twice: as it was, and with the fresh bytes behind it.
    assert peak < 2 * LIMIT + 4 * STRIDE
    assert scanner.oversized == 1


def test_empty_pieces_do_not_pile_up() -> None:
    scanner = EventScanner((NEEDLE,), lambda _event: None)
    for _ in range(10_000):
        scanner.feed(b"")
    assert len(scanner._pieces) < BATCH


def test_tiny_pieces_of_a_large_event_are_joined_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = EventScanner._look

    def counted(self: EventScanner) -> object:
        nonlocal looks
        looks += 1
        return look(self)

    monkeypatch.setattr(EventScanner, "_look", counted)
    scanner = EventScanner((NEEDLE,), lambda _event: None)
    for _ in range(1 << 16):
        scanner.feed(b"12345678")
    # Each look comes after as much as is held, up to a stride; a look for each batch would make 600 of them.
    assert looks < 50
