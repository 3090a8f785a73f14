"""The cases every implementation of these two limits is measured by, under the names they are known by."""

import asyncio

import pytest
from asgi_driver import Clock, Stream, call, hello, statuses

from aibridge.overload.asgi import ConcurrencyLimit, RateLimitByAuthToken

BYPASS = (b"x-coder-bypass-ratelimit", b"true")


def test_rate_limit_no_user_succeeds() -> None:
    app = RateLimitByAuthToken(hello, 1, clock=Clock())
    assert asyncio.run(statuses(app, 5)) == [200, 429, 429, 429, 429]


def test_rate_limit_random_ips() -> None:
    app = RateLimitByAuthToken(hello, 1, clock=Clock())

    async def calls() -> list[int]:
        return [(await call(app, client=(f"198.51.100.{number}", 1))).status for number in range(20)]

    assert asyncio.run(calls()) == [200] * 20


@pytest.mark.parametrize("headers", [(), (BYPASS,)], ids=["plain", "bypass header is not honoured"])
def test_rate_limit_regular_user(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    app = RateLimitByAuthToken(hello, 1, clock=Clock())
    token = (b"coder-session-token", b"member-token")

    async def calls() -> list[int]:
        return [(await call(app, [token, *headers], client=(f"198.51.100.{n}", 1))).status for n in range(5)]

    assert asyncio.run(calls()) == [200, 429, 429, 429, 429]


def test_rate_limit_owner_bypass() -> None:
    """Nobody passes by: a limiter that knows no roles does not believe a header."""
    app = RateLimitByAuthToken(hello, 1, clock=Clock())
    headers = [(b"coder-session-token", b"owner-token"), BYPASS]
    assert asyncio.run(statuses(app, 5, headers)) == [200, 429, 429, 429, 429]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"authorization", b"Bearer test-token-123")], id="BearerToken"),
        pytest.param([(b"x-api-key", b"test-api-key-456")], id="XApiKey"),
        pytest.param([], id="NoToken"),
    ],
)
def test_rate_limit_by_auth_token_limits_by_auth_header(headers: list[tuple[bytes, bytes]]) -> None:
    app = RateLimitByAuthToken(hello, 2, window=3600.0, clock=Clock())

    async def calls() -> None:
        assert await statuses(app, 2, headers) == [200, 200]
        for _ in range(3):
            answer = await call(app, headers)
            assert answer.status == 429
            assert answer.headers["retry-after"]

    asyncio.run(calls())


def test_rate_limit_by_auth_token_different_tokens_not_limited() -> None:
    app = RateLimitByAuthToken(hello, 1, window=3600.0, clock=Clock())

    async def calls() -> list[int]:
        return [(await call(app, [(b"authorization", b"Bearer token-%d" % n)])).status for n in range(5)]

    assert asyncio.run(calls()) == [200] * 5


def test_rate_limit_by_auth_token_disabled_when_zero() -> None:
    app = RateLimitByAuthToken(hello, 0, clock=Clock())
    assert asyncio.run(statuses(app, 10)) == [200] * 10


def test_concurrency_limit_limits_concurrent_requests() -> None:
    async def scenario() -> None:
        stream = Stream()
        app = ConcurrencyLimit(stream, 2, clock=Clock())
        held = [asyncio.create_task(call(app)) for _ in range(2)]
        await stream.reached_by(2)
        assert (await call(app)).status == 503
        stream.gate.set()
        assert [answer.status for answer in await asyncio.gather(*held)] == [200, 200]

    asyncio.run(scenario())


def test_concurrency_limit_disabled_when_zero() -> None:
    app = ConcurrencyLimit(hello, 0, clock=Clock())
    assert asyncio.run(statuses(app, 10)) == [200] * 10
    assert app.in_flight == 0


def test_within_limit() -> None:
    app = ConcurrencyLimit(hello, 5, clock=Clock())

    async def calls() -> list[int]:
        return [answer.status for answer in await asyncio.gather(*(call(app) for _ in range(5)))]

    assert asyncio.run(calls()) == [200] * 5


def test_over_limit() -> None:
    app = ConcurrencyLimit(hello, 3, clock=Clock())

    async def calls() -> list[int]:
        return [answer.status for answer in await asyncio.gather(*(call(app) for _ in range(5)))]

    assert sorted(asyncio.run(calls())) == [200, 200, 200, 503, 503]


def test_counter_back_to_zero() -> None:
    async def scenario() -> None:
        stream = Stream()
        app = ConcurrencyLimit(stream, 3, clock=Clock())
        held = [asyncio.create_task(call(app)) for _ in range(3)]
        await stream.reached_by(3)
        assert app.in_flight == 3
        stream.gate.set()
        await asyncio.gather(*held)
        assert app.in_flight == 0

    asyncio.run(scenario())


def test_two_per_minute_third_refused() -> None:
    app = RateLimitByAuthToken(hello, 2, window=60.0, clock=Clock())
    assert asyncio.run(statuses(app, 3)) == [200, 200, 429]


def test_both_combined() -> None:
    clock = Clock()
    app = ConcurrencyLimit(RateLimitByAuthToken(hello, 3, window=60.0, clock=clock), 10, clock=clock)
    assert asyncio.run(statuses(app, 4)) == [200, 200, 200, 429]
    assert app.in_flight == 0
