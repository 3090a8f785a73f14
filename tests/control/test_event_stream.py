"""A stream of events from the server's side: its frames, its pings, and its end."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from aibridge.contract.serversentevents import PING, encode
from aibridge.control.serversentevents import EventStream
from aibridge.domain.errors import BadRequest
from aibridge.domain.role import RoleIdentifier
from aibridge.sdk import AsyncClient, Error

Message = dict[str, Any]


class Client:
    """What stands at the other end of an ASGI application."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.left = asyncio.Event()
        self.got = asyncio.Event()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.got.set()

    async def called(self, stream: EventStream, spec: str = "2.3") -> None:
        scope = {"type": "http", "asgi": {"spec_version": spec}}
        await asyncio.wait_for(stream(scope, self.receive, self.send), 10)  # type: ignore[arg-type]

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def never(_: float) -> None:
    await asyncio.Event().wait()


async def values(*some: object) -> AsyncGenerator[object, None]:
    for value in some:
        yield value


def test_each_value_is_an_event_and_nothing_in_between_keeps_it() -> None:
    async def main() -> None:
        client = Client()
        await client.called(EventStream(values({"a": 1}, [RoleIdentifier("owner")]), sleep=never))
        assert client.text == b'event: data\ndata: {"a":1}\n\nevent: data\ndata: ["owner"]\n\n'
        assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        headers = dict(client.sent[0]["headers"])
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert headers[b"cache-control"] == b"no-cache"
        assert headers[b"x-accel-buffering"] == b"no"

    asyncio.run(main())


def test_a_quiet_stream_pings() -> None:
    async def main() -> None:
        waits: list[float] = []
        enough = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) > 2:
                enough.set()
                await asyncio.Event().wait()

        async def quiet() -> AsyncGenerator[object, None]:
            await enough.wait()
            yield 1

        client = Client()
        await client.called(EventStream(quiet(), sleep=sleep))
        assert client.text == encode(PING) * 2 + b"event: data\ndata: 1\n\n"
        assert waits == [15.0] * 3

    asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BadRequest("No.", "Why."), b'{"message":"No.","detail":"Why.","validations":[]}'),
        (
            RuntimeError("secret"),
            b'{"message":"Internal error.","detail":"The cause is in the server\'s log.","validations":[]}',
        ),
    ],
)
def test_an_exception_is_the_last_event(error: Exception, told: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> AsyncGenerator[object, None]:
        yield 1
        raise error

    async def main() -> None:
        client = Client()
        await client.called(EventStream(failing(), sleep=never))
        assert client.text == b"event: data\ndata: 1\n\nevent: error\ndata: %b\n\n" % told
        assert not client.sent[-1]["more_body"]

    asyncio.run(main())
    assert ("secret" in caplog.text) == isinstance(error, RuntimeError)


async def _leaves(client: Client, stream: EventStream) -> None:
    call = asyncio.ensure_future(client.called(stream))
    while b"data: 1" not in client.text:
        client.got.clear()
        await client.got.wait()
    client.left.set()
    await call


async def _breaks(client: Client, stream: EventStream) -> None:
    send = client.send

    async def broken(message: Message) -> None:
        await send(message)
        if message.get("body"):
            raise OSError

    client.send = broken  # type: ignore[method-assign]
    with contextlib.suppress(Exception):
        await client.called(stream, "2.4")
    assert client.text


async def _is_cancelled(client: Client, stream: EventStream) -> None:
    call = asyncio.ensure_future(client.called(stream))
    await client.got.wait()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("end", [_leaves, _breaks, _is_cancelled])
def test_when_the_client_leaves_nothing_goes_on(end: Callable[[Client, EventStream], Awaitable[None]]) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def endless() -> AsyncGenerator[object, None]:
            try:
                yield 1
                await asyncio.Event().wait()
            finally:
                closed.set()

        await end(Client(), EventStream(endless(), sleep=never))
        await asyncio.wait_for(closed.wait(), 10)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=10)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_value_waits_until_the_one_before_it_is_sent() -> None:
    async def main() -> None:
        asked = 0
        blocked = asyncio.Event()

        async def counting() -> AsyncGenerator[object, None]:
            nonlocal asked
            for number in range(100):
                asked += 1
                yield number

        client = Client()
        send = client.send

        async def slow(message: Message) -> None:
            await send(message)
            if message.get("body"):
                await blocked.wait()

        client.send = slow  # type: ignore[method-assign]
        call = asyncio.ensure_future(client.called(EventStream(counting(), sleep=never)))
        for _ in range(50):
            await asyncio.sleep(0)
        assert asked <= 3
        blocked.set()
        await call
        assert asked == 100

    asyncio.run(main())


@contextlib.asynccontextmanager
async def served(stream: Callable[[], EventStream]) -> AsyncGenerator[str, None]:
    """A real server with one stream at `/watch`."""

    async def watch(_: Request) -> EventStream:
        return stream()

    app = Starlette(routes=[Route("/watch", watch)])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def test_the_client_of_the_sdk_reads_it_and_leaves_when_it_wants() -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def endless() -> AsyncGenerator[object, None]:
            try:
                yield {"n": 1}
                yield {"n": 2}
                await asyncio.Event().wait()
            finally:
                closed.set()

        async with served(lambda: EventStream(endless(), sleep=never)) as url, AsyncClient(url) as client:
            async with client.events("/watch", response=dict[str, int]) as reader:
                stream = aiter(reader)
                assert [await anext(stream), await anext(stream)] == [{"n": 1}, {"n": 2}]
            await asyncio.wait_for(closed.wait(), 10)

    asyncio.run(main())


def test_the_client_of_the_sdk_is_told_errors() -> None:
    async def failing() -> AsyncGenerator[object, None]:
        yield {"n": 1}
        raise BadRequest("No.", "Why.")

    async def main() -> None:
        async with (
            served(lambda: EventStream(failing(), sleep=never)) as url,
            AsyncClient(url) as client,
            client.events("/watch", response=dict[str, int]) as reader,
        ):
            stream = aiter(reader)
            assert await anext(stream) == {"n": 1}
            with pytest.raises(Error) as caught:
                await anext(stream)
        assert (caught.value.message, caught.value.detail) == ("No.", "Why.")

    asyncio.run(main())
