"""Where a provider's connections go: server-side request forgery by names, and what is verified at the other end."""

import asyncio
import socket
import ssl

import pytest
import trustme
from gateway_world import run, until
from scripted_upstream import answering, listening
from vendor_samples import framed

from aibridge.domain.errors import UpstreamForbidden, UpstreamUnreachable
from aibridge.domain.provider import Origin
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.pool import Pool
from aibridge.gateway.whereabouts import Resolve, Whereabouts, anywhere, public, resolved

HOST = "provider.example"
PUBLIC = ("8.8.8.8", "2606:4700:4700::1111")


def at(host: str = HOST, port: int = 443, *, tls: bool = True) -> Origin:
    return Origin(tls=tls, host=host, port=port)


def knowing(*answers: list[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives these answers in turn, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(f"{host}:{port}")
        return answers[len(asked) - 1]

    return resolve, asked


def led_to(*addresses: str) -> Whereabouts:
    """Whereabouts for which these addresses have passed."""

    async def whereabouts(origin: Origin) -> list[str]:
        return list(addresses)

    return whereabouts


def asked_of(whereabouts: Whereabouts, origin: Origin) -> list[str]:
    """What a pool would be told."""

    async def asked() -> list[str]:
        return await whereabouts(origin)

    return run(asked())


def test_a_public_name_leads_to_all_its_addresses_resolved_once() -> None:
    resolve, asked = knowing(list(PUBLIC))
    assert asked_of(public(resolve), at()) == list(PUBLIC)
    assert asked == [f"{HOST}:443"]


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["10.0.0.1"], id="a name, or the name it is an alias of, that is private"),
        pytest.param(["169.254.169.254"], id="metadata"),
        pytest.param(["::ffff:127.0.0.1"], id="mapped"),
        pytest.param(["8.8.8.8", "127.0.0.1"], id="mixed, the private one last"),
        pytest.param(["127.0.0.1", "8.8.8.8"], id="mixed, the private one first"),
        pytest.param(["8.8.8.8", "::1"], id="mixed families"),
        pytest.param(["fe80::1%lo"], id="with a scope"),
    ],
)
def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    resolve, _ = knowing(addresses)
    with pytest.raises(UpstreamForbidden) as caught:
        asked_of(public(resolve), at())
    assert "not public" in caught.value.detail
    assert not any(address in caught.value.message + caught.value.detail for address in addresses)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0", "0x7f.1", "2130706433", "0177.0.0.1", "::1", "::ffff:127.0.0.1", "localhost"]
)
def test_the_machines_own_resolver_gets_nobody_past_the_check(host: str) -> None:
    with pytest.raises(UpstreamForbidden):
        asked_of(public(), at(host))


def test_without_tls_nobody_is_asked_not_even_where_it_is() -> None:
    resolve, asked = knowing(list(PUBLIC))
    with pytest.raises(UpstreamForbidden, match="does not connect") as caught:
        asked_of(public(resolve), at(tls=False))
    assert "http://" in caught.value.detail
    assert asked == []


def test_rebinding_every_connection_is_looked_at() -> None:
    async def test() -> None:
        resolve, asked = knowing(["10.0.0.1"], ["127.0.0.1"])
        pool = Pool(at(), Deadlines(connect=1.0), maximum=1, whereabouts=public(resolve))
        for _ in range(2):
            with pytest.raises(UpstreamForbidden):
                await pool.connect()
            assert pool.open == 0
        assert len(asked) == 2

    run(test())


def test_an_internal_provider_may_be_anywhere() -> None:
    assert asked_of(anywhere, at("127.0.0.1", tls=False)) == ["127.0.0.1"]


def test_a_name_that_nobody_knows_is_a_provider_that_cannot_be_reached() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def test() -> None:
        pool = Pool(at(), Deadlines(connect=1.0), maximum=1, whereabouts=public(unknown))
        with pytest.raises(UpstreamUnreachable) as caught:
            await pool.connect()
        assert caught.value.detail == "Name or service not known"

    run(test())


def test_a_resolver_that_does_not_answer_is_waited_for_no_longer_than_a_connection() -> None:
    async def lost(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def test() -> None:
        pool = Pool(at(), Deadlines(connect=0.05), maximum=1, whereabouts=public(lost))
        with pytest.raises(UpstreamUnreachable):
            await pool.connect()
        assert pool.open == 0

    run(test())


def test_the_resolver_gives_each_address_once() -> None:
    found = run(resolved("127.0.0.1", 80))
    assert found == ["127.0.0.1"]


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async def test() -> None:
        # Of 127.0.0.1, and of no other address of the loopback.
        async with listening(answering(framed(b"hello"))) as (upstream, port):
            origin = at(port=port, tls=False)
            pool = Pool(origin, Deadlines(connect=1.0), maximum=1, whereabouts=led_to("127.0.0.2", "127.0.0.1"))
            await pool.connect()
            assert (pool.open, len(upstream.lines)) == (1, 1)
            pool.close()
            await until(lambda: pool.open == 0)
            gone = Pool(origin, Deadlines(connect=1.0), maximum=1, whereabouts=led_to("127.0.0.2", "127.0.0.3"))
            with pytest.raises(UpstreamUnreachable):
                await gone.connect()

    run(test())


@pytest.mark.parametrize("certified", [HOST, "other.example", "127.0.0.1"])
def test_connected_to_the_address_and_verified_by_the_name(certified: str) -> None:
    async def test() -> None:
        authority = trustme.CA()
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(certified).configure_cert(serving)
        names: list[str | None] = []
        serving.sni_callback = lambda _, name, __: names.append(name)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
        origin = at(port=server.sockets[0].getsockname()[1])
        # Two addresses: a certificate for somebody else is no reason to ask at the next one.
        whereabouts = led_to("127.0.0.1", "127.0.0.1")
        pool = Pool(origin, Deadlines(connect=2.0), maximum=1, whereabouts=whereabouts, tls=trusting)
        if certified == HOST:
            await pool.connect()  # of which no resolver knows: to the address it was told, then
        else:
            with pytest.raises(UpstreamUnreachable, match="No connection") as caught:
                await pool.connect()
            assert caught.value.detail.startswith("TLS: ")
        assert names == [HOST]
        pool.close()
        await until(lambda: pool.open == 0)
        server.close()
        await server.wait_closed()

    run(test())
