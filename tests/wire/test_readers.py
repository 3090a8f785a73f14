"""Readers of answers, apart from what the bytes mean: sizes, encodings, bombs."""

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import cut, nameless, pieces_of, read

from aibridge.domain.usage import Usage, UsageSource
from aibridge.wire.dialect import Reading
from aibridge.wire.openai_chat import DIALECT
from aibridge.wire.readers import BODY_LIMIT, INFLATED_IN_TOTAL, INFLATED_PER_FEED, InflatingReader

STREAM = nameless({"id": "c-1"}) + nameless({"choices": [], "usage": {"prompt_tokens": 3}}) + b"data: [DONE]\n\n"
BODY = b'{"id":"c-1","usage":{"prompt_tokens":3}}'
WHOLE = Reading(usage=Usage(input_tokens=3), source=UsageSource.PROVIDER, response_id="c-1", whole=True)


@pytest.mark.parametrize("encoding", [None, b"", b"identity", b" Identity "])
def test_what_is_not_encoded_is_read_as_it_is(encoding: bytes | None) -> None:
    assert read(DIALECT, [STREAM], content_encoding=encoding) == WHOLE
    assert read(DIALECT, [BODY], streaming=False, content_encoding=encoding) == WHOLE


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, br", b"nonsense"])
def test_an_encoding_we_cannot_decode_leaves_all_unknown(encoding: bytes) -> None:
    assert read(DIALECT, [STREAM], content_encoding=encoding) == Reading()
    assert read(DIALECT, [BODY], streaming=False, content_encoding=encoding) == Reading()


@pytest.mark.parametrize(
    ("encoding", "compressed"),
    [
        (b"gzip", gzip.compress),
        (b"x-gzip", gzip.compress),
        (b"GZIP", gzip.compress),
        (b"deflate", zlib.compress),
    ],
)
def test_a_compressed_answer_is_decoded_for_reading(encoding: bytes, compressed: object) -> None:
    assert callable(compressed)
    assert read(DIALECT, [compressed(STREAM)], content_encoding=encoding) == WHOLE
    assert read(DIALECT, [compressed(BODY)], streaming=False, content_encoding=encoding) == WHOLE


@settings(max_examples=100)
@given(pieces_of(gzip.compress(STREAM, mtime=0)))
def test_cuts_of_a_compressed_stream_do_not_matter(pieces: list[bytes]) -> None:
    assert read(DIALECT, pieces, content_encoding=b"gzip") == WHOLE


def test_a_compressed_stream_flushed_by_the_event_and_broken_off_is_read_so_far() -> None:
    deflater = zlib.compressobj(wbits=31)
    pieces = [
        deflater.compress(event) + deflater.flush(zlib.Z_SYNC_FLUSH) for event in cut(STREAM, [STREAM.index(b"[DONE")])
    ]
    reading = read(DIALECT, pieces[:1], content_encoding=b"gzip")
    assert (reading.usage, reading.whole) == (Usage(input_tokens=3), False)
    assert read(DIALECT, pieces, content_encoding=b"gzip") == WHOLE


def test_a_compressed_answer_larger_than_a_step_is_read() -> None:
    padded = nameless({"id": "c-1", "x": "y" * 1_000_000}) + STREAM
    assert read(DIALECT, [gzip.compress(padded)], content_encoding=b"gzip") == WHOLE


def test_bytes_after_the_end_of_a_compressed_answer_are_passed_over() -> None:
    reader = DIALECT.reader(streaming=True, content_encoding=b"gzip")
    reader.feed(gzip.compress(STREAM) + b"trailer")
    for _ in range(1000):
        reader.feed(b"trailer")
    assert isinstance(reader, InflatingReader)
    assert reader._inflater.unused_data == b"trailer"
    assert reader.finish() == WHOLE


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_what_is_not_compressed_as_it_says_never_raises(pieces: list[bytes]) -> None:
    assert read(DIALECT, pieces, content_encoding=b"gzip") == Reading()


def test_a_compressed_answer_that_breaks_is_unknown_altogether() -> None:
    deflater = zlib.compressobj(wbits=31)
    start = deflater.compress(STREAM) + deflater.flush(zlib.Z_SYNC_FLUSH)
    assert read(DIALECT, [start], content_encoding=b"gzip") == WHOLE
    assert read(DIALECT, [start, b"\xff" * 100, b"more"], content_encoding=b"gzip") == Reading()


def test_a_bomb_in_one_piece_is_given_up() -> None:
    bomb = gzip.compress(STREAM + b": " + b"x" * INFLATED_PER_FEED)
    assert len(bomb) < 20_000
    assert read(DIALECT, [bomb, b"more"], content_encoding=b"gzip") == Reading()


def test_a_bomb_in_many_pieces_is_given_up() -> None:
    event = b": " + b"x" * (1 << 20) + b"\n\n"
    deflater = zlib.compressobj(wbits=31)
    pieces = [deflater.compress(STREAM) + deflater.flush(zlib.Z_SYNC_FLUSH)]
    pieces += [
        deflater.compress(event) + deflater.flush(zlib.Z_SYNC_FLUSH) for _ in range(INFLATED_IN_TOTAL // len(event))
    ]
    assert read(DIALECT, pieces, content_encoding=b"gzip") == WHOLE
    pieces.append(deflater.compress(event * 2) + deflater.flush(zlib.Z_SYNC_FLUSH))
    assert read(DIALECT, pieces, content_encoding=b"gzip") == Reading()


def test_a_body_over_the_limit_is_unknown() -> None:
    padding = b" " * (BODY_LIMIT - len(BODY))
    assert read(DIALECT, [BODY, padding], streaming=False) == WHOLE
    assert read(DIALECT, [BODY, padding, b" ", BODY], streaming=False) == Reading()
    assert read(DIALECT, [padding, b" " * len(BODY), BODY], streaming=False) == Reading()


def test_a_body_nested_too_deeply_is_unknown() -> None:
    assert read(DIALECT, [b'{"x":' + b"[" * 100_000], streaming=False) == Reading()
