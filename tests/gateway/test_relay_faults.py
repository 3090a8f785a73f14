"""A provider that breaks off, lies, or is not there: never a clean end, and always the caller's own dialect."""

import json
import socket

import pytest
from gateway_world import gateway, run
from raw_client import Answer
from scripted_upstream import Fate, Incoming, answering_then
from vendor_samples import CHAT, LAST_CHUNK, SAMPLES, STREAM_HEAD, Sample, chunk

FATES = {
    "closes": (Incoming.hang_up, b""),
    "resets": (Incoming.reset, b""),
    "closes inside a chunk": (Incoming.hang_up, b'400\r\ndata: {"half'),
    "closes before the last chunk": (Incoming.hang_up, b"0\r\n"),
    "sends garbage": (lambda _: None, b"zz\r\nnot a chunk\r\n"),
    "begins a second answer": (lambda _: None, b"HTTP/1.1 200 OK\r\n\r\n"),
}


def events_of(answer: Answer) -> list[bytes]:
    return answer.body.split(b"\n\n")[:-1]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
@pytest.mark.parametrize(("fate", "last"), FATES.values(), ids=FATES.keys())
def test_a_stream_that_breaks_ends_in_an_error_event_and_a_broken_framing(
    sample: Sample, fate: Fate, last: bytes
) -> None:
    async def test() -> None:
        pieces = [STREAM_HEAD + chunk(sample.events[0]), last] if last else [STREAM_HEAD + chunk(sample.events[0])]
        async with gateway(answering_then(fate, *pieces)) as world:
            answer = await world.call(world.request(sample, streaming=True))
            assert answer.status == 200
            assert not answer.whole
            assert answer.body.startswith(sample.events[0])
            assert sample.terminal not in answer.body
            data = events_of(answer)[-1].rpartition(b"data: ")[2]
            error = json.loads(data)["error"]
            assert error["type"] == ("api_error" if sample.provider == "anthropic" else "server_error")
            ending = world.journal.ending
            assert (ending.status, ending.error, ending.http_status) == ("failed", "upstream_broke", 200)
            assert ending.response_id == sample.response_id

    run(test())


BROKEN_BODIES = {
    "less than its content-length": b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + CHAT.answer,
    "a chunk too few": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(CHAT.answer),
}


@pytest.mark.parametrize("answer", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
@pytest.mark.parametrize("fate", [Incoming.hang_up, Incoming.reset])
def test_a_truncated_body_is_never_taken_for_whole(answer: bytes, fate: Fate) -> None:
    async def test() -> None:
        async with gateway(answering_then(fate, answer)) as world:
            got = await world.call(world.request())
            assert got.status == 200
            assert not got.whole
            assert world.journal.ending.error == "upstream_broke"

    run(test())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_client_whose_answer_ends_with_the_connection_can_tell_a_broken_one(sample: Sample) -> None:
    async def test() -> None:
        script = answering_then(Incoming.hang_up, STREAM_HEAD + chunk(sample.events[0]))
        async with gateway(script) as world:
            client = await world.client()
            request = world.request(sample, streaming=True).replace(b" HTTP/1.1", b" HTTP/1.0", 1)
            answer = await client.call(request)
            assert not answer.whole or b'"error"' in answer.body

    run(test())


NO_ANSWERS = {
    "closes without an answer": (Incoming.hang_up, []),
    "resets without an answer": (Incoming.reset, []),
    "closes in its head": (Incoming.hang_up, [b"HTTP/1.1 200 OK\r\ncontent-ty"]),
    "is not HTTP": (lambda _: None, [b"SSH-2.0-OpenSSH_9.2\r\n"]),
    "has an endless head": (lambda _: None, [b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 12_000]),
    "has two lengths": (lambda _: None, [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"]),
    "has a length that is none": (lambda _: None, [b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}"]),
    "has a length and chunks": (
        lambda _: None,
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}"],
    ),
    "switches protocols": (lambda _: None, [b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"]),
    "has informational answers only": (Incoming.hang_up, [b"HTTP/1.1 100 Continue\r\n\r\n"] * 3),
}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
@pytest.mark.parametrize(("fate", "pieces"), NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_a_provider_without_a_sound_answer_is_a_502_in_the_dialect(
    sample: Sample, fate: Fate, pieces: list[bytes]
) -> None:
    async def test() -> None:
        async with gateway(answering_then(fate, *pieces), first_byte_timeout=2.0) as world:
            client = await world.client()
            answer = await client.call(world.request(sample))
            assert answer.status == 502
            assert answer.whole
            assert answer.json["error"]["type"] == ("api_error" if sample.provider == "anthropic" else "server_error")
            assert answer.json["message"]
            ending = world.journal.ending
            assert (ending.status, ending.error, ending.http_status) == ("failed", "upstream_broke", 502)
            await world.settled()
            assert (await client.call(world.request(token="aib_unknown"))).status == 401
            assert len(world.upstream.requests) == 1

    run(test())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_provider_that_is_not_there_is_a_502_that_says_so(sample: Sample) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def test() -> None:
            async with gateway(upstream_port=port) as world:
                answer = await world.call(world.request(sample))
                assert answer.status == 502
                assert answer.json["detail"] == "Connection refused"
                assert str(port).encode() not in answer.raw
                assert world.journal.ending.error == "upstream_unreachable"

        run(test())


def test_an_answer_that_is_whole_before_the_provider_dies_is_whole() -> None:
    async def test() -> None:
        piece = STREAM_HEAD + b"".join(map(chunk, CHAT.events)) + LAST_CHUNK
        async with gateway(answering_then(Incoming.reset, piece)) as world:
            answer = await world.call(world.request(streaming=True))
            assert answer.whole
            assert world.journal.ending.status == "completed"

    run(test())
