"""The middleware beyond the known cases: streams, endings, roll-over, memory, and honest hints."""

import asyncio
from collections.abc import Callable

import pytest
from asgi_driver import Clock, Stream, call, hello, no_luck, statuses

from aibridge.overload import asgi
from aibridge.overload.asgi import ConcurrencyLimit, Message, RateLimitByAuthToken, Receive, Scope, Send
from aibridge.overload.caller import TrustedProxies
from aibridge.overload.concurrency import HORIZON

TOKEN = [(b"authorization", b"Bearer secret-token")]


def rate_limited(
    limit: int, window: float, clock: Clock, *, luck: Callable[[], float] = no_luck
) -> RateLimitByAuthToken:
    return RateLimitByAuthToken(hello, limit, window, clock=clock, luck=luck)


def test_a_rate_refusal_says_what_to_do_and_why() -> None:
    clock = Clock()
    app = rate_limited(2, 3600.0, clock)

    async def scenario() -> None:
        assert await statuses(app, 2, TOKEN) == [200, 200]
        clock.now += 1800.0
        answer = await call(app, TOKEN)
        assert answer.status == 429
        assert answer.json == {
            "message": "You've been rate limited. Please try again later.",
            "detail": "Calls are limited to 2 per 3600 s for one caller.",
        }
        assert answer.headers == {
            "content-type": "application/json",
            "content-length": str(len(answer.body)),
            "retry-after": "60",
            "retry-after-ms": "60000",
            "ratelimit": '"token";r=0;t=1800',
            "ratelimit-policy": '"token";q=2;w=3600',
        }

    asyncio.run(scenario())


def test_a_capacity_refusal_says_what_to_do_and_why() -> None:
    async def scenario() -> None:
        stream, clock = Stream(), Clock()
        app = ConcurrencyLimit(stream, 1, name="The demo", clock=clock, luck=no_luck)
        held = asyncio.create_task(call(app))
        await stream.reached_by(1)
        clock.now += 12.0
        answer = await call(app)
        assert answer.status == 503
        assert answer.json == {
            "message": "The demo is currently at capacity. Please try again later.",
            "detail": "Calls at one time are limited to 1.",
        }
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["retry-after"] == "12"
        assert "retry-after-ms" not in answer.headers
        stream.gate.set()
        await held

    asyncio.run(scenario())


def test_the_name_at_capacity_is_ai_bridge_unless_told_otherwise() -> None:
    async def scenario() -> str:
        stream = Stream()
        app = ConcurrencyLimit(stream, 1, clock=Clock())
        held = asyncio.create_task(call(app))
        await stream.reached_by(1)
        answer = await call(app)
        stream.gate.set()
        await held
        return str(answer.json["message"])

    assert asyncio.run(scenario()) == "AI Bridge is currently at capacity. Please try again later."


@pytest.mark.parametrize("wait", [0.0, 0.1, 0.5, 0.999])
def test_retry_after_is_accurate_to_the_millisecond(wait: float) -> None:
    clock = Clock()
    app = rate_limited(3, 1.0, clock)

    async def scenario() -> None:
        await statuses(app, 3, TOKEN)
        clock.now += wait
        answer = await call(app, TOKEN)
        milliseconds, refused_at = int(answer.headers["retry-after-ms"]), clock.now
        assert answer.headers["retry-after"] == "1"
        clock.now = refused_at + (milliseconds - 1) / 1000 - 1e-6
        assert await statuses(app, 1, TOKEN) == [429]
        clock.now = refused_at + milliseconds / 1000
        assert await statuses(app, 3, TOKEN) == [200, 200, 200]

    asyncio.run(scenario())


def test_clients_refused_together_are_told_different_times() -> None:
    clock = Clock()
    lucks = iter([0.0, 0.3, 0.6, 0.9])
    app = rate_limited(1, 10.0, clock, luck=lambda: next(lucks))

    async def scenario() -> list[str]:
        await call(app, TOKEN)
        return [(await call(app, TOKEN)).headers["retry-after-ms"] for _ in range(4)]

    assert asyncio.run(scenario()) == ["10000", "10600", "11200", "11800"]


