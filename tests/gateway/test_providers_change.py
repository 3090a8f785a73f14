"""Providers that come, change and go while calls are served."""

import logging
from typing import Any

import pytest
from gateway_world import World, gateway, run, until
from scripted_upstream import Incoming, answering, listening, silence
from vendor_samples import CHAT, MESSAGES, framed

from aibridge.domain.provider import Provider, ProviderKind

ADDED = b"/api/v2/aibridge/added/v1/chat/completions"


def added(
    port: int,
    key: str = "sk-added",
    *,
    name: str = "added",
    kind: ProviderKind = ProviderKind.OPENAI,
    internal: bool = True,
    path: str = "/v1",
) -> Provider:
    return Provider.at(name, kind, f"http://127.0.0.1:{port}{path}", key, internal=internal)


def port_of(world: World) -> int:
    """Where the scripted provider listens."""
    return world.plane.upstreams.served["openai"].origin.port


def test_a_new_provider_is_served_at_once_under_every_prefix_and_a_removed_one_is_unknown() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            request = world.request(path=ADDED)
            assert (await client.call(request)).body.startswith(b"asgi ")
            world.plane.apply_providers([added(port_of(world))])
            for path in (ADDED, b"/api/v2/ai-gateway/added/v1/chat/completions", b"/added/v1/chat/completions"):
                assert (await client.call(world.request(path=path))).body == CHAT.answer
            assert [one.values(b"authorization") for one in world.upstream.requests] == [[b"Bearer sk-added"]] * 3
            assert {begun.provider for begun in world.journal.begun} == {"added"}
            assert (await client.call(world.request())).status == 200
            world.plane.apply_providers([])
            assert (await client.call(request)).body.startswith(b"asgi ")
            assert (await client.call(world.request())).status == 200

    run(test())


def test_the_routes_are_those_of_its_kind() -> None:
    async def test() -> None:
        async with gateway() as world:
            path = b"/added/v1/messages"
            world.plane.apply_providers([added(port_of(world))])
            assert (await world.call(world.request(MESSAGES, path=path))).status == 404
            world.upstream.script = answering(framed(MESSAGES.answer))
            world.plane.apply_providers([added(port_of(world), kind=ProviderKind.ANTHROPIC, path="")])
            assert (await world.call(world.request(MESSAGES, path=path))).body == MESSAGES.answer
            assert world.upstream.requests[-1].values(b"x-api-key") == [b"sk-added"]

    run(test())


def test_a_changed_key_and_a_changed_place_hold_from_the_next_call_on() -> None:
    async def test() -> None:
        async with gateway() as world, listening(answering(framed(CHAT.answer))) as (elsewhere, other):
            client = await world.client()
            for provider in (
                added(port_of(world), "sk-first"),
                added(port_of(world), "sk-second"),
                added(other, "sk-third", path="/deep/v1"),
            ):
                world.plane.apply_providers([provider])
                assert (await client.call(world.request(path=ADDED))).status == 200
            (third,) = elsewhere.requests
            assert third.target == b"/deep/v1/chat/completions"
            assert third.values(b"host") == [b"127.0.0.1:%d" % other]
            keys = [one.values(b"authorization") for one in (*world.upstream.requests, third)]
            assert keys == [[b"Bearer sk-first"], [b"Bearer sk-second"], [b"Bearer sk-third"]]
            assert len(world.upstream.lines) == 1  # a key is nothing to a connection
            world.plane.apply_providers([])
            await until(elsewhere.lines[0].lost.is_set)

    run(test())


def test_a_call_in_progress_ends_well_on_a_provider_that_was_removed_and_its_connection_goes() -> None:
    async def test() -> None:
        async with (
            gateway(circuit_breaker_enabled=True, adaptive_concurrency=True, max_retries=1) as world,
            listening(silence) as (elsewhere, port),
        ):
            world.plane.apply_providers([added(port)])
            client = await world.client()
            await client.send(world.request(path=ADDED))
            incoming = await elsewhere.request()
            world.plane.apply_providers([])
            assert world.busy == 1
            incoming.send(framed(CHAT.answer))
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, CHAT.answer)
            assert world.journal.ending.status == "completed"
            await until(elsewhere.lines[0].lost.is_set)
            assert world.busy == 0

    run(test())


def test_a_call_that_waits_for_its_turn_meanwhile_is_served_with_what_it_found() -> None:
    async def test() -> None:
        watched: dict[str, Any] = {"circuit_breaker_enabled": True, "adaptive_concurrency": True, "max_retries": 1}
        async with (
            gateway(max_concurrency=1, queue_timeout=5.0, **watched) as world,
            listening(answering(framed(CHAT.answer))) as (elsewhere, port),
        ):
            world.plane.apply_providers([added(port)])
            world.upstream.script = silence
            first, second = await world.client(), await world.client()
            await first.send(world.request())
            holding = await world.upstream.request()
            await second.send(world.request(path=ADDED))
            await until(lambda: len(world.plane.gateway.calls) == 2)
            world.plane.apply_providers([])
            holding.send(framed(CHAT.answer))
            assert (await first.answer()).status == 200
            assert (await second.answer()).status == 200
            await until(elsewhere.lines[0].lost.is_set)

    run(test())


