"""Kept connections, and the moment in which a provider closes one: sent again only when that is certainly safe."""

import asyncio
import fcntl
import socket
import struct
import termios

import pytest
from gateway_world import gateway, run, until
from scripted_upstream import Fate, Incoming, answering, answering_then
from vendor_samples import CHAT, framed

from aibridge.gateway.unused import Unused
from aibridge.gateway.upstream import Connection

WHOLE = framed(CHAT.answer)


def test_connections_are_kept_and_the_last_used_is_taken_first() -> None:
    together = asyncio.Barrier(1)

    async def answer(incoming: Incoming) -> None:
        await together.wait()
        incoming.send(WHOLE)

    async def test() -> None:
        nonlocal together
        async with gateway(answer) as world:
            for _ in range(5):
                assert (await world.call(world.request())).status == 200
            assert len(world.upstream.lines) == 1
            together = asyncio.Barrier(3)
            await asyncio.gather(*[world.call(world.request()) for _ in range(3)])
            assert len(world.upstream.lines) == 3

    run(test())


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_a_connection_that_the_provider_ends_is_not_kept(head: bytes) -> None:
    async def test() -> None:
        async with gateway(answering(head + b"content-length: 2\r\n\r\n{}")) as world:
            for _ in range(2):
                assert (await world.call(world.request())).status == 200
            assert len(world.upstream.lines) == 2

    run(test())


def test_a_connection_closed_while_idle_is_noticed() -> None:
    async def test() -> None:
        async with gateway(answering_then(Incoming.hang_up, WHOLE)) as world:
            for number in range(3):
                assert (await world.call(world.request())).status == 200
                await until(lambda: world.gauge("upstream_connections") == 0)
                assert len(world.upstream.requests) == number + 1

    run(test())


@pytest.mark.interpreted  # what is compiled is not replaced from without
def test_a_request_that_crosses_the_providers_close_is_sent_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def provided(listener: socket.socket) -> tuple[socket.socket, bytes]:
        """Take a connection and answer the request that comes on it."""
        loop = asyncio.get_running_loop()
        accepted, _ = await loop.sock_accept(listener)
        request = await loop.sock_recv(accepted, 1 << 16)
        await loop.sock_sendall(accepted, WHOLE)
        return accepted, request

    take = Unused.take

    async def test(listener: socket.socket) -> None:
        listener.setblocking(False)
        async with gateway(upstream_port=listener.getsockname()[1]) as world:
            first = asyncio.ensure_future(provided(listener))
            assert (await world.call(world.request())).status == 200
            kept, _ = await first

            def take_and_close(unused: Unused) -> Connection | None:
                connection = take(unused)
                assert connection is not None
                kept.close()  # before the loop can turn and tell the gateway
                return connection

            monkeypatch.setattr(Unused, "take", take_and_close)
            second = asyncio.ensure_future(provided(listener))
            body = b'{"model":"second"}'
            answer = await world.call(world.request(body=body))
            assert (answer.status, answer.body) == (200, CHAT.answer)
            accepted, request = await second
            assert request.endswith(body)
            assert [ending.status for ending in world.journal.ended] == ["completed", "completed"]
            accepted.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(test(listener))


async def answer_once_then_close_unread(incoming: Incoming) -> None:
    """Answer the first request of a connection, and close before the second is read: the kernel answers it by RST."""
    incoming.line.transport.pause_reading()
    incoming.send(WHOLE)
    if len(incoming.line.upstream.requests) > 1:
        incoming.line.transport.resume_reading()
        return
    await until(lambda: _waiting(incoming) > 0)
    incoming.hang_up()


def _waiting(incoming: Incoming) -> int:
    """The bytes that the provider's kernel holds and nobody has read."""
    descriptor = incoming.line.transport.get_extra_info("socket").fileno()
    return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0])