def test_the_window_rolls_over() -> None:
    clock = Clock()
    app = rate_limited(2, 1.0, clock)

    async def scenario() -> list[int]:
        seen = []
        for step in (0.0, 0.6, 0.3, 0.1, 0.5, 0.1, 5.0):
            clock.now += step
            seen += await statuses(app, 1, TOKEN)
        return seen

    assert asyncio.run(scenario()) == [200, 200, 429, 200, 429, 200, 200]


def test_one_token_is_one_caller_wherever_it_is_presented() -> None:
    app = rate_limited(5, 3600.0, Clock())

    async def scenario() -> list[int]:
        answers = [
            await call(app, [(b"cookie", b"coder_session_token=abc")]),
            await call(app, query=b"coder_session_token=abc"),
            await call(app, [(b"coder-session-token", b"abc")]),
            await call(app, [(b"authorization", b"Bearer abc")]),
            await call(app, [(b"x-api-key", b"abc")]),
            await call(app, [(b"x-api-key", b"abc")]),
        ]
        return [answer.status for answer in answers]

    assert asyncio.run(scenario()) == [200] * 5 + [429]


def test_a_token_that_looks_like_an_address_is_another_caller() -> None:
    app = rate_limited(1, 3600.0, Clock())

    async def scenario() -> list[int]:
        return [(await call(app, [(b"x-api-key", b"192.0.2.1")])).status, (await call(app)).status]

    assert asyncio.run(scenario()) == [200, 200]


def test_without_a_token_the_client_is_counted_by_its_network() -> None:
    app = rate_limited(1, 3600.0, Clock())

    async def scenario() -> list[int]:
        clients = [("2001:db8::1", 1), ("2001:db8::2", 1), ("2001:db8:0:1::1", 1), None, None]
        return [(await call(app, client=client)).status for client in clients]

    assert asyncio.run(scenario()) == [200, 429, 200, 200, 429]


def test_a_trusted_proxy_is_asked_for_the_client() -> None:
    app = RateLimitByAuthToken(hello, 1, 3600.0, proxies=TrustedProxies(["192.0.2.0/24"]), clock=Clock())

    async def scenario() -> list[int]:
        spoofed = [[(b"x-forwarded-for", b"6.6.6.%d, 203.0.113.%d" % (n, last))] for n, last in enumerate((7, 7, 8))]
        return [(await call(app, headers)).status for headers in spoofed]

    assert asyncio.run(scenario()) == [200, 429, 200]


def test_memory_is_bounded_and_no_token_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "MOST_CALLERS", 50)
    app = rate_limited(1, 3600.0, Clock())

    async def scenario() -> list[int]:
        return [(await call(app, [(b"x-api-key", b"%0999d" % number)])).status for number in range(200)]

    seen = asyncio.run(scenario())
    assert seen == [200] * 51 + [429] * 149  # fifty places, and one more shared by everybody else
    assert app._limiters is not None
    assert len(app._limiters) == 50
    assert all(len(key) == 16 for key in app._limiters._keys)


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_only_http_is_limited(kind: str) -> None:
    seen = list[tuple[str, int]]()

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append((scope["type"], limited.in_flight))

    async def receive() -> Message:
        raise NotImplementedError

    async def send(_: Message) -> None:
        raise NotImplementedError

    async def scenario() -> None:
        for _ in range(5):
            await limited({"type": kind}, receive, send)

    limited = ConcurrencyLimit(RateLimitByAuthToken(app, 1, clock=Clock()), 1, clock=Clock())
    asyncio.run(scenario())
    assert seen == [(kind, 0)] * 5


def test_a_permit_is_held_while_streaming_and_not_only_until_the_head() -> None:
    async def scenario() -> None:
        stream = Stream()
        app = ConcurrencyLimit(stream, 1, clock=Clock())
        held = asyncio.create_task(call(app))
        await stream.reached_by(1)
        assert app.in_flight == 1
        assert (await call(app)).status == 503
        stream.gate.set()
        assert (await held).body == b"first last"
        assert app.in_flight == 0
        assert (await call(app)).status == 200

    asyncio.run(scenario())


