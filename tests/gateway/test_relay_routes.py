"""Which requests are relayed, seen from outside, and how a connection is shared by several."""

import asyncio

import pytest
from gateway_world import World, gateway, run
from scripted_upstream import Incoming, answering, silence
from vendor_samples import CHAT, MESSAGES, SAMPLES, Sample, framed, streamed


def bare(method: str, path: str, world: World, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {world.token}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("prefix", [b"/api/v2/aibridge", b"/api/v2/ai-gateway", b""])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_every_interception_has_three_addresses(sample: Sample, prefix: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            path = prefix + sample.path.removeprefix(b"/api/v2/aibridge")
            assert (await world.call(world.request(sample, path=path))).status == 200
            assert world.upstream.requests[0].target == sample.upstream_path
            assert world.journal.begun[0].route == sample.upstream_path.decode()

    run(test())


@pytest.mark.parametrize("base", ["/openai", "/openai/", "/openai/v1", "/anthropic", "/api/v2/aibridge/anthropic/"])
def test_a_probe_is_answered_at_once_without_token_permit_or_body(base: str) -> None:
    async def test() -> None:
        async with gateway(silence, max_concurrency=1) as world:
            busy, client = await world.client(), await world.client()
            await busy.send(world.request())
            await world.upstream.request()
            assert world.permits == 1
            for _ in range(2):
                await client.send(f"HEAD {base} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                head = await client.reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
            assert len(world.upstream.requests) == 1
            busy.hang_up()

    run(test())


def test_a_websocket_is_refused_with_426_so_that_clients_fall_back() -> None:
    upgrade = ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: eA==")

    async def test() -> None:
        async with gateway() as world:
            answer = await world.call(bare("GET", "/openai/v1/responses", world, *upgrade))
            assert answer.status == 426
            assert answer.json["error"]["type"] == "invalid_request_error"
            assert answer.value(b"connection") == b"close"
            assert world.upstream.requests == []

    run(test())


def test_an_upgrade_to_http_2_is_ignored_and_the_request_served() -> None:
    async def test() -> None:
        async with gateway() as world:
            wish = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABk")
            client = await world.client()
            for _ in range(2):
                answer = await client.call(world.request(CHAT, *wish))
                assert (answer.status, answer.body) == (200, CHAT.answer)
            assert [seen.body for seen in world.upstream.requests] == [CHAT.body] * 2

    run(test())


UNSUPPORTED = (
    ("GET", "/openai/v1/chat/completions"),
    ("PUT", "/openai/v1/chat/completions"),
    ("POST", "/openai/v1/embeddings"),
    ("POST", "/openai/v1/chat/completions/"),
    ("POST", "/openai/V1/chat/completions"),
    ("POST", "/openai/chat/completions"),
    ("POST", "/anthropic/v1/complete"),
    ("HEAD", "/anthropic/v1/messages"),
    ("GET", "/anthropic/v1/modelsx"),
    ("OPTIONS", "/openai/v1/models"),
)


@pytest.mark.parametrize(("method", "path"), UNSUPPORTED)
def test_anything_else_of_a_provider_is_a_404_that_names_it(method: str, path: str) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(bare(method, path, world))
            raw = await client.rest()
            assert raw.startswith(b"HTTP/1.1 404 ")
            assert f"route not supported: {method} {path}".encode() in raw
            assert world.upstream.requests == []

    run(test())


TRICKS = (
    "/openai/v1/models/../chat/completions",
    "/openai/v1/models/%2e%2e/admin",
    "/openai/v1/models/%2E%2E/admin",
    "/openai/v1/models/.%2e/admin",
    "/openai/v1/models//admin",
    "/openai/v1//models",
    "//openai/v1/models",
    "/openai/../openai/v1/models",
    "/openai/v1/models/..",
    "/openai/v1/models/a%2fb",
    "/openai/v1/models/a%5cb",
    "/openai/v1/models/a\\b",
    "/openai/v1/models/%00",
    "/openai/v1/models/a#b",
    "/openai%2fv1/models",
    "/OPENAI/v1/models",
    "/openai/v1/responses/../../../admin",
    "http://elsewhere/openai/v1/models",
    "@elsewhere/openai/v1/models",
)


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_that_climbs_never_reaches_the_provider(path: str) -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            await client.send(bare("GET", path, world, "connection: close"))
            assert (await client.rest()).startswith(b"HTTP/1.1 ")
            assert world.upstream.requests == []

    run(test())


PASSED = (
    ("GET", "/openai/v1/models", b"/v1/models"),
    ("GET", "/openai/v1/models/gpt-5?a=b&key=secret&c", b"/v1/models/gpt-5?a=b&c"),
    ("POST", "/openai/v1/conversations", b"/v1/conversations"),
    ("DELETE", "/openai/v1/responses/resp_1", b"/v1/responses/resp_1"),
    ("POST", "/anthropic/v1/messages/count_tokens?beta=true", b"/v1/messages/count_tokens?beta=true"),
    ("GET", "/api/v2/aibridge/anthropic/v1/models?limit=%20x", b"/v1/models?limit=%20x"),
)


@pytest.mark.parametrize(("method", "path", "target"), PASSED)
def test_what_is_passed_through_is_neither_recorded_nor_limited(method: str, path: str, target: bytes) -> None:
    async def test() -> None:
        async with gateway(rate_limit=1, max_concurrency=1) as world:
            for _ in range(3):
                answer = await world.call(bare(method, path, world))
                assert (answer.status, answer.body) == (200, CHAT.answer)
            assert [seen.request_line for seen in world.upstream.requests] == [
                method.encode() + b" " + target + b" HTTP/1.1"
            ] * 3
            assert world.journal.begun == []
            assert (await world.call(bare(method, path, world).replace(b"Bearer", b"Basic"))).status == 401

    run(test())


@pytest.mark.parametrize("name", ["KEY", "Api_Key", "Access_Token", "k%65y"])
def test_a_credential_in_the_query_stays_here_however_its_name_is_written(name: str) -> None:
    async def test() -> None:
        async with gateway() as world:
            await world.call(bare("GET", f"/openai/v1/models?{name}={world.token}", world))
            assert b"aib_" not in world.upstream.requests[0].target

    run(test())


def test_everything_outside_a_providers_territory_is_asgis() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            for path in (b"/healthz", b"/api/v2/aibridge/interceptions", b"/nobody/v1/messages"):
                answer = await client.call(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path)
                assert answer.body == b"asgi " + path
            assert (await client.call(world.request())).status == 200
            assert (await client.call(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi")).body == b"asgi /x"

    run(test())


def test_without_the_data_plane_its_routes_are_asgis() -> None:
    async def test() -> None:
        async with gateway(enabled=False) as world:
            assert (await world.call(world.request())).body == b"asgi " + CHAT.path

    run(test())


def test_a_connection_serves_one_request_after_another() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            for sample in SAMPLES * 2:
                assert (await client.call(world.request(sample))).status == 200
            refused = await client.call(world.request(body=b"[]"))
            assert (refused.status, refused.value(b"connection")) == (400, None)
            assert (await client.call(world.request())).status == 200
            closing = await client.call(world.request(CHAT, b"connection: close"))
            assert closing.value(b"connection") == b"close"
            assert await client.rest() == b""

    run(test())


def test_a_client_that_waits_for_100_is_told_when_its_body_is_wanted() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            head, _, body = world.request(CHAT, b"expect: 100-continue").partition(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert (await client.call(body)).status == 200
            assert world.upstream.requests[0].values(b"expect") == []
            eager = await client.call(world.request(CHAT, b"Expect: 100-Continue"))
            assert (eager.status, eager.interim) == (200, [])

    run(test())


def test_a_client_that_waits_for_100_and_is_refused_need_not_send_its_body() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            head, _, _ = world.request(CHAT, b"expect: 100-continue", token=None).partition(b"\r\n\r\n")
            answer = await client.call(head + b"\r\n\r\n")
            assert (answer.status, answer.interim) == (401, [])
            assert answer.value(b"connection") == b"close"
            assert await client.rest() == b""

    run(test())


@pytest.mark.parametrize("second", ["call", "control plane", "garbage"])
def test_a_request_that_does_not_wait_for_the_first_answer_is_not_served(second: str) -> None:
    async def test() -> None:
        async with gateway(answering(*streamed(MESSAGES), pause=0.005)) as world:
            follower = {
                "call": world.request(CHAT),
                "control plane": b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
                "garbage": b"\x00\x01\x02\r\n\r\n",
            }[second]
            client = await world.client()
            answer = await client.call(world.request(MESSAGES, streaming=True) + follower)
            assert (answer.body, answer.whole) == (b"".join(MESSAGES.events), True)
            assert await client.rest() == b""
            assert len(world.upstream.requests) == 1

    run(test())


def test_a_second_requests_headers_are_not_the_firsts() -> None:
    async def test() -> None:
        async with gateway() as world:
            client = await world.client()
            first, second = world.request(CHAT), world.request(CHAT, b"openai-beta: second")
            await client.call(first + second)
            assert world.upstream.requests[0].values(b"openai-beta") == []

    run(test())


def test_calls_at_one_time_do_not_mix() -> None:
    async def echo(incoming: Incoming) -> None:
        await asyncio.sleep(0.001 * (len(incoming.body) % 7))
        incoming.send(framed(incoming.body))

    async def test() -> None:
        async with gateway(echo) as world:

            async def one(number: int) -> None:
                client = await world.client()
                for turn in range(5):
                    body = b'{"model":"m","x":"%d-%d"}' % (number * 37, turn)
                    assert (await client.call(world.request(body=body))).body == body

            await asyncio.gather(*map(one, range(20)))
            assert len(world.upstream.lines) <= 20

    run(test())
