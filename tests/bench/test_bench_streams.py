import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from bench import MeasurementError, streams
from bench.conversation import ANSWER, PROVIDER_KEY, QUESTION, STREAMED_QUESTION, STREAMING, events, request
from bench.streams import Load
from bench.upstream import Script, Upstream, chunked

T = TypeVar("T")
LOAD = Load(connections=3, streams=2, events=5, interval=0.01)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def test_a_stream_has_as_many_events_as_asked_for_and_ends_like_one() -> None:
    whole = b"".join(events(7))
    assert whole.count(b"\n\n") == 7
    assert whole.endswith(b"data: [DONE]\n\n")
    assert 150 < len(events(7)[0]) < 250


def test_the_upstream_s_streams_come_whole_event_by_event() -> None:
    async def scenario(address: str) -> streams.Outcome:
        return await streams.receive(address, PROVIDER_KEY, LOAD)

    outcome = asyncio.run(_beside(lambda: Upstream(Script(LOAD.events, LOAD.interval)), scenario))
    assert 0.07 < outcome.seconds < 5  # two streams, of four gaps of which the shortest have 36 ms together
    assert outcome.events_per_read > 0


def test_the_upstream_does_not_serve_strangers() -> None:
    async def scenario(address: str) -> None:
        await streams.receive(address, "sk-somebody-else", LOAD)

    with pytest.raises(MeasurementError, match="status 401"):
        asyncio.run(_beside(lambda: Upstream(Script(LOAD.events, LOAD.interval)), scenario))


def test_the_upstream_reads_requests_however_they_are_cut() -> None:
    call, streamed_call = (request("upstream", PROVIDER_KEY, body) for body in (QUESTION, STREAMED_QUESTION))
    assert STREAMING not in streamed_call[:-60]  # what is wanted shows at the end

    async def scenario(address: str) -> None:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for part in (call[:100], call[100:] + call + streamed_call[:-60], streamed_call[-60:]):
            writer.write(part)
            await asyncio.sleep(0.01)  # until the other end has read it
        for _ in range(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(len(ANSWER)) == ANSWER
        assert await reader.readuntil(b"\r\n\r\n") == HEAD
        writer.close()

    asyncio.run(_beside(lambda: Upstream(Script(LOAD.events, LOAD.interval)), scenario))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (HEAD + b"".join(chunked(events(4))), "not the one"),
        (HEAD + b"".join(chunked(events(5))).replace(b"word1", b"word2"), "not the one"),
        (HEAD + b"".join(chunked(events(5)[:-1])), "not the one"),
        (HEAD + b"".join(chunked(events(5)))[:-5], "connection lost"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "status 503"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
    ],
)
def test_a_stream_that_is_not_what_was_sent_ends_the_measurement(answer: bytes, problem: str) -> None:
    async def scenario(address: str) -> None:
        await streams.receive(address, PROVIDER_KEY, LOAD)

    with pytest.raises(MeasurementError, match=problem):
        asyncio.run(_beside(lambda: Says(answer), scenario))


class Says(asyncio.Protocol):
    """Answers whatever comes with the same bytes, and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)
        self._transport.close()


async def _beside(protocol: Callable[[], asyncio.Protocol], scenario: Callable[[str], Awaitable[T]]) -> T:
    """Run a scenario beside a server; it is given the server's address."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.wait_for(scenario(f"127.0.0.1:{port}"), 20)
