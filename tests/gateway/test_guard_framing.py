"""Requests that two parsers could read in two ways: refused whole, with nothing forwarded (RFC 9112, 6.3 and 11.2)."""

import json

import pytest
from gateway_world import World, gateway, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_samples import CHAT

BODY = CHAT.body
PLAIN = b"content-length: %d" % len(BODY)
HIDDEN = (
    b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: hidden\r\n%T\r\n"
    b"connection: close\r\ncontent-length: 66\r\n\r\n"
    b'{"model":"hidden","messages":[{"role":"user","content":"hidden"}]}'
)


def chunked(head: bytes = b"transfer-encoding: chunked") -> bytes:
    return head + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


REFUSED: dict[str, bytes] = {
    "length and chunks": b"host: a\r\n%T\r\n" + PLAIN + b"\r\n" + chunked(),
    "chunks and length": b"host: a\r\n%T\r\ntransfer-encoding: chunked\r\n" + chunked(PLAIN),
    "two lengths": b"host: a\r\n%T\r\ncontent-length: 3\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "two equal lengths": b"host: a\r\n%T\r\n" + PLAIN + b"\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "a list of lengths": b"host: a\r\n%T\r\ncontent-length: 3, 3\r\n\r\n" + BODY,
    "a negative length": b"host: a\r\n%T\r\ncontent-length: -3\r\n\r\n" + BODY,
    "a length with a sign": b"host: a\r\n%T\r\ncontent-length: +3\r\n\r\n" + BODY,
    "a hexadecimal length": b"host: a\r\n%T\r\ncontent-length: 0x3\r\n\r\n" + BODY,
    "an endless length": b"host: a\r\n%T\r\ncontent-length: 99999999999999999999999\r\n\r\n" + BODY,
    "a length with a space": b"host: a\r\n%T\r\ncontent-length: 1 2\r\n\r\n" + BODY,
    "gzip": b"host: a\r\n%T\r\n" + chunked(b"transfer-encoding: gzip"),
    "chunked and identity": b"host: a\r\n%T\r\n" + chunked(b"transfer-encoding: chunked, identity"),
    "chunked twice": b"host: a\r\n%T\r\n" + chunked(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
    "chunked, disguised": b"host: a\r\n%T\r\n" + chunked(b"transfer-encoding: xchunked"),
    "chunked, tabbed": b"host: a\r\n%T\r\n" + chunked(b"transfer-encoding: \x0bchunked"),
    "chunked, quoted": b"host: a\r\n%T\r\n" + chunked(b'transfer-encoding: "chunked"'),
    "a chunk size that is none": b"host: a\r\n%T\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n",
    "a chunk size with 0x": b"host: a\r\n%T\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n",
    "a negative chunk size": b"host: a\r\n%T\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n",
    "a chunk size too large": b"host: a\r\n%T\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi\r\n0\r\n",
    "a chunk with a bare LF": b"host: a\r\n%T\r\ntransfer-encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
    "a chunk longer than it says": b"host: a\r\n%T\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhixx\r\n0\r\n\r\n",
    "a folded header": b"host: a\r\n%T\r\nx-folded: one\r\n two\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "a folded first header": b" x: y\r\nhost: a\r\n%T\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "bare LFs": b"host: a\n%T\n" + PLAIN + b"\n\n" + BODY,
    "a bare CR": b"host: a\r\n%T\r\nx: a\rb\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "a NUL in a value": b"host: a\r\n%T\r\nx: a\0b\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "a NUL in a name": b"host: a\r\n%T\r\nx\0: b\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "a space before the colon": b"host: a\r\n%T\r\ncontent-length : 3\r\n\r\n" + BODY,
    "a tab before the colon": b"host: a\r\n%T\r\ntransfer-encoding\t: chunked\r\n\r\n" + BODY,
    "a name without a colon": b"host: a\r\n%T\r\nwhatever\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "an empty name": b"host: a\r\n%T\r\n: value\r\n" + PLAIN + b"\r\n\r\n" + BODY,
}
REFUSED_AT_THE_HEAD: dict[str, bytes] = {
    "no host": b"%T\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "two hosts": b"host: a\r\nhost: b\r\n%T\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "two equal hosts": b"host: a\r\nhost: a\r\n%T\r\n" + PLAIN + b"\r\n\r\n" + BODY,
    "gzip and chunked": b"host: a\r\n%T\r\n" + chunked(b"transfer-encoding: gzip, chunked"),
}
"""What the parser takes, and the guard does not."""
REQUEST_LINES: dict[str, bytes] = {
    "an unknown version": b"POST /openai/v1/chat/completions HTTP/9.1\r\n",
    "a method of lower case": b"post /openai/v1/chat/completions HTTP/1.1\r\n",
    "an unknown method": b"POSTS /openai/v1/chat/completions HTTP/1.1\r\n",
    "a space in the target": b"POST /openai/v1/chat/ completions HTTP/1.1\r\n",
    "a preface of HTTP/2": b"PRI * HTTP/2.0\r\n",
    "CONNECT": b"CONNECT api.openai.com:443 HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01",
}
SOUND_LINE = b"POST /openai/v1/chat/completions HTTP/1.1\r\n"


async def refuses(world: World, request: bytes, *, at_once: bool = True) -> None:
    """A request is refused, and with it the one that follows, in the same read or not."""
    client = await world.client()
    await client.send(
        (request + (HIDDEN if at_once else b"")).replace(b"%T", b"authorization: Bearer " + world.token.encode())
    )
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), head
    assert b"connection: close" in head
    told = json.loads(body)
    assert told["message"] == told["error"]["message"]
    await world.settled()
    assert world.upstream.requests == []


