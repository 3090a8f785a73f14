"""Providers that take too long, each deadline on its own, and clients that do."""

import asyncio
import json
import socket

import pytest
from gateway_world import gateway, run, until
from scripted_upstream import Incoming, answering, silence
from vendor_samples import CHAT, SAMPLES, STREAM_HEAD, Sample, chunk

from aibridge.gateway import guarded
from aibridge.gateway.reply import Reply, Source
from aibridge.gateway.upstream import Connection

SHORT = 0.1
TICK = 0.002
"""Seconds: what uvloop's clock may be off."""
LATE = 0.8
"""Seconds that a busy machine may add."""


def elapsed_since(begin: float) -> float:
    return asyncio.get_running_loop().time() - begin


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_provider_that_never_begins_is_a_504_at_its_deadline(sample: Sample) -> None:
    async def test() -> None:
        async with gateway(silence, first_byte_timeout=SHORT) as world:
            begin = asyncio.get_running_loop().time()
            answer = await world.call(world.request(sample))
            assert SHORT - TICK <= elapsed_since(begin) < SHORT + LATE
            assert answer.status == 504
            assert answer.json["error"]["type"] == "timeout_error"
            assert "0.1 s" in answer.json["message"]
            assert world.journal.ending.error == "upstream_timeout"
            await asyncio.wait_for(world.upstream.lines[0].lost.wait(), 1.0)

    run(test())


async def stalling(incoming: Incoming) -> None:
    await answering(STREAM_HEAD + chunk(CHAT.events[0]))(incoming)
    await silence(incoming)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_stream_that_stalls_is_broken_off_in_the_dialect(sample: Sample) -> None:
    async def test() -> None:
        async with gateway(stalling, idle_timeout=SHORT, first_byte_timeout=SHORT) as world:
            begin = asyncio.get_running_loop().time()
            answer = await world.call(world.request(sample, streaming=True))
            assert SHORT - TICK <= elapsed_since(begin) < SHORT + LATE
            assert not answer.whole
            data = answer.body.split(b"\n\n")[-2].rpartition(b"data: ")[2]
            assert json.loads(data)["error"]["type"] == "timeout_error"
            assert world.journal.ending.error == "upstream_timeout"
            await asyncio.wait_for(world.upstream.lines[0].lost.wait(), 1.0)

    run(test())


def test_a_stall_is_noticed_at_the_idle_deadline_also_when_the_first_byte_may_take_longer() -> None:
    async def test() -> None:
        async with gateway(stalling, idle_timeout=SHORT, first_byte_timeout=5.0) as world:
            client = await world.client()
            await client.send(world.request(streaming=True))
            async with asyncio.timeout(0.5):
                assert not (await client.answer()).whole

    run(test())


def test_a_steady_stream_outlives_the_idle_deadline_but_not_the_total_one() -> None:
    async def endless(incoming: Incoming) -> None:
        incoming.send(STREAM_HEAD)
        while True:
            incoming.send(chunk(b": ping\n\n"))
            await asyncio.sleep(0.02)

    async def test() -> None:
        async with gateway(endless, idle_timeout=SHORT, first_byte_timeout=SHORT, total_timeout=0.3) as world:
            begin = asyncio.get_running_loop().time()
            answer = await world.call(world.request(streaming=True))
            assert 0.29 <= elapsed_since(begin) < 0.3 + LATE
            assert not answer.whole
            assert b"0.3 s allowed" in answer.body
            assert world.journal.ending.error == "upstream_timeout"

    run(test())


def test_a_provider_that_does_not_accept_is_a_502_at_the_connect_deadline() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        async def test() -> None:
            async with gateway(upstream_port=full.getsockname()[1], connect_timeout=SHORT) as world:
                begin = asyncio.get_running_loop().time()
                answer = await world.call(world.request())
                assert SHORT - TICK <= elapsed_since(begin) < SHORT + LATE
                assert answer.status == 502
                assert answer.json["error"]["code"] == "upstream_unreachable"
                assert all(pool.open == 0 for pool in world.plane.pools.values())

        run(test())
        for one in waiting:
            one.close()


CHUNK = chunk(b"data: " + b"x" * 65_000 + b"\n\n")
MOST_IN_KERNELS = 16 << 20
"""Bytes: four socket buffers of up to 4 MiB (tcp_wmem, tcp_rmem) and what asyncio holds at either end."""


async def firehose(incoming: Incoming) -> None:
    """As much as the gateway takes, up to 64 MiB."""
    incoming.send(STREAM_HEAD)
    for _ in range(1000):
        await incoming.stream(CHUNK)
    await incoming.stream(b"0\r\n\r\n")


def test_a_client_that_does_not_read_holds_the_provider_back_and_may_go_on_later() -> None:
    async def test() -> None:
        async with gateway(firehose, idle_timeout=SHORT) as world:
            client = await world.client(receive_buffer=4096)
            await client.send(world.request(streaming=True))
            await world.upstream.request()
            line = world.upstream.lines[0]
            await until(lambda: not line.writable.is_set(), within=3.0)
            await asyncio.sleep(2 * SHORT)
            assert line.sent <= MOST_IN_KERNELS
            assert world.permits == 1
            answer = await client.answer()
            assert answer.whole
            assert len(answer.body) == 1000 * (6 + 65_000 + 2)

    run(test())


@pytest.mark.interpreted
def test_a_permit_is_held_until_the_client_has_taken_all_but_a_sockets_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    # As behind TLS, where bytes that are decrypted already come in spite of the pause.
    monkeypatch.setattr(Connection, "pause_reading", lambda _: None)
    replies: list[Reply] = []
    draw_from = Reply.draw_from

    def drawn(reply: Reply, source: Source | None) -> None:
        draw_from(reply, source)
        if source is not None:
            replies.append(reply)
            reply.pause()

    monkeypatch.setattr(Reply, "draw_from", drawn)

    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(world.request())
            await until(lambda: world.gauge("upstream_connections") == 1 and world.busy == 0)
            assert world.permits == 1
            assert world.journal.ended == []
            replies[0].resume()
            assert (await client.answer()).body == CHAT.answer

    run(test())


def test_a_client_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "STALL_DEADLINE", SHORT)

    async def test() -> None:
        async with gateway(firehose) as world:
            client = await world.client(receive_buffer=4096)
            await client.send(world.request(CHAT, streaming=True))
            await world.upstream.request()
            await asyncio.wait_for(world.upstream.lines[0].lost.wait(), 3.0)
            await world.settled()
            assert world.journal.ending.status == "cancelled"

    run(test())