def test_a_permit_comes_back_when_the_client_disconnects() -> None:
    async def listening(_: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            await send({"type": "http.response.body", "body": b"chunk", "more_body": True})

    async def scenario() -> None:
        app = ConcurrencyLimit(listening, 1, clock=Clock())
        messages = iter(["http.request", "http.request", "http.disconnect"])
        in_flight = []

        async def receive() -> Message:
            in_flight.append(app.in_flight)
            return {"type": next(messages)}

        async def send(_: Message) -> None:
            in_flight.append(app.in_flight)

        await app({"type": "http", "headers": []}, receive, send)
        assert set(in_flight) == {1}
        assert app.in_flight == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_a_permit_comes_back_when_the_application_raises(error: type[BaseException]) -> None:
    async def broken(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    async def scenario() -> None:
        app = ConcurrencyLimit(broken, 1, clock=Clock())
        with pytest.raises(error):
            await call(app)
        assert app.in_flight == 0

    asyncio.run(scenario())


def test_a_permit_comes_back_when_the_call_is_cancelled_at_any_await() -> None:
    async def scenario(awaits: int) -> bool:
        """Cancel after so many turns of the loop; whether the call was still running by then."""
        stream, clock = Stream(), Clock()
        app = ConcurrencyLimit(RateLimitByAuthToken(stream, 9, clock=clock), 1, clock=clock)
        stream.gate.set()
        task = asyncio.create_task(call(app))
        for _ in range(awaits):
            await asyncio.sleep(0)
        running = task.cancel()
        await asyncio.wait([task])
        assert app.in_flight == 0
        assert (await call(app)).status == 200
        return running

    cut = [asyncio.run(scenario(awaits)) for awaits in range(12)]
    assert cut.count(True) >= 5
    assert cut[-1] is False


def test_a_permit_comes_back_when_the_refusal_further_in_cannot_be_sent() -> None:
    async def receive() -> Message:
        raise NotImplementedError

    async def send(_: Message) -> None:
        raise ConnectionResetError

    async def scenario() -> None:
        clock = Clock()
        app = ConcurrencyLimit(RateLimitByAuthToken(hello, 1, clock=clock), 1, clock=clock)
        assert (await call(app)).status == 200
        with pytest.raises(ConnectionResetError):
            await app({"type": "http", "headers": [], "client": ("192.0.2.1", 1)}, receive, send)
        assert app.in_flight == 0

    asyncio.run(scenario())


def test_those_refused_together_are_sent_away_for_different_times() -> None:
    async def scenario() -> list[int]:
        stream, clock = Stream(), Clock()
        app = ConcurrencyLimit(stream, 2, clock=clock, luck=no_luck)
        held = [asyncio.create_task(call(app)) for _ in range(2)]
        await stream.reached_by(2)
        clock.now += 10.0
        hints = [int((await call(app)).headers["retry-after"]) for _ in range(20)]
        stream.gate.set()
        await asyncio.gather(*held)
        return hints

    assert asyncio.run(scenario()) == [*range(5, int(HORIZON), 5)] + [60] * 9


def test_a_cancelled_call_teaches_nothing_and_a_failed_one_does() -> None:
    async def scenario(*, fail: bool) -> str:
        clock, entered, gate = Clock(), asyncio.Event(), asyncio.Event()

        async def held(_: Scope, __: Receive, ___: Send) -> None:
            entered.set()
            await gate.wait()
            raise RuntimeError

        app = ConcurrencyLimit(held, 1, clock=clock, luck=no_luck)
        task = asyncio.create_task(call(app))
        await entered.wait()
        clock.now += 30.0
        if fail:
            gate.set()
        else:
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or isinstance(task.exception(), RuntimeError)
        gate.clear()
        second = asyncio.create_task(call(app))
        await asyncio.sleep(0)
        refused = (await call(app)).headers["retry-after"]
        second.cancel()
        await asyncio.wait([second])
        return refused

    assert asyncio.run(scenario(fail=True)) == "30"
    assert asyncio.run(scenario(fail=False)) == "1"


@pytest.mark.parametrize("limit", [-1, -100])
def test_a_negative_limit_is_an_error(limit: int) -> None:
    with pytest.raises(ValueError, match=rf"limit must be 0 \(no limit\) or more, not {limit}"):
        RateLimitByAuthToken(hello, limit)
    with pytest.raises(ValueError, match=rf"maximum must be 0 \(no limit\) or more, not {limit}"):
        ConcurrencyLimit(hello, limit)


def test_a_window_that_means_nothing_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="window must be a positive number of seconds, not 0"):
        RateLimitByAuthToken(hello, 1, window=0.0)