@pytest.mark.parametrize("rest", REFUSED.values(), ids=REFUSED.keys())
def test_an_ambiguous_head_or_body_is_a_400_and_not_forwarded(rest: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            await refuses(world, SOUND_LINE + rest)

    run(test())


@pytest.mark.parametrize("rest", REFUSED_AT_THE_HEAD.values(), ids=REFUSED_AT_THE_HEAD.keys())
@pytest.mark.parametrize(
    "at_once",
    [
        False,
        True,
    ],
)
def test_what_is_refused_at_its_head_takes_along_what_follows(rest: bytes, at_once: bool) -> None:
    async def test() -> None:
        async with gateway() as world:
            await refuses(world, SOUND_LINE + rest, at_once=at_once)

    run(test())


@pytest.mark.parametrize("version", [b"", b" HTTP/0.9", b" HTTP/2.0"])
def test_a_version_that_is_not_served_is_a_400(version: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            line = b"POST /openai/v1/chat/completions%b\r\n" % version
            await refuses(world, line + b"host: a\r\n%T\r\n" + PLAIN + b"\r\n\r\n" + BODY, at_once=False)

    run(test())


@pytest.mark.parametrize("line", REQUEST_LINES.values(), ids=REQUEST_LINES.keys())
def test_a_request_line_that_is_none_is_a_400(line: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            await refuses(world, line + b"host: a\r\n%T\r\n" + PLAIN + b"\r\n\r\n" + BODY)

    run(test())


def test_chunks_in_http_1_0_are_a_400() -> None:
    async def test() -> None:
        async with gateway() as world:
            await refuses(world, SOUND_LINE.replace(b"1.1", b"1.0") + b"host: a\r\n%T\r\n" + chunked())

    run(test())


@pytest.mark.parametrize("cut", [1, 7, 64])
def test_a_payload_is_refused_however_it_is_cut(cut: int) -> None:
    async def test() -> None:
        async with gateway() as world:
            for name in ("length and chunks", "two equal lengths", "a folded header", "gzip"):
                client = await world.client()
                request = SOUND_LINE + REFUSED[name].replace(b"%T", b"authorization: Bearer " + world.token.encode())
                for at in range(0, len(request), cut):
                    if client.writer.is_closing():
                        break
                    client.writer.write(request[at : at + cut])
                raw = await client.rest()
                assert raw.startswith(b"HTTP/1.1 400 "), name
                assert raw.count(b"HTTP/1.1 ") == 1
            await world.settled()
            assert world.upstream.requests == []

    run(test())


def test_who_was_turned_away_is_not_answered_again_for_a_body_that_is_none() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(SOUND_LINE + b"host: a\r\ntransfer-encoding: chunked\r\n\r\nno chunk\r\n")
            raw = await client.rest()
            assert raw.startswith(b"HTTP/1.1 401 ")
            assert raw.count(b"HTTP/1.1 ") == 1

    run(test())


PIECES = [
    b"host: a\r\n",
    b"%T\r\n",
    b"content-length: 0\r\n",
    b"content-length: 64\r\n",
    b"Content-Length:5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"connection: close\r\n",
    b"upgrade: h2c\r\nconnection: upgrade\r\n",
    b"upgrade: websocket\r\nconnection: upgrade\r\n",
    b"expect: 100-continue\r\n",
    b"x: y\r\n",
    b"\r\n",
    b"\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b'{"model":"m"}',
    SOUND_LINE,
    b"GET /openai/v1/models HTTP/1.1\r\n",
    b"HEAD /openai HTTP/1.1\r\n",
]


@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), min_size=8, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_mixture_of_parts_lets_a_byte_of_one_request_become_anothers_head(mixtures: list[list[bytes]]) -> None:
    async def test() -> None:
        async with gateway() as world:
            for mixture in mixtures:
                client = await world.client()
                await client.send(SOUND_LINE + b"".join(mixture).replace(b"%T", b"x-api-key: " + world.token.encode()))
                client.writer.write_eof()
                await client.rest()
            await world.settled()
            for line in world.upstream.lines:
                seen = [r for r in world.upstream.requests if r.line is line]
                whole = b"".join(r.head + b"\r\n\r\n" + r.body for r in seen)
                assert bytes(line.received) == whole, "the provider could read more, or less, than was sent"
                for request in seen:
                    assert len(request.values(b"host")) == 1
                    assert request.values(b"transfer-encoding") == []

    run(test())
