"""A client that leaves is a cancellation and nothing else: cut it in every phase, and nothing may be left held."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
from gateway_world import World, gateway, run, until
from raw_client import Client
from scripted_upstream import Incoming, beginning, silence
from vendor_samples import LAST_CHUNK, SAMPLES, STREAM_HEAD, Sample, chunk, streamed

Leave = Callable[[Client], None]
LEAVES = pytest.mark.parametrize("leave", [Client.hang_up, Client.reset], ids=["FIN", "RST"])
IN_EVERY_DIALECT = pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)


async def gone_everywhere(world: World) -> None:
    """Within a second: permits, entries, tasks, and the connection to the provider."""
    await world.settled()
    for line in world.upstream.lines:
        async with asyncio.timeout(1.0):
            await line.lost.wait()
    assert world.plane.gateway.calls == set()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, asyncio.all_tasks)


@LEAVES
def test_before_the_headers_are_whole(leave: Leave) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(world.request()[:40])
            await asyncio.sleep(0.01)
            leave(client)
            await gone_everywhere(world)
            assert world.journal.begun == []

    run(test())


@LEAVES
def test_before_the_body_is_whole(leave: Leave) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(world.request()[:-1])
            await until(lambda: world.permits == 1)
            leave(client)
            await gone_everywhere(world)
            assert world.journal.begun == []
            assert world.upstream.lines == []

    run(test())


@contextlib.contextmanager
def never_accepting() -> Iterator[int]:
    """A port whose backlog is full, so that connecting to it hangs."""
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@LEAVES
def test_while_connecting_to_the_provider(leave: Leave) -> None:
    async def test(port: int) -> None:
        async with gateway(upstream_port=port) as world:
            client = await world.client()
            await client.send(world.request())
            await until(lambda: world.busy == 1)
            leave(client)
            await gone_everywhere(world)
            ending = world.journal.ending
            assert (ending.status, ending.http_status, ending.first_byte_at) == ("cancelled", None, None)

    with never_accepting() as port:
        run(test(port))


@LEAVES
@IN_EVERY_DIALECT
def test_while_waiting_for_the_first_byte(sample: Sample, leave: Leave) -> None:
    async def test() -> None:
        async with gateway(silence) as world:
            client = await world.client()
            await client.send(world.request(sample))
            await world.upstream.request()
            leave(client)
            await gone_everywhere(world)
            ending = world.journal.ending
            assert (ending.status, ending.error, ending.http_status) == ("cancelled", "client_gone", None)
            assert ending.usage is None

    run(test())


@LEAVES
@IN_EVERY_DIALECT
def test_in_the_middle_of_a_stream(sample: Sample, leave: Leave) -> None:
    without_end = [chunk(event) for event in sample.events[:-1]]

    async def test() -> None:
        async with gateway(beginning(STREAM_HEAD, *without_end)) as world:
            client = await world.client()
            await client.send(world.request(sample, streaming=True))
            await client.reader.readuntil(without_end[-1])
            leave(client)
            await gone_everywhere(world)
            ending = world.journal.ending
            assert (ending.status, ending.error, ending.http_status) == ("cancelled", "client_gone", 200)
            assert ending.first_byte_at is not None
            assert ending.response_id == sample.response_id
            if sample.name == "responses":
                assert ending.usage is None
            else:
                assert ending.usage is not None
                assert ending.usage.input_tokens == 10

    run(test())


@LEAVES
def test_with_every_event_read_but_not_the_end(leave: Leave) -> None:
    sample = SAMPLES[0]

    async def test() -> None:
        async with gateway(beginning(*streamed(sample)[:-1])) as world:
            client = await world.client()
            await client.send(world.request(sample, streaming=True))
            await client.reader.readuntil(chunk(sample.events[-1]))
            leave(client)
            await gone_everywhere(world)
            assert world.journal.ending.status == "completed"
            assert world.journal.ending.usage is not None

    run(test())


@LEAVES
@pytest.mark.parametrize("turns", range(6))
def test_in_the_moments_around_the_last_byte(turns: int, leave: Leave) -> None:
    sample = SAMPLES[2]

    async def test() -> None:
        async with gateway(beginning(*streamed(sample)[:-1])) as world:
            client = await world.client()
            await client.send(world.request(sample, streaming=True))
            await client.reader.readuntil(chunk(sample.events[-1]))
            world.upstream.requests[0].send(LAST_CHUNK)
            for _ in range(turns):
                await asyncio.sleep(0)
            leave(client)
            await world.settled()
            assert world.journal.ending.status in {"cancelled", "completed"}
            assert world.journal.ending.usage is not None
            await until(lambda: not world.plane.gateway.calls)

    run(test())


@LEAVES
def test_right_after_the_last_byte_the_call_is_complete(leave: Leave) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            assert (await client.call(world.request())).whole
            leave(client)
            await world.settled()
            assert world.journal.ending.status == "completed"
            assert world.gauge("upstream_connections") == 1
            assert (await world.call(world.request())).status == 200
            assert len(world.upstream.lines) == 1

    run(test())


@LEAVES
def test_while_the_stream_is_held_back_because_nobody_reads(leave: Leave) -> None:
    async def firehose(incoming: Incoming) -> None:
        incoming.send(STREAM_HEAD)
        while True:
            await incoming.stream(chunk(b"data: " + b"x" * 65_000 + b"\n\n"))

    async def test() -> None:
        async with gateway(firehose) as world:
            client = await world.client(receive_buffer=4096)
            await client.send(world.request(streaming=True))
            await world.upstream.request()
            await until(lambda: not world.upstream.lines[0].writable.is_set(), within=3.0)
            leave(client)
            await gone_everywhere(world)
            assert world.journal.ending.status == "cancelled"

    run(test())
