"""The guard at the door: deadlines, caps, and what a client is told that breaks them."""

import asyncio

import pytest
from gateway_world import World, gateway, run, until
from raw_client import Answer, Client
from scripted_upstream import silence
from vendor_samples import CHAT, MESSAGES, Sample

from aibridge.gateway import guarded

SHORT = 0.15


def in_both_shapes(answer: Answer, status: int) -> None:
    """A refusal that the management's clients and the vendors' both understand, on a connection that closes."""
    assert answer.status == status
    assert answer.value(b"content-type") == b"application/json"
    assert answer.value(b"connection") == b"close"
    body = answer.json
    assert body["message"] == body["error"]["message"]
    assert {"detail", "validations", "request_id"} <= body.keys()
    assert body["error"]["type"]


async def refused(world: World, client: Client, status: int) -> Answer:
    answer = await client.answer()
    in_both_shapes(answer, status)
    assert await client.rest() == b""
    assert world.upstream.requests == []
    return answer


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEADERS_DEADLINE", "BODY_DEADLINE", "IDLE_DEADLINE", "LINGER"):
        monkeypatch.setattr(guarded, name, SHORT)


def test_headers_beyond_64_kib_are_a_431() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(world.request(CHAT, *[b"x-%d: " % n + b"v" * 8000 for n in range(9)]))
            await refused(world, client, 431)

    run(test())


@pytest.mark.parametrize("start", [b"x-endless: ", b"GET /", b"POST /anthropic/v1/messages?"])
def test_a_line_without_an_end_is_a_431_that_costs_no_more_than_64_kib(start: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            opening = start if start[:1] != b"x" else b"POST /openai/v1/responses HTTP/1.1\r\n" + start
            await client.send(opening)
            sent = 0
            while not client.reader.at_eof() and sent < 1 << 20:
                await client.send(b"a" * 16_384)
                sent += 16_384
                await asyncio.sleep(0.001)
                if client.reader._buffer:  # type: ignore[attr-defined]
                    break
            assert sent <= 7 * 16_384
            await refused(world, client, 431)

    run(test())


def test_more_than_a_hundred_headers_are_a_431() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            allowed = [b"x-%d: 1" % n for n in range(97)]
            assert (await client.call(world.request(CHAT, *allowed))).status == 200
            world.upstream.requests.clear()
            await client.send(world.request(CHAT, *allowed, b"x-98: 1"))
            await refused(world, client, 431)

    run(test())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "part", [b"POST /openai/v1/responses HTTP/1.1\r\nhost: x\r\n", b"POST /openai/v1/res", b"GET /x H"]
)
def test_headers_that_do_not_end_are_a_408_at_their_deadline(part: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(part)
            await refused(world, client, 408)

    run(test())


@pytest.mark.usefixtures("impatient")
def test_a_byte_now_and_then_does_not_move_the_deadline() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(b"POST /openai/v1/responses HTTP/1.1\r\nhost: x\r\n")
            for byte in b"x-slow: loris......":
                if client.reader._buffer:  # type: ignore[attr-defined]
                    break
                client.writer.write(bytes([byte]))
                await asyncio.sleep(SHORT / 8)
            else:
                pytest.fail("the deadline moved")
            await refused(world, client, 408)

    run(test())


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_never_speaks_is_closed() -> None:
    async def test() -> None:
        async with gateway() as world:
            assert await (await world.client()).rest() == b""

    run(test())


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_speaks_no_more_is_closed() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            assert (await client.call(world.request())).status == 200
            await asyncio.sleep(SHORT / 2)
            assert (await client.call(world.request())).status == 200
            assert await client.rest() == b""

    run(test())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sample", [CHAT, MESSAGES], ids=lambda s: s.name)
def test_a_body_that_does_not_come_is_a_408_in_the_dialect(sample: Sample) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(world.request(sample)[:-5])
            await until(lambda: world.permits == 1)
            answer = await refused(world, client, 408)
            assert answer.json["error"]["type"] == "timeout_error"
            assert world.journal.begun == []

    run(test())


@pytest.mark.usefixtures("impatient")
def test_a_refused_call_whose_body_never_comes_is_answered_once() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            answer = await client.call(world.request(token=None)[:-5])
            assert (answer.status, answer.whole) == (401, True)
            assert await client.rest() == b""

    run(test())


def test_a_refused_call_whose_body_comes_late_keeps_its_connection() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            request = world.request(token=None)
            assert (await client.call(request[:-5])).status == 401
            await client.send(request[-5:])
            assert (await client.call(world.request())).status == 200

    run(test())


def test_a_body_that_was_not_asked_for_is_not_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "BODY_DEADLINE", SHORT)

    async def test() -> None:
        async with gateway(silence, max_concurrency=1, queue_timeout=5.0) as world:
            first, second = await world.client(), await world.client()
            await first.send(world.request())
            await until(lambda: world.permits == 1)
            head, _, _ = world.request(CHAT, b"expect: 100-continue").partition(b"\r\n\r\n")
            await second.send(head + b"\r\n\r\n")
            await asyncio.sleep(3 * SHORT)
            await first.close()
            answer = await second.answer()
            assert (answer.status, answer.interim) == (408, [b"HTTP/1.1 100 Continue\r\n\r\n"])

    run(test())


