"""Events on the wire: written, cut anywhere, and read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.contract.serversentevents import LINE_LIMIT, PING, Decoder, Event, EventType, MalformedEvents, encode

DATA = Event(EventType.DATA, b'{"a":1}')
events = st.lists(
    st.builds(
        Event,
        st.sampled_from(EventType),
        st.lists(st.binary(min_size=1).filter(lambda line: not {10, 13} & set(line)), max_size=3).map(b"\n".join),
    )
)


def decoded(*pieces: bytes) -> list[Event]:
    decoder = Decoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    decoder.finish()
    return found


def test_an_event_is_its_type_then_its_data_then_a_blank_line() -> None:
    assert encode(DATA) == b'event: data\ndata: {"a":1}\n\n'
    assert encode(PING) == b"event: ping\n\n"
    assert encode(Event(EventType.ERROR, b"[1,\n2,\r\n3]")) == b"event: error\ndata: [1,\ndata: 2,\ndata: 3]\n\n"


@given(events=events, sizes=st.lists(st.integers(1, 40), min_size=1), end=st.sampled_from([b"\n", b"\r\n"]))
def test_what_was_written_is_read_however_it_is_cut(events: list[Event], sizes: list[int], end: bytes) -> None:
    text = b"".join(map(encode, events)).replace(b"\n", end)
    pieces: list[bytes] = []
    while text:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[:size])
        text = text[size:]
    assert decoded(*pieces) == events


@given(st.lists(st.binary()))
def test_anything_else_is_events_or_malformed(pieces: list[bytes]) -> None:
    decoder = Decoder(100)
    try:
        for piece in pieces:
            decoder.feed(piece)
        decoder.finish()
    except MalformedEvents:
        pass


def test_blank_lines_comments_and_other_fields_are_passed_over() -> None:
    assert decoded(b'\n\n: hello\nid: 7\nretry: 3\n\n\nevent:data\ndata:{"a":1}\n\n\n') == [DATA]


def test_a_byte_order_mark_may_be_at_the_start_only() -> None:
    assert decoded(b"\xef", b"\xbb", b"\xbfevent: ping\n\n") == [PING]
    assert decoded(b"\n", b"\xef\xbb\xbfevent: x\n\n") == []


def test_a_carriage_return_alone_ends_lines() -> None:
    assert decoded(b"event: ping\r\revent: ping\r\r\n") == [PING, PING]


@pytest.mark.parametrize(
    ("kind", "shown"), [(b"pong", "'pong'"), (b"", "''"), (b"\xff", "xff"), (b"x" * 99, f"'{'x' * 64}'")]
)
def test_a_type_that_is_not_ours_is_named(kind: bytes, shown: str) -> None:
    with pytest.raises(MalformedEvents, match="ping, data, error is allowed") as caught:
        decoded(b"event: %b\n\n" % kind)
    assert shown in str(caught.value)


def test_data_without_a_type_is_malformed() -> None:
    with pytest.raises(MalformedEvents, match="no type"):
        decoded(b"data: 1\n\n")


@pytest.mark.parametrize("rest", [b"event: ping", b"event: ping\n", b"data: 1\n", b"event: data\ndata: 1\n"])
def test_half_an_event_at_the_end_is_malformed(rest: bytes) -> None:
    with pytest.raises(MalformedEvents, match="ends within"):
        decoded(encode(DATA), rest)


def test_a_line_that_never_ends_does_not_fill_the_memory() -> None:
    decoder = Decoder()
    for _ in range(LINE_LIMIT // 65536):
        assert decoder.feed(b"x" * 65536) == []
    with pytest.raises(MalformedEvents, match=f"a line is longer than {LINE_LIMIT} bytes"):
        decoder.feed(b"x")


def test_an_event_that_never_ends_does_not_either() -> None:
    decoder = Decoder(100)
    decoder.feed(b"event: data\n")
    with pytest.raises(MalformedEvents, match="an event is longer than 100 bytes"):
        decoder.feed(b"data: 123456789\n" * 11)
    decoder = Decoder(100)
    for _ in range(20):
        assert decoder.feed(b"event: data\ndata: 123456789\n\n") == [Event(EventType.DATA, b"123456789")]
