"""The pool and its connections, on loopback, with a sink that remembers."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from gateway_world import run, until
from in_task import in_task
from scripted_upstream import Incoming, Script, Upstream, answering, answering_then, silence
from vendor_samples import framed

from aibridge.domain.errors import AtCapacity, UpstreamBroke, UpstreamUnreachable
from aibridge.domain.provider import Origin
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.headers import Fields, Headers
from aibridge.gateway.pool import Pool
from aibridge.gateway.upstream import Connection, Stale
from aibridge.gateway.whereabouts import anywhere

REQUEST = b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n"


class Sink:
    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.whole = False

    def answered(self, status: int, headers: Headers, fields: Fields, content_length: int | None) -> None:
        self.status = status

    def received(self, part: bytes) -> None:
        self.body += part

    def completed(self, part: bytes) -> None:
        self.body += part
        self.whole = True


def loopback(port: int, *, tls: bool = False) -> Origin:
    return Origin(tls=tls, host="127.0.0.1", port=port)


@asynccontextmanager
async def pooled(script: Script | None = None, *, maximum: int = 3) -> AsyncIterator[tuple[Pool, Upstream]]:
    upstream = Upstream(script or answering(framed(b"hello")))
    pool = Pool(loopback(await upstream.start()), Deadlines(connect=1.0), maximum=maximum, whereabouts=anywhere)
    try:
        yield pool, upstream
    finally:
        pool.close()
        await until(lambda: pool.open == 0)
        await upstream.close()


async def exchanged(pool: Pool, connection: Connection) -> Sink:
    sink = Sink()
    try:
        await in_task(connection.exchange(REQUEST, sink, monotonic() + 5))
    finally:
        pool.unused.give_back(connection)
    return sink


def test_a_connection_is_used_again_the_newest_first() -> None:
    async def test() -> None:
        async with pooled() as (pool, _):
            assert pool.unused.take() is None
            first, second = await pool.connect(), await pool.connect()
            assert (pool.open, pool.idle) == (2, 0)
            for connection in (first, second):
                sink = await exchanged(pool, connection)
                assert (sink.status, sink.body, sink.whole) == (200, b"hello", True)
            assert (pool.open, pool.idle) == (2, 2)
            assert pool.unused.take() is second
            assert pool.unused.take() is first
            assert pool.unused.take() is None

    run(test())


def test_no_more_connections_than_the_maximum() -> None:
    async def test() -> None:
        async with pooled(maximum=2) as (pool, _):
            opened = await asyncio.gather(pool.connect(), pool.connect(), pool.connect(), return_exceptions=True)
            (refusal,) = [one for one in opened if isinstance(one, BaseException)]
            assert isinstance(refusal, AtCapacity)
            assert "All 2 connections" in refusal.detail
            assert refusal.retry_after is not None
            assert pool.open == 2

    run(test())


def hanging_up(listening: socket.socket, *, reset: bool) -> None:
    """Accept, and close at once, as a load balancer does that has nobody behind it."""
    with contextlib.suppress(OSError):
        while True:
            accepted, _ = listening.accept()
            if reset:
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_a_provider_that_hangs_up_at_once_is_not_reached_and_nothing_is_kept_of_it(*, reset: bool) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=hanging_up, args=(listening,), kwargs={"reset": reset}, daemon=True).start()
            pool = Pool(loopback(listening.getsockname()[1]), Deadlines(), maximum=10, whereabouts=anywhere)
            for _ in range(20):
                for outcome in await asyncio.gather(*[used(pool) for _ in range(10)], return_exceptions=True):
                    assert isinstance(outcome, UpstreamUnreachable | UpstreamBroke)
            await until(lambda: (pool.open, pool.idle) == (0, 0))
            listening.shutdown(socket.SHUT_RDWR)

    async def used(pool: Pool) -> None:
        connection = await pool.connect()
        try:
            await in_task(connection.exchange(REQUEST, Sink(), monotonic() + 5))
        finally:
            pool.unused.give_back(connection)

    run(test())


def test_a_connection_given_back_in_the_middle_of_an_exchange_is_closed() -> None:
    async def test() -> None:
        async with pooled(silence) as (pool, upstream):
            connection = await pool.connect()
            waiting = asyncio.ensure_future(exchanged(pool, connection))
            await upstream.request()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (pool.idle, connection.closed) == (0, True)
            await until(lambda: pool.open == 0 and upstream.lines[0].lost.is_set())

    run(test())


def test_a_connection_given_back_unused_is_closed() -> None:
    async def test() -> None:
        async with pooled() as (pool, _):
            pool.unused.give_back(await pool.connect())
            assert pool.idle == 0
            await until(lambda: pool.open == 0)

    run(test())


def test_closing_a_pool_ends_what_is_under_way() -> None:
    async def test() -> None:
        async with pooled() as (pool, upstream):
            await exchanged(pool, await pool.connect())
            await pool.connect()
            pool.close()
            await until(lambda: (pool.open, pool.idle) == (0, 0))
            await until(lambda: all(line.lost.is_set() for line in upstream.lines))

    run(test())


def test_who_cannot_be_reached_is_said_without_an_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = loopback(unused.getsockname()[1])
        unknown = Origin(tls=False, host="nobody.invalid", port=80)

        async def test() -> None:
            for origin in (refused, unknown):
                pool = Pool(origin, Deadlines(connect=1.0), maximum=1, whereabouts=anywhere)
                for _ in range(2):
                    with pytest.raises(UpstreamUnreachable) as caught:
                        await pool.connect()
                    assert origin.host not in caught.value.message + caught.value.detail
                    assert pool.open == 0

        run(test())


def test_a_provider_that_does_not_speak_tls_is_unreachable_and_the_place_is_free_again() -> None:
    async def test() -> None:
        upstream = Upstream(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        context = ssl.create_default_context()
        pool = Pool(
            loopback(await upstream.start(), tls=True),
            Deadlines(connect=0.2),
            maximum=1,
            whereabouts=anywhere,
            tls=context,
        )
        with pytest.raises(UpstreamUnreachable):
            await pool.connect()
        assert pool.open == 0
        await upstream.close()

    run(test())


async def kept(pool: Pool) -> Connection:
    connection = await pool.connect()
    await exchanged(pool, connection)
    taken = pool.unused.take()
    assert taken is connection
    return connection


def test_a_request_for_a_socket_that_is_closed_already_is_stale() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            pool = Pool(loopback(listener.getsockname()[1]), Deadlines(), maximum=1, whereabouts=anywhere)
            connection = await pool.connect()
            accepted, _ = listener.accept()
            accepted.sendall(framed(b"hello"))
            await exchanged(pool, connection)
            assert accepted.recv(1000) == REQUEST
            assert pool.unused.take() is connection
            accepted.close()  # the loop has not turned since: nobody can know
            with pytest.raises(Stale):
                await exchanged(pool, connection)
            assert pool.idle == 0
            pool.close()
            await until(lambda: pool.open == 0)

    run(test())


FATES: list[Callable[[Incoming], None]] = [Incoming.hang_up]


@pytest.mark.parametrize("fate", FATES)
def test_a_request_that_was_read_is_not_stale_even_on_a_kept_connection(fate: Callable[[Incoming], None]) -> None:
    async def script(incoming: Incoming) -> None:
        first = len(incoming.line.upstream.requests) == 1
        answer: Callable[[Incoming], Awaitable[None]] = answering(framed(b"1")) if first else answering_then(fate)
        await answer(incoming)

    async def test() -> None:
        async with pooled(script) as (pool, _):
            with pytest.raises(UpstreamBroke):
                await exchanged(pool, await kept(pool))

    run(test())


def test_an_idle_connection_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aibridge.gateway.upstream.IDLE_LIMIT", 0.05)

    async def test() -> None:
        async with pooled() as (pool, upstream):
            await exchanged(pool, await pool.connect())
            assert pool.idle == 1
            await until(lambda: (pool.open, pool.idle) == (0, 0))
            await until(upstream.lines[0].lost.is_set)

    run(test())


def test_an_answer_that_comes_before_the_request_was_read_gives_no_connection_to_others() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            pool = Pool(loopback(listener.getsockname()[1]), Deadlines(), maximum=1, whereabouts=anywhere)
            connection = await pool.connect()
            accepted, _ = listener.accept()
            sink = Sink()
            large = b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 16000000\r\n\r\n" + bytes(16_000_000)
            ended = connection.exchange(large, sink, monotonic() + 5)
            accepted.sendall(framed(b"too large", status=b"413 Too Large"))
            await in_task(ended)
            pool.unused.give_back(connection)
            assert sink.status == 413
            assert pool.unused.take() is None
            accepted.close()
            await until(lambda: pool.open == 0)

    run(test())
