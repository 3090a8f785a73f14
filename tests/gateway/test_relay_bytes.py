"""Bytes go through untouched, in both directions, however they are framed."""

import json

import pytest
from gateway_world import gateway, run
from scripted_upstream import Incoming, answering, answering_then
from vendor_samples import CHAT, LAST_CHUNK, MESSAGES, SAMPLES, STREAM_HEAD, Sample, chunk, framed, streamed

ODD_BODIES = (
    b' {\r\n\t"model" :"gpt-5" , "messages":[ ]}  \n',
    '{"model":"gpt-5","x":"zoë 🎈 \\ud83d\\ude00 \\u0000"}'.encode(),
    b'{"model":"gpt-4","model":"gpt-5","n":1e400,"n":-0.0}',
    b'{"model":"gpt-5","pad":"' + b"x" * 300_000 + b'"}',
)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_whole_answer_arrives_unchanged(sample: Sample) -> None:
    async def test() -> None:
        async with gateway(answering(framed(sample.answer))) as world:
            answer = await world.call(world.request(sample))
            assert (answer.status, answer.body, answer.whole) == (200, sample.answer, True)
            assert world.upstream.requests[0].target == sample.upstream_path
            usage = world.journal.ending.usage
            assert usage is not None
            assert (usage.input_tokens, usage.output_tokens) == (10, 5)

    run(test())


@pytest.mark.parametrize("pause", [0.0, 0.002])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_stream_arrives_unchanged(sample: Sample, pause: float) -> None:
    async def test() -> None:
        async with gateway(answering(*streamed(sample), pause=pause)) as world:
            answer = await world.call(world.request(sample, streaming=True))
            assert (answer.status, answer.body, answer.whole) == (200, b"".join(sample.events), True)
            assert world.journal.ending.response_id == sample.response_id
            assert world.journal.ending.usage is not None

    run(test())