def test_a_request_that_reached_the_providers_kernel_is_not_sent_again() -> None:
    async def test() -> None:
        async with gateway(answer_once_then_close_unread) as world:
            assert (await world.call(world.request())).status == 200
            assert (await world.call(world.request(body=b'{"model":"second"}'))).status == 502
            assert len(world.upstream.lines) == 1
            assert [ending.status for ending in world.journal.ended] == ["completed", "failed"]

    run(test())


@pytest.mark.parametrize(
    ("fate", "pieces"),
    [
        pytest.param(Incoming.hang_up, [], id="closes"),
        pytest.param(
            Incoming.reset,
            [],
            id="resets",
        ),
        pytest.param(Incoming.hang_up, [b"HTTP/1.1 2"], id="closes in its head"),
        pytest.param(Incoming.hang_up, [WHOLE[:-1]], id="closes in its body"),
        pytest.param(Incoming.reset, [WHOLE[:-1]], id="resets in its body"),
    ],
)
def test_a_request_that_the_provider_has_read_is_never_sent_again(fate: Fate, pieces: list[bytes]) -> None:
    async def script(incoming: Incoming) -> None:
        if len(incoming.line.upstream.requests) == 1:
            incoming.send(WHOLE)
        else:
            await answering_then(fate, *pieces)(incoming)

    async def test() -> None:
        async with gateway(script) as world:
            assert (await world.call(world.request())).status == 200
            answer = await world.call(world.request())
            assert len(world.upstream.requests) == 2
            assert answer.status == 502 or not answer.whole
            assert world.journal.ended[-1].error == "upstream_broke"

    run(test())


def test_a_new_connection_that_breaks_is_not_tried_again() -> None:
    async def test() -> None:
        async with gateway(answering_then(Incoming.reset)) as world:
            assert (await world.call(world.request())).status == 502
            assert len(world.upstream.requests) == 1

    run(test())


def test_a_connection_that_has_just_ended_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    see_end = Connection.eof_received

    async def test() -> None:
        async with gateway() as world:
            assert (await world.call(world.request())).status == 200
            (pool,) = set(world.plane.pools.values())
            taken: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()

            def eof_received(connection: Connection) -> None:
                see_end(connection)
                taken.set_result(pool.unused.take())

            monkeypatch.setattr(Connection, "eof_received", eof_received)
            world.upstream.lines[0].transport.close()
            assert await taken is None

    run(test())


def test_a_connection_that_has_just_been_poisoned_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    take_in = Connection.data_received

    async def test() -> None:
        taken: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        async with gateway() as world:
            (pool,) = set(world.plane.pools.values())

            def data_received(connection: Connection, data: bytes) -> None:
                take_in(connection, data)
                if b"poison" in data:
                    taken.set_result(pool.unused.take())

            monkeypatch.setattr(Connection, "data_received", data_received)
            assert (await world.call(world.request())).status == 200
            world.upstream.lines[0].transport.write(framed(b'{"poison":true}'))
            assert await taken is None

    run(test())


def test_a_second_answer_in_the_same_read_reaches_nobody() -> None:
    async def test() -> None:
        async with gateway(answering(WHOLE + framed(b'{"poison":true}'))) as world:
            client = await world.client()
            for _ in range(3):
                answer = await client.call(world.request())
                assert b"poison" not in answer.raw
                assert answer.body == CHAT.answer or answer.status == 502
            assert len(world.upstream.lines) == 3

    run(test())


def test_bytes_that_nobody_asked_for_end_a_kept_connection() -> None:
    async def script(incoming: Incoming) -> None:
        incoming.send(WHOLE)
        await asyncio.sleep(0.01)
        incoming.send(framed(b'{"poison":true}'))

    async def test() -> None:
        async with gateway(script) as world:
            assert (await world.call(world.request())).body == CHAT.answer
            await until(lambda: world.gauge("upstream_connections") == 0)
            assert (await world.call(world.request())).body == CHAT.answer

    run(test())
