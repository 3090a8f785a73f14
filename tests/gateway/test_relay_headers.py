"""Which headers pass, seen on both wires: canaries of every kind go in, and must not come out."""

import pytest
from gateway_world import ANTHROPIC_KEY, OPENAI_KEY, World, gateway, run
from scripted_upstream import answering
from vendor_samples import CHAT, MESSAGES, SAMPLES, Sample

CANARY = b"canary-7d1f"
STEERING = (
    b"cookie",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
    b"forwarded",
    b"via",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"keep-alive",
    b"upgrade-insecure-requests",
    b"accept-encoding",
    b"x-internal-secret",
    b"x-ai-bridge-actor-id",
    b"x-ai-bridge-actor-metadata-username",
    b"x-http-method-override",
    b"api-key",
    b"origin",
    b"referer",
)
OPEN = (
    b"anthropic-beta",
    b"anthropic-something-of-next-year",
    b"openai-beta",
    b"openai-something-of-next-year",
    b"x-stainless-lang",
    b"x-claude-code-session-id",
    b"x-codex-turn",
    b"idempotency-key",
    b"traceparent",
    b"user-agent",
)
CARRIERS = (
    b"authorization: Bearer %b",
    b"Authorization: bEaReR %b",
    b"x-api-key: %b",
    b"x-goog-api-key: %b",
    b"coder-session-token: %b",
    b"x-coder-ai-governance-token: %b",
)


