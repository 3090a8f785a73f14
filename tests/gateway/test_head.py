"""A head that a connection repeats is not parsed again: it has to mean what the parser would make of it."""

import asyncio
from time import time

import httptools
import pytest
from gateway_world import gateway, run
from hypothesis import example, given
from hypothesis import strategies as st
from layer_cases import ROUTES, route
from vendor_samples import CHAT

from aibridge.gateway.guarded import GuardedProtocol
from aibridge.gateway.head import Familiar, Head, familiar
from aibridge.gateway.headers import Headers

LINES = (b"POST /openai/v1/chat/completions HTTP/1.1", b"Host: a", b"Authorization: Bearer aib_x", b"X-More: 1")


class Parsed:
    """What httptools makes of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.heads: list[tuple[bytes, Headers]] = []
        self.bodies: list[bytes] = []
        self.complete = 0
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.complete = -1

    def on_message_begin(self) -> None:
        self.heads.append((b"", []))
        self.bodies.append(b"")

    def on_url(self, url: bytes) -> None:
        self.heads[-1] = (self.heads[-1][0] + url, self.heads[-1][1])

    def on_header(self, name: bytes, value: bytes) -> None:
        self.heads[-1][1].append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.bodies[-1] += body

    def on_message_complete(self) -> None:
        self.complete += 1

    @property
    def whole(self) -> bool:
        """Whether it was one request, and all of it."""
        return self.complete == len(self.heads) == 1

    @property
    def rest_of_head(self) -> tuple[bytes, Headers]:
        """The head without the length."""
        url, headers = self.heads[0]
        return url, [header for header in headers if header[0] != b"content-length"]


def request(body: bytes, *lines: bytes, length: bytes = b"content-length: %d") -> bytes:
    length = length % len(body) if b"%d" in length else length
    return b"\r\n".join((*LINES, *lines[:1], length, *lines[1:], b"", body))


def head(headers: Headers) -> Head:
    return Head(
        route=route(),
        method=b"POST",
        upstream_path=b"/v1/chat/completions",
        query=b"",
        headers=headers,
        fields=dict(headers),
        address="192.0.2.1",
    )


def remembered(data: bytes) -> Familiar | None:
    """As the protocol does it: when the parser took the bytes for one whole request."""
    parsed = Parsed(data)
    return familiar(data, head(parsed.heads[0][1]), ROUTES) if parsed.whole else None


def known(data: bytes) -> Familiar:
    found = remembered(data)
    assert found is not None
    return found


@pytest.mark.parametrize("body", [b"", b"x", b"\r\n\r\n", b"content-length: 1\r\n\r\n", b'{"model": "m"}' * 500])
def test_the_same_head_is_known_again_whatever_the_length(body: bytes) -> None:
    for first in (b"", b"a body", b"\r\n\r\n"):
        for lines in ((), (b"Accept: */*",), (b"Accept: */*", b"X-Last: 2")):
            assert known(request(first, *lines)).content_of(request(body, *lines)) == body


@pytest.mark.parametrize("around", [0, 10, 100, 1000, 10_000, 100_000])
def test_a_length_may_get_another_digit(around: int) -> None:
    found = known(request(b"first"))
    for size in range(max(0, around - 12), around + 12):
        whole, body = request(b"x" * size), b"x" * size
        assert [found.content_of(whole) for _ in range(2)] == [body, body]
        assert found.content_of(whole + b"x") is None
        if size:
            assert found.content_of(whole[:-1]) is None


@pytest.mark.parametrize(
    "other",
    [
        request(b"hello")[:-1],
        request(b"hello") + b"x",
        request(b"hello") + request(b"hello"),
        request(b"hello").replace(b"aib_x", b"aib_y"),
        request(b"hello").replace(b"X-More", b"x-more"),
        request(b"hello").replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(b"hello").replace(b"content-length: 5", b"content-length: +5"),
        request(b"hello").replace(b"content-length: 5", b"content-length: 5 "),
        request(b"hello").replace(b"content-length: 5", b"content-length: 0x5"),
        request(b"hello").replace(b"content-length: 5", b"content-length: "),
        request(b"hello").replace(b"content-length: 5", b"content-length: 00000000005"),
        request(b"hello").replace(b"content-length: 5", b"content-length: 5\r\ncontent-length: 5"),
        b"\r\n" + request(b"hello"),
        request(b"hello")[:40],
        b"",
    ],
)
def test_what_is_not_the_same_head_and_a_whole_body_is_left_to_the_parser(other: bytes) -> None:
    assert known(request(b"first")).content_of(other) is None


@pytest.mark.parametrize(
    "lines",
    [
        (b"Expect: 100-continue",),
        (b"Upgrade: h2c", b"Connection: upgrade"),
        (b"X-More: 2",),
    ],
)
def test_heads_after_which_more_happens_or_with_a_name_twice_are_not_remembered(lines: tuple[bytes, ...]) -> None:
    parsed = Parsed(request(b"hello", *lines))
    assert familiar(request(b"hello", *lines), head(parsed.heads[0][1]), ROUTES) is None


def test_what_is_not_all_of_the_request_or_more_than_it_is_not_remembered() -> None:
    data = request(b"hello")
    found = head(Parsed(data).heads[0][1])
    assert familiar(data, found, ROUTES) is not None
    for other in (data[:-1], data + b"x", data + data):
        assert familiar(other, found, ROUTES) is None


def test_a_request_without_a_length_is_not_remembered() -> None:
    for body in (b"", b"2\r\nhi\r\n0\r\n\r\n"):
        assert remembered(request(body, length=b"transfer-encoding: chunked")) is None
    assert remembered(b"\r\n".join((*LINES, b"", b""))) is None


def test_an_empty_line_before_a_request_is_a_part_of_what_is_remembered() -> None:
    after_one = known(b"\r\n" + request(b"hello"))
    assert after_one.content_of(b"\r\n" + request(b"bye")) == b"bye"
    assert after_one.content_of(request(b"bye")) is None
    assert remembered(b"\r\n\r\n" + request(b"hello")) is None


PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b":", b" ", b"\t", b"0", b"1", b"5", b"12", b"content-length: 3", b"x"),
        *(b"Content-Length:7", b"Host: b", b"POST / HTTP/1.1", b"transfer-encoding: chunked", b"Connection: close"),
    ]
)


@given(
    first=st.lists(PIECES, max_size=4).map(b"".join),
    second=st.lists(PIECES, max_size=6).map(b"".join),
    at=st.integers(0, 200),
    dropped=st.integers(0, 12),
    put=st.lists(PIECES, max_size=3).map(b"".join),
    length=st.sampled_from(
        [b"content-length: %d", b"Content-Length:%d", b"content-length:\t%d ", b"CONTENT-LENGTH: 0%d"]
    ),
)
@example(first=b"", second=b"\r\n\r\n", at=0, dropped=0, put=b"", length=b"content-length: %d")
def test_whatever_is_known_again_the_parser_reads_in_the_same_way(
    *, first: bytes, second: bytes, at: int, dropped: int, put: bytes, length: bytes
) -> None:
    one = request(first, length=length)
    memory = remembered(one)
    other = request(second, length=length)
    for data in (other, other[:at] + put + other[at + dropped :], one[:at] + put + one[at + dropped :]):
        content = memory.content_of(data) if memory is not None else None
        if content is not None:
            parsed = Parsed(data)
            assert parsed.whole
            assert parsed.bodies == [content]
            assert parsed.rest_of_head == Parsed(one).rest_of_head


# On the wire


class Repeats:
    """Counts the requests that were not parsed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        repeated = GuardedProtocol.repeated

        def counted(protocol: GuardedProtocol) -> None:
            self.number += 1
            repeated(protocol)

        monkeypatch.setattr(GuardedProtocol, "repeated", counted)


