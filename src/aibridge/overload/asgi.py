"""Both limits for any ASGI application, one line each. Plain ASGI: no framework.

    app = ConcurrencyLimit(RateLimitByAuthToken(app, limit=10), maximum=200)

Only HTTP requests are limited; WebSockets and lifespan events go through. The application's coroutine is the lifetime
of a call: a permit is held to the last byte of a streamed response and comes back however the coroutine ends.
"""

import json
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import blake2b
from typing import Any

from aibridge.overload.caller import TrustedProxies, address_group, presented_token
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.keyed import Keyed
from aibridge.overload.outcome import Outcome, Rejection
from aibridge.overload.rate import ExactWindow
from aibridge.overload.retry import hint, rate_headers, retry_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_CALLERS = 100_000
"""How many callers are told apart; see `Keyed` for what happens beyond."""

NO_PROXIES = TrustedProxies(())


class RateLimitByAuthToken:
    """At most `limit` calls in any `window` seconds for each token; 429 beyond, with the true wait.

    A call without a token counts against its client's address (IPv6 by /64), as `proxies` let it be seen. A limit of 0
    disables; a negative one is a ValueError. The token is only told apart here, never checked: limit addresses, too,
    where strangers can invent tokens.
    """

    def __init__(  # noqa: PLR0913 - three of them are for tests and for people behind proxies, by keyword only
        self,
        app: App,
        limit: int,
        window: float = 1.0,
        *,
        proxies: TrustedProxies = NO_PROXIES,
        clock: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        if limit < 0:
            raise ValueError(f"limit must be 0 (no limit) or more, not {limit}")
        self._app = app
        self._proxies = proxies
        self._clock = clock
        self._luck = luck
        self._limiters = (
            Keyed[bytes, ExactWindow](lambda: ExactWindow(limit, window, "token"), ExactWindow.idle, MOST_CALLERS)
            if limit
            else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if self._limiters is not None and scope["type"] == "http":
            now = self._clock()
            rejection = self._limiters.get(self._key(scope), now).take(now)
            if rejection is not None:
                await _refuse_rate(rejection, self._luck(), send)
                return
        await self._app(scope, receive, send)

    def _key(self, scope: Scope) -> bytes:
        """A digest of the caller's name: short however long a token is, and no secret stays in memory."""
        token = presented_token(scope["headers"], scope.get("query_string", b""))
        if token is not None:
            return blake2b(token.encode(), digest_size=16, person=b"token").digest()
        peer = (scope.get("client") or ("",))[0]
        forwarded_for = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        address = self._proxies.client_address(peer, forwarded_for)
        return blake2b(address_group(address).encode(), digest_size=16, person=b"address").digest()


class ConcurrencyLimit:
    """At most `maximum` calls at a time; 503 beyond, with an estimate of the wait.

    `name` is what the message says is at capacity. A maximum of 0 disables; a negative one is a ValueError.
    """

    def __init__(
        self,
        app: App,
        maximum: int,
        name: str = "AI Bridge",
        *,
        clock: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        if maximum < 0:
            raise ValueError(f"maximum must be 0 (no limit) or more, not {maximum}")
        self._app = app
        self._clock = clock
        self._luck = luck
        self._limiter = ConcurrencyLimiter(maximum, name) if maximum else None

    @property
    def in_flight(self) -> int:
        """How many calls hold a permit; always 0 where there is no limit."""
        return self._limiter.in_flight if self._limiter is not None else 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if self._limiter is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        entered = self._limiter.enter(self._clock())
        if isinstance(entered, Rejection):
            await _refuse_capacity(entered, self._luck(), send)
            return
        outcome = Outcome.IGNORED  # what a cancellation leaves behind
        try:
            await self._app(scope, receive, send)
            outcome = Outcome.SUCCESS
        except Exception:
            outcome = Outcome.FAILURE
            raise
        finally:
            self._limiter.leave(entered, outcome, self._clock())


async def _refuse_rate(rejection: Rejection, luck: float, send: Send) -> None:
    detail = f"Calls are limited to {rejection.allowed:g} per {rejection.window:g} s for one caller."
    headers = rate_headers(rejection, hint(rejection.retry_after, luck))
    await _answer(send, 429, "You've been rate limited. Please try again later.", detail, headers)


async def _refuse_capacity(rejection: Rejection, luck: float, send: Send) -> None:
    message = f"{rejection.limit} is currently at capacity. Please try again later."
    detail = f"Calls at one time are limited to {rejection.allowed:g}."
    await _answer(send, 503, message, detail, retry_headers(hint(rejection.retry_after, luck)))


async def _answer(send: Send, status: int, message: str, detail: str, headers: list[tuple[str, str]]) -> None:
    body = json.dumps({"message": message, "detail": detail}).encode()
    own = [("content-type", "application/json"), ("content-length", str(len(body)))]
    encoded = [(name.encode(), value.encode()) for name, value in (*own, *headers)]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