def test_what_was_learned_of_a_provider_stays_unless_it_is_somewhere_else() -> None:
    async def test() -> None:
        async with gateway(circuit_breaker_enabled=True, adaptive_concurrency=True, max_retries=1) as world:
            plane, port = world.plane, port_of(world)
            assert plane.guards is not None
            assert plane.retries is not None

            def learned(name: str) -> list[object]:
                assert plane.guards is not None
                assert plane.retries is not None
                places = [place for place in plane.guards.places if place.provider == name]
                assert len(places) == 2
                return [plane.retries.of(name), *places, *(place.breaker for place in places)]

            own = learned("openai")
            plane.apply_providers([added(port)])
            first = learned("added")
            assert first[-1] is not None
            plane.apply_providers([added(port, "sk-new"), added(port, name="another")])
            assert learned("added") == first
            plane.apply_providers([added(port, "sk-new", path="/v2")])
            assert not set(learned("added")) & set(first)
            assert learned("openai") == own
            assert {place.provider for place in plane.guards.places} == {"openai", "anthropic", "added"}
            assert plane.retries.made == {"openai": 0, "anthropic": 0, "added": 0, "another": 0}

    run(test())


def test_one_of_the_options_comes_before_one_of_the_database(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with gateway() as world:
            for others in ([], [added(9, name="other")], []):
                world.plane.apply_providers([added(9, "sk-database", name="openai"), *others])
            assert (await world.call(world.request())).status == 200
            assert world.upstream.requests[0].values(b"authorization") != [b"Bearer sk-database"]

    with caplog.at_level(logging.WARNING, "aibridge"):
        run(test())
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "the provider 'openai' of the database is not served: the options have one of this name, which wins"


def test_one_that_cannot_have_a_route_keeps_no_other_from_being_served(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with gateway() as world:
            world.plane.apply_providers([added(9, name="api"), added(port_of(world))])
            assert (await world.call(world.request(path=ADDED))).status == 200

    with caplog.at_level(logging.WARNING, "aibridge"):
        run(test())
    (line,) = [record.getMessage() for record in caplog.records]
    assert "'api' cannot be a provider's name" in line


def test_the_same_providers_again_change_nothing() -> None:
    async def test() -> None:
        async with gateway() as world:
            world.plane.apply_providers([added(9)])
            routes = world.plane.gateway.routes
            world.plane.apply_providers((added(9),))
            assert world.plane.gateway.routes is routes

    run(test())


def test_a_stand_in_gives_way_to_any_of_the_database_and_is_back_when_there_is_none() -> None:
    async def test() -> None:
        async with gateway(stand_in=True) as world:
            port = port_of(world)
            assert (await world.call(world.request())).status == 200
            world.plane.apply_providers([added(port)])
            assert (await world.call(world.request())).body.startswith(b"asgi ")
            assert (await world.call(world.request(path=ADDED))).status == 200
            world.plane.apply_providers([added(port, "sk-own", name="openai")])
            assert (await world.call(world.request())).status == 200
            assert world.upstream.requests[-1].values(b"authorization") == [b"Bearer sk-own"]
            world.plane.apply_providers([])
            assert (await world.call(world.request(MESSAGES))).status == 200

    run(test())


def test_while_the_data_plane_is_off_a_provider_has_no_route_either() -> None:
    async def test() -> None:
        async with gateway(enabled=False) as world:
            world.plane.apply_providers([added(port_of(world))])
            assert (await world.call(world.request(path=ADDED))).body.startswith(b"asgi ")

    run(test())


def test_server_side_request_forgery_is_refused_in_the_dialect_and_reaches_nobody() -> None:
    async def test() -> None:
        async with gateway(circuit_breaker_enabled=True, circuit_breaker_failure_threshold=1, max_retries=2) as world:
            world.plane.apply_providers(
                [
                    added(port_of(world), internal=False),
                    Provider.at("tls", ProviderKind.OPENAI, f"https://127.0.0.1:{port_of(world)}/v1", "sk"),
                ]
            )
            for path, reason in ((ADDED, "http://"), (b"/tls/v1/chat/completions", "loopback")):
                for _ in range(2):  # no breaker opens, and nothing is tried again
                    answer = await world.call(world.request(path=path))
                    assert answer.status == 502
                    assert answer.json["error"]["code"] == "upstream_forbidden"
                    assert reason in answer.json["detail"]
                    assert b"127.0.0.1" not in answer.raw
            assert {ending.error for ending in world.journal.ended} == {"upstream_forbidden"}
            assert world.plane.retries is not None
            assert world.plane.retries.made["tls"] == 0
            assert world.upstream.lines == []

    run(test())


def test_server_side_request_forgery_by_a_redirect_is_followed_by_nobody() -> None:
    async def test() -> None:
        async with gateway() as world:

            async def elsewhere(incoming: Incoming) -> None:
                place = b"http://127.0.0.1:%d/secret" % port_of(world)
                incoming.send(
                    framed(b"", status=b"307 Temporary Redirect").replace(b"\r\n", b"\r\nlocation: %b\r\n" % place, 1)
                )

            world.upstream.script = elsewhere
            answer = await world.call(world.request())
            assert (answer.status, answer.body) == (307, b"")
            await world.settled()
            assert [one.target for one in world.upstream.requests] == [b"/v1/chat/completions"]

    run(test())