def test_a_refused_call_without_a_body_keeps_its_connection() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            stranger = b"GET /api/v2/aibridge/openai/v1/models HTTP/1.1\r\nhost: gateway\r\n\r\n"
            answer = await client.call(stranger)
            assert (answer.status, answer.value(b"connection")) == (401, None)
            assert (await client.call(world.request())).status == 200

    run(test())


@pytest.mark.parametrize("target", [b"GET /openai/v1/models", b"GET /openai", b"POST /openai/v1/chat/completions"])
def test_a_client_of_http_1_0_has_its_answer_when_the_connection_ends(target: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            head = b"%b HTTP/1.0\r\nhost: gateway\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n"
            await client.send(head % target)
            assert (await client.answer()).whole
            assert await client.rest() == b""

    run(test())


async def flood(client: Client) -> None:
    while True:
        await client.send(b"x" * 65_536)
        await asyncio.sleep(0.005)


def test_a_client_that_goes_on_sending_after_a_refusal_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "LINGER", SHORT)

    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(b"POST /openai/v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
            await refused(world, client, 404)
            with pytest.raises(ConnectionError):
                await flood(client)

    run(test())


@pytest.mark.parametrize("length", [b"content-length: 1001", b"transfer-encoding: chunked"])
def test_a_body_that_is_too_large_is_a_413_and_not_forwarded(length: bytes) -> None:
    async def test() -> None:
        async with gateway(max_body_size=1000) as world:
            client = await world.client()
            body = b"x" * 1001 if length.startswith(b"c") else b"3e9\r\n" + b"x" * 1001 + b"\r\n"
            answer = await client.call(world.request(CHAT, length, body=body))
            assert answer.status == 413
            assert "1000 bytes" in answer.json["message"]
            assert answer.json["error"]["code"] == "body_too_large"
            await world.settled()
            assert world.upstream.requests == []

    run(test())


@pytest.mark.usefixtures("impatient")
def test_a_call_in_progress_outlives_the_connections_own_deadlines() -> None:
    async def test() -> None:
        async with gateway(silence, first_byte_timeout=3 * SHORT) as world:
            assert (await world.call(world.request())).status == 504

    run(test())


@pytest.mark.usefixtures("impatient")
def test_trailers_that_do_not_end_are_a_408_at_the_bodys_deadline() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            body = b"%x\r\n%b\r\n0\r\n%b" % (len(CHAT.body), CHAT.body, b"x: y\r\n" * 30_000)
            await client.send(world.request(CHAT, b"transfer-encoding: chunked", body=body))
            answer = await client.answer()
            in_both_shapes(answer, 408)
            assert world.upstream.requests == []

    run(test())


@pytest.mark.parametrize("trailer", [b"openai-beta: x", b"user-agent: x", b"x-api-key: x"])
def test_a_trailer_is_no_header(trailer: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            body = b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(CHAT.body), CHAT.body, trailer)
            token = b"x-coder-ai-governance-token: " + world.token.encode()
            request = world.request(CHAT, b"transfer-encoding: chunked", token, body=body, token=None)
            assert (await world.call(request)).status == 200
            assert world.upstream.requests[0].values(trailer.partition(b":")[0]) == []

    run(test())