@pytest.fixture
def repeats(monkeypatch: pytest.MonkeyPatch) -> Repeats:
    return Repeats(monkeypatch)


BODIES = [b'{"model":"gpt-5","n":%d}' % number for number in (1, 22, 333, 4444)]


def test_calls_with_the_same_head_are_told_apart_by_nothing_but_their_bodies(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            for body in BODIES:
                answer = await client.call(world.request(CHAT, b"user-agent: claude-cli/2", body=body))
                assert (answer.status, answer.body) == (200, CHAT.answer)
            assert repeats.number == len(BODIES) - 1
            assert [one.body for one in world.upstream.requests] == BODIES
            assert len({tuple(one.values(b"authorization")) for one in world.upstream.requests}) == 1
            assert [one.values(b"content-length") for one in world.upstream.requests] == [
                [b"%d" % len(body)] for body in BODIES
            ]
            assert len({begun.id for begun in world.journal.begun}) == len(BODIES)
            assert {begun.client for begun in world.journal.begun} == {"Claude Code"}

    run(test())


def test_two_connections_do_not_share_what_they_remember(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway() as world:
            one, other = await world.client(), await world.client()
            for client in (one, other):
                assert (await client.call(world.request())).status == 200
            assert repeats.number == 0

    run(test())


def test_another_kind_of_request_between_two_alike_is_answered_as_ever(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            between = (
                (b"GET /somewhere HTTP/1.1\r\nhost: a\r\n\r\n", b"asgi /somewhere"),
                (world.request(CHAT, b"x-other: 1"), CHAT.answer),
                (world.request(CHAT, b"expect: 100-continue"), CHAT.answer),
                (b"HEAD /openai/ HTTP/1.1\r\nhost: a\r\n\r\n", b""),
            )
            for request, body in between:
                for _ in range(2):
                    assert (await client.call(world.request())).body == CHAT.answer
                await client.send(request)
                if request.startswith(b"HEAD"):
                    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                else:
                    assert (await client.answer()).body == body
            assert repeats.number >= len(between)

    run(test())


def test_a_request_that_comes_in_pieces_is_parsed(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            request = world.request()
            assert (await client.call(request)).status == 200
            for cut in (1, 60, len(request) - 1):
                await client.send(request[:cut])
                await client.send(request[cut:])
                answer = await client.answer()
                assert answer.body == CHAT.answer
            assert world.upstream.requests[-1].body == CHAT.body

    run(test())


def test_what_is_revoked_or_expired_meanwhile_is_refused_though_its_head_is_known(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway() as world:
            end = time() + 0.3
            brief = world.tokens.new("brief", expires_at=end)
            clients = {token: await world.client() for token in (world.token, brief)}
            for token, client in clients.items():
                for _ in range(3):
                    assert (await client.call(world.request(token=token))).status == 200
            assert repeats.number == 4
            world.tokens.revoke(world.token)
            while time() < end:
                pass
            for token, client in clients.items():
                assert (await client.call(world.request(token=token))).status == 401
            assert repeats.number == 6

    run(test())


def test_what_a_provider_is_told_of_the_user_is_of_now_though_the_head_is_known(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway(send_actor_headers=True) as world:
            client = await world.client()
            for name in ("mia", "maria"):
                world.tokens.rename(world.token, name)
                for _ in range(2):
                    assert (await client.call(world.request())).status == 200
            names = [one.values(b"x-ai-bridge-actor-metadata-username") for one in world.upstream.requests]
            assert names == [[b"mia"], [b"mia"], [b"maria"], [b"maria"]]
            assert repeats.number == 3

    run(test())


def test_a_body_that_looks_like_a_known_request_stays_the_body_of_a_refused_one(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway(rate_limit=1) as world:
            client = await world.client()
            request = world.request()
            assert (await client.call(request)).status == 200
            whole = world.request(CHAT, b"x-other: 1", body=request)
            await client.send(whole[: -len(request)])
            assert (await client.answer()).status == 429
            await client.send(request)
            await asyncio.sleep(0.1)  # else it may be read together with what follows, and then it looks like nothing
            assert (await client.call(b"GET /somewhere HTTP/1.1\r\nhost: a\r\n\r\n")).body == b"asgi /somewhere"
            assert repeats.number == 0

    run(test())


def test_a_body_over_its_maximum_is_refused_though_its_head_is_known(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway(max_body_size=1000) as world:
            client = await world.client()
            small, large = (b'{"model":"gpt-5","x":"%b"}' % (b"x" * length) for length in (10, 2000))
            assert (await client.call(world.request(body=small))).status == 200
            assert (await client.call(world.request(body=large))).status == 413
            assert (await client.call(world.request(body=small))).status == 200
            assert repeats.number == 2
            assert len(world.upstream.requests) == 2

    run(test())


def test_one_that_is_refused_again_and_again_is_known_as_well(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway(rate_limit=1) as world:
            client = await world.client()
            statuses = [(await client.call(world.request())).status for _ in range(5)]
            assert statuses == [200, 429, 429, 429, 429]
            stranger = await world.client()
            assert [(await stranger.call(world.request(token="aib_no"))).status for _ in range(3)] == [401] * 3
            assert repeats.number == 6

    run(test())


def test_a_second_request_before_the_answer_to_a_known_one_is_not_served(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            assert (await client.call(world.request())).status == 200
            await client.send(world.request())
            await client.send(world.request())
            assert (await client.answer()).status == 200
            assert await client.rest() == b""
            assert len(world.upstream.requests) == 2

    run(test())


def test_a_client_that_asks_to_close_is_answered_and_closed(repeats: Repeats) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            answer = await client.call(world.request(CHAT, b"connection: close"))
            assert answer.status == 200
            assert await client.rest() == b""
            assert repeats.number == 0

    run(test())