def everything_sent(world: World) -> bytes:
    return b"".join(bytes(line.received) for line in world.upstream.lines)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_our_token_never_reaches_the_provider_whatever_carries_it(carrier: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            token = world.token.encode()
            everywhere = [line % token for line in CARRIERS[2:]]
            path = CHAT.path + b"?key=%b&api_key=%b&access_token=%b&coder_session_token=%b&a=1" % ((token,) * 4)
            for headers in ([carrier % token], everywhere):
                answer = await world.call(
                    world.request(CHAT, *headers, b"cookie: coder_session_token=%b" % token, token=None, path=path)
                )
                assert answer.status == 200
            assert len(world.upstream.requests) == 2
            sent = everything_sent(world)
            assert b"aib_" not in sent
            assert world.upstream.requests[0].target == b"/v1/chat/completions?a=1"

    run(test())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_headers_that_steer_or_tell_on_the_client_stay_here(sample: Sample) -> None:
    async def test() -> None:
        async with gateway() as world:
            lines = [name + b": " + CANARY for name in STEERING]
            assert (await world.call(world.request(sample, *lines))).status == 200
            sent = everything_sent(world)
            assert CANARY not in sent
            (seen,) = world.upstream.requests
            assert seen.values(b"accept-encoding") == [b"identity"]
            port = seen.line.transport.get_extra_info("sockname")[1]
            assert seen.values(b"host") == [b"127.0.0.1:%d" % port]

    run(test())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_the_vendors_own_headers_pass_with_case_and_order_of_values(sample: Sample) -> None:
    async def test() -> None:
        async with gateway() as world:
            lines = [name.title() + b": Value-" + name for name in OPEN]
            assert (await world.call(world.request(sample, *lines, b"anthropic-beta: second"))).status == 200
            (seen,) = world.upstream.requests
            for name in OPEN:
                assert seen.values(name)[0] == b"Value-" + name
            assert seen.values(b"anthropic-beta") == [b"Value-anthropic-beta", b"second"]

    run(test())


def test_what_connection_names_is_for_this_hop_only() -> None:
    async def test() -> None:
        answer = (
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nx-hop: " + CANARY + b"\r\ncontent-length: 2\r\n\r\n{}"
        )
        async with gateway(answering(answer)) as world:
            named = (b"connection: close, Anthropic-Beta ,x-stainless-lang", b"anthropic-beta: " + CANARY)
            got = await world.call(world.request(CHAT, *named, b"x-stainless-lang: " + CANARY))
            assert CANARY not in everything_sent(world)
            assert CANARY not in got.raw
            assert got.value(b"connection") == b"close"

    run(test())


FROM_THE_PROVIDER = (
    b"set-cookie: a=%b",
    b"openai-organization: %b",
    b"openai-project: %b",
    b"anthropic-organization-id: %b",
    b"alt-svc: %b",
    b"authorization: %b",
    b"x-api-key: %b",
    b"keep-alive: timeout=%b",
    b"proxy-authenticate: %b",
    b"upgrade: %b",
    b"trailer: %b",
)


def test_what_is_the_providers_own_business_does_not_reach_the_client() -> None:
    async def test() -> None:
        lines = b"\r\n".join(line % CANARY for line in FROM_THE_PROVIDER)
        answer = b"HTTP/1.1 200 OK\r\n" + lines + b"\r\ncontent-length: 2\r\n\r\n{}"
        async with gateway(answering(answer)) as world:
            got = await world.call(world.request())
            assert got.status == 200
            assert CANARY not in got.raw
            assert OPENAI_KEY.encode() not in got.raw

    run(test())


def test_what_sdks_read_of_the_provider_reaches_them_as_it_came() -> None:
    names = (
        b"x-ratelimit-remaining-requests",
        b"anthropic-ratelimit-tokens-reset",
        b"openai-processing-ms",
        b"request-id",
        b"x-request-id",
        b"retry-after-ms",
    )

    async def test() -> None:
        lines = b"".join(name.title() + b": v-" + name + b"\r\n" for name in names)
        async with gateway(answering(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 2\r\n\r\n{}")) as world:
            got = await world.call(world.request())
            for name in names:
                assert got.value(name) == b"v-" + name

    run(test())


def test_every_answer_has_a_request_id_which_is_the_ledgers() -> None:
    async def test() -> None:
        async with gateway() as world:
            got = await world.call(world.request())
            assert got.value(b"x-request-id") == world.journal.ending.id.encode()
            refused = await world.call(world.request(token=None))
            assert refused.json["request_id"].encode() == refused.value(b"x-request-id")

    run(test())


CREDENTIALS = {
    "openai": (CHAT, [], b"authorization", b"Bearer " + OPENAI_KEY.encode()),
    "anthropic by bearer before the version": (
        MESSAGES,
        [b"anthropic-version: 2023-06-01"],
        b"x-api-key",
        ANTHROPIC_KEY.encode(),
    ),
    "anthropic by bearer since the version": (
        MESSAGES,
        [b"anthropic-version: 2026-10-21"],
        b"authorization",
        b"Bearer " + ANTHROPIC_KEY.encode(),
    ),
    "anthropic without a version": (MESSAGES, [], b"x-api-key", ANTHROPIC_KEY.encode()),
}


@pytest.mark.parametrize(("sample", "headers", "name", "value"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_the_provider_gets_the_central_key_in_its_own_form(
    sample: Sample, headers: list[bytes], name: bytes, value: bytes
) -> None:
    async def test() -> None:
        async with gateway() as world:
            assert (await world.call(world.request(sample, *headers))).status == 200
            (seen,) = world.upstream.requests
            credentials = [line for line in seen.headers if line[0] in {b"authorization", b"x-api-key"}]
            assert credentials == [(name, value)]

    run(test())


def test_anthropic_gets_an_api_key_when_the_client_used_one_whatever_the_version() -> None:
    async def test() -> None:
        async with gateway() as world:
            headers = [b"anthropic-version: 2027-01-01", b"x-api-key: " + world.token.encode()]
            assert (await world.call(world.request(MESSAGES, *headers, token=None))).status == 200
            assert world.upstream.requests[0].values(b"x-api-key") == [ANTHROPIC_KEY.encode()]

    run(test())


def test_actor_headers_are_sent_when_asked_for_and_spoofed_ones_are_replaced() -> None:
    async def test() -> None:
        async with gateway(send_actor_headers=True) as world:
            spoof = (b"x-ai-bridge-actor-id: root", b"x-ai-bridge-actor-metadata-username: root")
            token = world.tokens.new("zo\xeb")
            assert (await world.call(world.request(CHAT, *spoof, token=token))).status == 200
            (seen,) = world.upstream.requests
            assert len(seen.values(b"x-ai-bridge-actor-id")) == 1
            assert seen.values(b"x-ai-bridge-actor-metadata-username") == [b"zo%C3%AB"]

    run(test())


def test_a_username_cannot_add_a_header() -> None:
    async def test() -> None:
        async with gateway(send_actor_headers=True) as world:
            token = world.tokens.new("mia\r\nx-admin: yes")
            assert (await world.call(world.request(token=token))).status == 200
            assert world.upstream.requests[0].values(b"x-admin") == []

    run(test())
