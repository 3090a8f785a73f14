"""Moments that are hard to meet: between two turns of the loop, in a crowd, and when the gateway itself stops."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gateway_world import World, gateway, run
from raw_client import Client
from scripted_upstream import Incoming, answering, beginning, silence
from vendor_samples import LAST_CHUNK, SAMPLES, STREAM_HEAD, chunk, framed

from aibridge.gateway.protocol import GatewayProtocol
from aibridge.gateway.upstream import Connection


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