@pytest.mark.parametrize("body", ODD_BODIES, ids=["whitespace", "unicode", "duplicate keys", "300 kB"])
def test_the_provider_gets_the_body_byte_for_byte(body: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            assert (await world.call(world.request(body=body))).status == 200
            assert world.upstream.requests[0].body == body

    run(test())


def test_a_chunked_body_reaches_the_provider_with_its_length() -> None:
    async def test() -> None:
        async with gateway() as world:
            first, second = CHAT.body[:7], CHAT.body[7:]
            body = chunk(first) + b"%x;extension=1\r\n%b\r\n" % (len(second), second) + LAST_CHUNK
            request = world.request(CHAT, b"transfer-encoding: chunked", body=body)
            assert (await world.call(request)).status == 200
            (seen,) = world.upstream.requests
            assert seen.body == CHAT.body
            assert seen.values(b"transfer-encoding") == []

    run(test())


def test_comments_pings_and_foreign_line_ends_stay_in_a_stream() -> None:
    stream = (
        b": keep-alive\n\n",
        b"event: ping\r\ndata: {}\r\n\r\n",
        b"data:no space\rdata: x\n\n",
        b"\xef\xbb\xbfdata: \xff\xfe\n\n",
        MESSAGES.events[-1],
    )

    async def test() -> None:
        pieces = [STREAM_HEAD, *map(chunk, stream), LAST_CHUNK]
        async with gateway(answering(*pieces, pause=0.002)) as world:
            answer = await world.call(world.request(MESSAGES, streaming=True))
            assert answer.body == b"".join(stream)
            assert answer.whole

    run(test())


@pytest.mark.parametrize("status", [b"400 Bad Request", b"429 Too Many Requests", b"529 Overloaded", b"599 "])
def test_a_providers_error_passes_as_it_is(status: bytes) -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nretry-after: 17\r\nx-should-retry: true\r\n" % status

    async def test() -> None:
        script = answering(head + b"content-length: %d\r\n\r\n%b" % (len(body), body))
        async with gateway(script) as world:
            answer = await world.call(world.request(MESSAGES))
            assert answer.status == int(status[:3])
            assert answer.body == body
            assert answer.value(b"retry-after") == b"17"
            assert answer.value(b"x-should-retry") == b"true"
            ending = world.journal.ending
            assert (ending.status, ending.http_status) == ("failed", int(status[:3]))
            assert ending.error == "overloaded_error"

    run(test())


FRAMINGS = {
    "content-length": framed(CHAT.answer),
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(CHAT.answer) + LAST_CHUNK,
    "after a 100 and a 103": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    + framed(CHAT.answer),
    "chunked with trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    + chunk(CHAT.answer)
    + b"0\r\nx-trailer: 1\r\n\r\n",
}


@pytest.mark.parametrize("answer", FRAMINGS.values(), ids=FRAMINGS.keys())
@pytest.mark.parametrize("step", [1, 1 << 20], ids=["byte by byte", "at once"])
def test_every_framing_of_the_provider_is_understood(answer: bytes, step: int) -> None:
    pieces = [answer[at : at + step] for at in range(0, len(answer), step)]

    async def test() -> None:
        async with gateway(answering(*pieces)) as world:
            client = await world.client()
            for number in range(2):
                got = await client.call(world.request())
                assert (got.status, got.body, got.whole) == (200, CHAT.answer, True)
                assert b"link" not in dict(got.headers)
                assert len(world.upstream.requests) == number + 1
            assert len(world.upstream.lines) == 1

    run(test())


def test_an_answer_that_ends_with_its_connection_is_whole() -> None:
    pieces = (b"HTTP/1.1 200 OK\r\n\r\n", CHAT.answer[:9], CHAT.answer[9:])

    async def test() -> None:
        async with gateway(answering_then(Incoming.hang_up, *pieces)) as world:
            client = await world.client()
            for _ in range(2):
                got = await client.call(world.request())
                assert (got.body, got.whole) == (CHAT.answer, True)
                assert got.value(b"transfer-encoding") == b"chunked"
            assert len(world.upstream.lines) == 2

    run(test())


def test_a_client_of_http_1_0_gets_an_unchunked_answer_that_ends_with_the_connection() -> None:
    async def test() -> None:
        async with gateway(answering(*streamed(CHAT), pause=0.002)) as world:
            client = await world.client()
            request = world.request(CHAT, b"connection: keep-alive", streaming=True)
            answer = await client.call(request.replace(b" HTTP/1.1", b" HTTP/1.0", 1))
            assert answer.body == b"".join(CHAT.events)
            assert answer.value(b"transfer-encoding") is None
            assert answer.value(b"connection") == b"close"

    run(test())


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_has_none(status: bytes) -> None:
    async def test() -> None:
        async with gateway(answering(b"HTTP/1.1 %b\r\netag: x\r\n\r\n" % status)) as world:
            client = await world.client()
            request = b"DELETE /openai/v1/responses/r1 HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\n\r\n"
            for _ in range(2):
                answer = await client.call(request % world.token.encode())
                assert answer.status == int(status[:3])
                assert answer.body == b""
            assert world.journal.begun == []

    run(test())


def test_a_204_has_no_content_length() -> None:
    async def test() -> None:
        async with gateway(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as world:
            request = b"DELETE /openai/v1/responses/r1 HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\n\r\n"
            answer = await world.call(request % world.token.encode())
            assert answer.value(b"content-length") is None

    run(test())


def test_an_error_event_in_a_stream_passes_and_is_recorded_as_a_failure() -> None:
    event = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'

    async def test() -> None:
        pieces = [STREAM_HEAD + chunk(MESSAGES.events[0]), chunk(event), LAST_CHUNK]
        async with gateway(answering(*pieces, pause=0.002)) as world:
            answer = await world.call(world.request(MESSAGES, streaming=True))
            assert answer.body == MESSAGES.events[0] + event
            ending = world.journal.ending
            assert (ending.status, ending.error) == ("failed", "overloaded_error")

    run(test())


def test_a_body_that_says_it_is_json_is_ours_only_when_we_refuse() -> None:
    async def test() -> None:
        async with gateway() as world:
            refused = await world.call(world.request(body=b"[]"))
            assert refused.status == 400
            assert json.loads(refused.body)["error"]["type"] == "invalid_request_error"
            assert world.upstream.requests == []

    run(test())
