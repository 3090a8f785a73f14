"""Calls, replies and handlers for layers that are tested alone: no sockets and, where it can be, no loop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from aibridge.domain.actor import Actor
from aibridge.domain.interception import Ending, Interception
from aibridge.domain.provider import Provider, ProviderKind
from aibridge.gateway.call import Call, Handler, RequestBody
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.head import Head
from aibridge.gateway.pool import Pool
from aibridge.gateway.reply import Reply
from aibridge.gateway.routes import Route, Routes
from aibridge.gateway.whereabouts import anywhere

PROVIDERS = (
    Provider.at("openai", ProviderKind.OPENAI, "http://127.0.0.1:9/v1", "sk-central", internal=True),
    Provider.at("anthropic", ProviderKind.ANTHROPIC, "http://127.0.0.1:9", "sk-central", internal=True),
)


def pool_of(provider: Provider) -> Pool:
    """Connections that nobody asks for."""
    return Pool(provider.origin, Deadlines(), maximum=1, whereabouts=anywhere)


ROUTES = Routes(PROVIDERS, pool_of)
BODY = b'{"model":"gpt-5"}'
MIA = Actor(id="mia", username="mia", token_id="t-mia")


class Transport:
    """Takes what a reply writes."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, _name: str) -> None:
        """There is no socket."""


def route(path: bytes = b"/openai/v1/chat/completions", method: bytes = b"POST") -> Route:
    found = ROUTES.find(method, path)
    assert found is not None
    return found.route


def request_body(content: bytes = BODY, maximum: int = 1 << 20) -> RequestBody:
    """A body that is here already."""
    body = RequestBody(maximum)
    body.feed(content)
    body.finish()
    return body


def a_call(
    *headers: tuple[bytes, bytes],
    path: bytes = b"/openai/v1/chat/completions",
    method: bytes = b"POST",
    body: RequestBody | None = None,
    address: str = "192.0.2.1",
    actor: Actor | None = None,
) -> Call:
    call = Call(
        id="00000000-0000-7000-8000-000000000001",
        head=Head(
            route=route(path, method),
            method=method,
            upstream_path=path,
            query=b"",
            headers=list(headers),
            fields=dict(headers),
            address=address,
        ),
        body=body or request_body(),
        started=100.0,
        started_at=1_767_225_600_000_000,
    )
    call.actor = actor
    return call


def a_reply(*, keep_alive: bool = True, may_chunk: bool = True) -> tuple[Reply, Transport]:
    transport = Transport()
    return Reply(cast("asyncio.WriteTransport", transport), keep_alive=keep_alive, may_chunk=may_chunk), transport


def finished(work: Awaitable[None]) -> None:
    """See a coroutine through that has nothing to wait for."""
    try:
        cast("Coroutine[Any, Any, None]", work).send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


class Inside:
    """A handler that remembers what came, and may end in an exception."""

    def __init__(self, failure: BaseException | None = None, *, seeing: Callable[[], object] = lambda: None) -> None:
        self.calls: list[Call] = []
        self.seen: list[object] = []
        self._failure = failure
        self._seeing = seeing

    async def __call__(self, call: Call, reply: Reply) -> None:
        self.calls.append(call)
        self.seen.append(self._seeing())
        if self._failure is not None:
            raise self._failure


def raising(failure: BaseException) -> Handler:
    return Inside(failure)


class Journal:
    """Remembers what it was told, in order."""

    def __init__(self) -> None:
        self.healthy = True
        self.events: list[Interception | Ending] = []

    def begin(self, interception: Interception) -> None:
        self.events.append(interception)

    def end(self, ending: Ending) -> None:
        self.events.append(ending)

    def written(self, then: Callable[[], None]) -> None:
        then()

    @property
    def ending(self) -> Ending:
        begun, ended = self.events
        assert isinstance(begun, Interception)
        assert isinstance(ended, Ending)
        assert begun.id == ended.id
        return ended
