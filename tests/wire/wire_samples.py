"""What the tests of the codecs share: reading an answer piece by piece, and cutting it anywhere."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from aibridge.wire.dialect import Dialect, Reading


def read(
    dialect: Dialect, pieces: Iterable[bytes], *, streaming: bool = True, content_encoding: bytes | None = None
) -> Reading:
    reader = dialect.reader(streaming=streaming, content_encoding=content_encoding)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def read_body(dialect: Dialect, body: object) -> Reading:
    return read(dialect, [json.dumps(body).encode()], streaming=False)


def named(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def nameless(data: object) -> bytes:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def pieces_of(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """The same bytes, cut at any places."""
    return st.lists(st.integers(0, len(data)), max_size=40).map(lambda places: cut(data, places))


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.5, 1e300, float("nan"), float("inf"), 2**53 + 1, 10**4000),
    *("", "x", "error", "message_start", "message_delta", "message_stop", "response.completed", "\ud83d", "\U0001f600"),
    *([], [1], [[]], {}, {"a": 1}),
]


def objects_with(fields: Iterable[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the fields a reader looks for, and anything for their values, such objects again included."""
    names = st.sampled_from(sorted(fields))
    inner = st.dictionaries(names, st.sampled_from(ODD), max_size=4)
    middle = st.dictionaries(names, st.sampled_from(ODD) | inner, max_size=4)
    return st.dictionaries(names, st.sampled_from(ODD) | middle, max_size=4)


SPELLINGS = [
    "-0",
    "1.0",
    "1e2",
    "1e999",
    "-1",
    str(2**53),
    str(2**53 + 1),
    str(10**15),
    "9" * 5000,
    r'"\ud83d"',
    "{",
    "",
]


@st.composite
def altered(draw: st.DrawFn, value: Any) -> str:
    """The JSON of `value`, in which a few members are left out, doubled, or have something else in their place."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(ODD).map(json.dumps) | st.sampled_from(SPELLINGS))
    if not isinstance(value, dict):
        return json.dumps(value)
    times = st.sampled_from([1] * 18 + [0, 2])
    members = [
        f"{json.dumps(name)}:{draw(altered(member))}" for name, member in value.items() for _ in range(draw(times))
    ]
    return f"{{{','.join(members)}}}"
