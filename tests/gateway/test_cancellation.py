"""A client that leaves is a cancellation and nothing else: cut it in every phase, and nothing may be left held."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from gateway_world import World, gateway, run, until
from raw_client import Client
from scripted_upstream import Incoming, Script, answering, silence
from vendor_samples import LAST_CHUNK, SAMPLES, STREAM_HEAD, Sample, chunk, framed, streamed

from aibridge.gateway.protocol import GatewayProtocol
from aibridge.gateway.upstream import Connection

Leave = Callable[[Client], None]
LEAVES = pytest.mark.parametrize("leave", [Client.hang_up, Client.reset], ids=["FIN", "RST"])
IN_EVERY_DIALECT = pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)


async def gone_everywhere(world: World) -> None:
    """Within a second: permits, entries, tasks, and the connection to the provider."""
    await world.settled()
    for line in world.upstream.lines:
        async with asyncio.timeout(1.0):
            await line.lost.wait()
    assert world.plane.gateway.calls == {}
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


def beginning(*pieces: bytes) -> Script:
    async def script(incoming: Incoming) -> None:
        await answering(*pieces, pause=0.002)(incoming)
        await silence(incoming)

    return script


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
            assert world.journal.ending.status == "cancelled"
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


def test_bytes_that_come_between_the_loss_of_the_client_and_the_end_of_its_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections: list[Connection] = []
    exchange = Connection.exchange
    lose = GatewayProtocol.connection_lost

    def exchanging(connection: Connection, *arguments: Any) -> Any:
        connections.append(connection)
        return exchange(connection, *arguments)

    raised: list[Exception] = []

    def deliver() -> None:
        try:
            connections[0].data_received(chunk(SAMPLES[0].events[1]))
        except RuntimeError as error:
            raised.append(error)

    def connection_lost(protocol: GatewayProtocol, exc: Exception | None) -> None:
        if connections:
            asyncio.get_running_loop().call_soon(deliver)  # after the transport's end, before the call's
        lose(protocol, exc)

    monkeypatch.setattr(Connection, "exchange", exchanging)
    monkeypatch.setattr(GatewayProtocol, "connection_lost", connection_lost)

    async def test() -> None:
        async with gateway(beginning(STREAM_HEAD, chunk(SAMPLES[0].events[0]))) as world:
            client = await world.client()
            await client.send(world.request(SAMPLES[0], streaming=True))
            await client.reader.readuntil(SAMPLES[0].events[0])
            client.reset()
            await world.settled()
            assert raised == []
            assert world.journal.ending.status == "cancelled"

    run(test())


def test_a_crowd_that_leaves_at_once_leaves_nothing() -> None:
    phases: list[Callable[[World, Client], Awaitable[None]]] = [
        lambda world, client: client.send(world.request()[:-1]),
        lambda world, client: client.send(world.request()),
        lambda world, client: client.send(world.request(token=None)),
        lambda world, client: client.send(world.request(streaming=True)),
    ]

    async def sometimes(incoming: Incoming) -> None:
        if b"stream" in incoming.body:
            await beginning(STREAM_HEAD, chunk(SAMPLES[0].events[0]))(incoming)
        await answering(framed(b"{}"))(incoming)

    async def test() -> None:
        async with gateway(sometimes) as world:
            clients = [await world.client() for _ in range(60)]
            for number, client in enumerate(clients):
                await phases[number % 4](world, client)
                if number % 3 == 0:
                    await asyncio.sleep(0)
            for number, client in enumerate(clients):
                (client.reset if number % 2 else client.hang_up)()
            await world.settled()
            assert (await world.call(world.request())).status == 200

    run(test())


def test_a_gateway_that_stops_tells_each_call_and_records_it_as_interrupted() -> None:
    async def test() -> None:
        async with gateway(beginning(STREAM_HEAD, chunk(SAMPLES[2].events[0]))) as world:
            streaming, waiting = await world.client(), await world.client()
            await streaming.send(world.request(SAMPLES[2], streaming=True))
            await streaming.reader.readuntil(SAMPLES[2].events[0])
            world.upstream.script = silence
            await waiting.send(world.request(SAMPLES[2]))
            await world.upstream.request(1)
            world.plane.draining = True
            await world.plane.interrupt()
            told = await waiting.answer()
            assert (told.status, told.json["error"]["type"]) == (503, "overloaded_error")
            assert told.value(b"retry-after") is not None
            rest = await streaming.rest()
            assert b'"overloaded_error"' in rest
            assert not rest.endswith(LAST_CHUNK)
            await world.settled()
            assert {(end.status, end.error) for end in world.journal.ended} == {("interrupted", "interrupted")}

    run(test())
