"""Clients that bring a provider credential of their own: that one goes upstream, ours never does."""

import pytest
from gateway_world import ANTHROPIC_KEY, OPENAI_KEY, World, gateway, run
from vendor_samples import CHAT, MESSAGES, Sample

OWN = {
    "bearer": (CHAT, b"authorization: Bearer sk-own"),
    "x-api-key": (MESSAGES, b"x-api-key: sk-ant-own"),
    "subscription bearer": (MESSAGES, b"authorization: Bearer sk-ant-oat-own"),
}


def governed(world: World, sample: Sample, *headers: bytes) -> bytes:
    token = world.token.encode()
    return world.request(sample, *headers, b"x-coder-ai-governance-token: " + token, token=None)


@pytest.mark.parametrize(("sample", "own"), OWN.values(), ids=OWN.keys())
def test_the_clients_own_credential_goes_upstream_alone(sample: Sample, own: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            assert (await world.call(governed(world, sample, own))).status == 200
            (seen,) = world.upstream.requests
            name, _, value = own.partition(b": ")
            credentials = [line for line in seen.headers if line[0] in {b"authorization", b"x-api-key"}]
            assert credentials == [(name, value)]
            assert world.token.encode() not in seen.head
            assert OPENAI_KEY.encode() not in seen.head
            assert ANTHROPIC_KEY.encode() not in seen.head
            assert world.journal.begun[0].actor_id == "id-of-mia"

    run(test())


def test_ours_in_several_places_is_not_taken_for_the_clients_own() -> None:
    async def test() -> None:
        async with gateway() as world:
            token = world.token.encode()
            headers = (b"authorization: Bearer " + token, b"x-api-key: " + token, b"x-goog-api-key: " + token)
            assert (await world.call(governed(world, CHAT, *headers))).status == 200
            assert b"aib_" not in world.upstream.requests[0].head

    run(test())


DISGUISED = (b"authorization: %b", b"authorization: Token %b", b"x-api-key: Bearer %b", b'x-api-key: "%b"')


@pytest.mark.parametrize("carrier", DISGUISED)
def test_ours_in_a_wrong_form_never_reaches_the_provider(carrier: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            await world.call(governed(world, CHAT, carrier % world.token.encode()))
            assert not any(b"aib_" in seen.head for seen in world.upstream.requests)

    run(test())


def test_byok_can_be_switched_off() -> None:
    async def test() -> None:
        async with gateway(allow_byok=False) as world:
            refused = await world.call(governed(world, CHAT, b"authorization: Bearer sk-own"))
            assert refused.status == 403
            assert refused.json["message"] == "Bring Your Own Key (BYOK) mode is not enabled."
            assert refused.value(b"x-should-retry") == b"false"
            assert world.upstream.requests == []

    run(test())
