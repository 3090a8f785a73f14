"""The header policy alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.gateway.headers import HOP_BY_HOP, Headers, clean_query, to_client, to_provider
from aibridge.gateway.identify import CARRIERS

SECRET = b"canary"


def names(lines: list[bytes]) -> list[bytes]:
    return [line.partition(b":")[0] for line in b"".join(lines).split(b"\r\n") if line]


def up(headers: Headers) -> list[bytes]:
    return names(to_provider(headers, dict(headers)))


def down(headers: Headers) -> list[bytes]:
    return names(to_client(headers, dict(headers)))


def test_lines_are_written_as_they_came() -> None:
    headers = [(b"anthropic-beta", b"a, b"), (b"x", b"y"), (b"anthropic-beta", b"\xff c")]
    assert b"".join(to_provider(headers, dict(headers))) == b"anthropic-beta: a, b\r\nanthropic-beta: \xff c\r\n"
    assert b"".join(to_client(headers, dict(headers))) == b"anthropic-beta: a, b\r\nx: y\r\nanthropic-beta: \xff c\r\n"


@pytest.mark.parametrize("name", [*CARRIERS, *sorted(HOP_BY_HOP), b"cookie", b"host", b"content-length", b"expect"])
def test_no_credential_and_nothing_of_this_hop_goes_up(name: bytes) -> None:
    assert up([(name, SECRET)]) == []


@pytest.mark.parametrize("name", [*sorted(HOP_BY_HOP), b"set-cookie", b"alt-svc", b"content-length", b"x-api-key"])
def test_nothing_of_that_hop_comes_down(name: bytes) -> None:
    assert down([(name, SECRET)]) == []


@pytest.mark.parametrize(
    "connection",
    [
        [b"x-one"],
        [b"X-One , keep-alive"],
        [b"close", b"x-one"],
        [b"x-one", b"close"],
        [b"keep-alive,X-ONE"],
        [b"\tx-one\t"],
    ],
)
def test_what_connection_names_goes_nowhere_however_it_is_written(connection: list[bytes]) -> None:
    lines = [(b"connection", value) for value in connection]
    for headers in ([(b"x-one", SECRET), *lines], [*lines, (b"x-one", SECRET)]):
        assert down([*headers, (b"x-two", b"2")]) == [b"x-two"]
    named = [(b"connection", value.lower().replace(b"x-one", b"anthropic-beta")) for value in connection]
    assert up([*named, (b"anthropic-beta", SECRET), (b"accept", b"*/*")]) == [b"accept"]


def test_a_plain_connection_header_names_nothing() -> None:
    for value in (b"close", b"keep-alive", b"Keep-Alive", b""):
        assert down([(b"connection", value), (b"close", b"1"), (b"x", b"2")])[-1:] == [b"x"]


@given(st.lists(st.tuples(st.sampled_from([*CARRIERS, b"cookie", b"x-anything", b"forwarded"]), st.just(SECRET))))
def test_no_mixture_lets_a_canary_through(headers: Headers) -> None:
    assert SECRET not in b"".join(to_provider(headers, dict(headers)))


QUERIES = (
    (b"a=1&b=2", b"a=1&b=2"),
    (b"key=s", b""),
    (b"a=1&key=s&b=%20", b"a=1&b=%20"),
    (b"api_key=s&access_token=s&coder_session_token=s&z", b"z"),
    (b"KEY=s&Api_Key=s&a", b"a"),
    (b"monkey=1&keys=2&keyed", b"monkey=1&keys=2&keyed"),
    (b"a=key", b"a=key"),
    (b"&&a=1&&", b"&&a=1&&"),
    (b"%6bey=s&a=%6bey", b"a=%6bey"),
    (b"", b""),
)


@pytest.mark.parametrize(("query", "clean"), QUERIES)
def test_a_query_is_rid_of_credentials_and_nothing_else(query: bytes, clean: bytes) -> None:
    assert clean_query(query) == clean


@given(st.binary(max_size=40).filter(lambda query: b"key" not in query.lower() and b"token" not in query.lower()))
def test_a_query_without_credentials_stays_byte_for_byte(query: bytes) -> None:
    if b"%" not in query:
        assert clean_query(query) == query
