"""Which pools there are while providers come, change and go, and what becomes of the connections."""

import asyncio
import gc

import pytest
from gateway_world import run, until
from scripted_upstream import answering, listening, silence
from test_pool import REQUEST, Sink, exchanged
from vendor_samples import framed

from aibridge.domain.errors import UpstreamForbidden
from aibridge.domain.provider import Provider, ProviderKind
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.pools import LEAST, Pools


def provider(name: str, port: int = 9, *, host: str = "127.0.0.1", internal: bool = True) -> Provider:
    return Provider.at(name, ProviderKind.OPENAI, f"http://{host}:{port}/v1", internal=internal)


def pools(connections: int = 1000) -> Pools:
    return Pools(Deadlines(connect=1.0), connections=connections)


def test_providers_at_one_origin_share_a_pool() -> None:
    one, two, other = provider("a"), provider("b"), provider("c", port=10)
    kept = pools()
    kept.keep([one, two, other])
    assert kept.of(one) is kept.of(two)
    assert kept.of(one) is not kept.of(other)
    assert len(kept.values()) == 2


def test_one_that_may_be_anywhere_lends_its_connections_to_no_other() -> None:
    async def test() -> None:
        async with listening(answering(framed(b"hello"))) as (_, port):
            inside, outside = provider("in", port), provider("out", port, internal=False)
            kept = pools()
            kept.keep([inside, outside])
            await exchanged(kept.of(inside), await kept.of(inside).connect())
            assert kept.of(inside).idle == 1
            assert kept.of(outside).unused.take() is None
            with pytest.raises(UpstreamForbidden):
                await kept.of(outside).connect()
            assert dict(kept.connections()) == {(f"127.0.0.1:{port}", "idle"): 1, (f"127.0.0.1:{port}", "busy"): 0}
            kept.close()
            await until(lambda: not any(pool.open for pool in kept.values()))

    run(test())


def test_what_is_kept_keeps_its_pool_and_the_rest_have_none() -> None:
    kept = pools()
    stays, goes = provider("stays"), provider("goes", port=10)
    kept.keep([stays, goes])
    before = kept.of(stays)
    kept.keep([stays])
    assert kept.of(stays) is before
    with pytest.raises(KeyError):
        kept.of(goes)
    kept.keep([stays, goes])
    assert kept.of(stays) is before


def test_the_connections_are_shared_out_among_the_pools_there_are() -> None:
    kept = pools(1000)
    providers = [provider(f"p{number}", port=number + 1) for number in range(4)]
    for number, most in ((2, 500), (4, 250), (1, 1000), (3, 333)):
        kept.keep(providers[:number])
        assert [kept.of(one).maximum for one in providers[:number]] == [most] * number
    crowded = pools(100)
    crowded.keep(providers)
    assert crowded.of(providers[0]).maximum == LEAST
    crowded.keep([])
    assert list(crowded.values()) == []


def test_an_unused_connection_of_a_provider_that_is_gone_is_closed_at_once() -> None:
    async def test() -> None:
        async with listening(answering(framed(b"hello"))) as (upstream, port):
            kept = pools()
            kept.keep([one := provider("a", port)])
            await exchanged(kept.of(one), await kept.of(one).connect())
            kept.keep([])
            await until(upstream.lines[0].lost.is_set)
            assert sum(number for _, number in kept.connections()) == 0

    run(test())


def test_a_call_on_a_provider_that_is_gone_ends_as_it_would_and_its_connection_with_it() -> None:
    async def test() -> None:
        async with listening(silence) as (upstream, port):
            kept = pools()
            kept.keep([one := provider("a", port)])
            pool = kept.of(one)
            waiting = asyncio.ensure_future(exchanged(pool, await pool.connect()))
            incoming = await upstream.request()
            kept.keep([])
            assert dict(kept.connections())[str(one.origin), "busy"] == 1
            incoming.send(framed(b"late"))
            assert (await waiting).body == b"late"
            assert pool.unused.take() is None
            await until(upstream.lines[0].lost.is_set)
            # A call that was still on its way there gets through as well, and leaves nothing behind.
            upstream.script = answering(framed(b"later"))
            assert (await exchanged(pool, await pool.connect())).body == b"later"
            await until(upstream.lines[1].lost.is_set)
            del pool
            gc.collect()
            await until(lambda: not kept.values())

    run(test())


def test_the_end_of_the_gateway_is_theirs_too() -> None:
    async def test() -> None:
        async with listening(silence) as (upstream, port):
            kept = pools()
            kept.keep([one := provider("a", port)])
            pool = kept.of(one)
            connection = await pool.connect()
            connection.exchange(REQUEST, Sink(), asyncio.get_running_loop().time() + 5)
            await upstream.request()
            kept.keep([])
            kept.close()
            await until(upstream.lines[0].lost.is_set)
            assert connection.closed

    run(test())
