"""A running gateway on loopback: the real composition before a scripted provider, with a journal in memory."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, MutableMapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import msgspec
import uvicorn
import uvloop
from raw_client import Answer, Client
from scripted_upstream import Script, Upstream, answering
from vendor_samples import CHAT, Sample, framed

from aibridge.domain.actor import Actor
from aibridge.domain.interception import Ending, Interception
from aibridge.domain.provider import Provider, ProviderKind
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import KnownToken, mint
from aibridge.gateway.protocol import serving
from aibridge.ledger.turn import Turn
from aibridge.limits.memory import Memory
from aibridge.limits.rules import rules_of
from aibridge.options import Settings, load
from aibridge.server.data_plane import DataPlane, build

OPENAI_KEY = "sk-central-openai-canary"
ANTHROPIC_KEY = "sk-ant-central-anthropic-canary"
PATIENCE = 8.0
"""Seconds that a whole test may take."""
SOON = 1.0
"""Seconds within which everything a call held is given back."""

T = TypeVar("T")
Scope = MutableMapping[str, Any]


def run(test: Coroutine[Any, Any, T], *, within: float = PATIENCE) -> T:
    """Run a test on the event loop that the product runs on."""

    async def bounded() -> T:
        async with asyncio.timeout(within):
            return await test

    return uvloop.run(bounded())


class MemoryJournal:
    """The part of a journal that a turn of the loop sees."""

    def __init__(self) -> None:
        self.healthy = True
        self.begun: list[Interception] = []
        self.ended: list[Ending] = []

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> bool:
        self.begun += started
        self.ended += ended
        return True

    @property
    def ending(self) -> Ending:
        """The end of the only call there was."""
        assert len(self.begun) == len(self.ended) == 1, (self.begun, self.ended)
        assert self.begun[0].id == self.ended[0].id
        return self.ended[0]


class Tokens:
    """The tokens in force."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()

    def snapshot(self) -> Snapshot:
        """The same until something changes."""
        return self._snapshot

    def new(self, username: str = "mia", *, expires_at: float | None = None) -> str:
        minted = mint(secrets.randbelow)
        actor = Actor(id=f"id-of-{username}", username=username, token_id=minted.id)
        self._keep(minted.id, KnownToken(digest=minted.digest, actor=actor, expires_at=expires_at))
        return minted.text

    def rename(self, text: str, username: str) -> None:
        """The token's user has another name now."""
        token = self._snapshot.tokens[text[4:14]]
        renamed = msgspec.structs.replace(token.actor, username=username)
        self._keep(renamed.token_id, msgspec.structs.replace(token, actor=renamed))

    def revoke(self, text: str) -> None:
        self._snapshot = Snapshot(
            tokens={name: token for name, token in self._snapshot.tokens.items() if name not in text}
        )

    def _keep(self, token_id: str, token: KnownToken) -> None:
        self._snapshot = Snapshot(tokens={**self._snapshot.tokens, token_id: token})


class Complaints(logging.Handler):
    """Every error that was logged: a test in which there is one fails, unless it clears them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.expected = "nothing is"
        """What a test expects to be complained of."""

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(self.format(record))

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to the log and to the event loop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._hear(str(context)))
        logging.getLogger().addHandler(self)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(self)

    def _hear(self, line: str) -> None:
        if self.expected not in line:
            self.lines.append(line)


class World:
    """What a test talks to."""

    def __init__(
        self, plane: DataPlane, upstream: Upstream, journal: MemoryJournal, tokens: Tokens, used: dict[str, int]
    ) -> None:
        self.plane = plane
        self.upstream = upstream
        self.journal = journal
        self.tokens = tokens
        self.token = tokens.new()
        self.used = used
        self.port = 0
        self.counts: Memory
        self.complaints = Complaints()
        self._clients: list[Client] = []

    async def client(self, *, receive_buffer: int | None = None) -> Client:
        client = await Client.connect(self.port, receive_buffer=receive_buffer)
        self._clients.append(client)
        return client

    async def call(self, request: bytes) -> Answer:
        """One request on a connection of its own."""
        return await (await self.client()).call(request)

    def request(
        self,
        sample: Sample = CHAT,
        *headers: bytes,
        body: bytes | None = None,
        streaming: bool = False,
        token: str | None = "",
        path: bytes | None = None,
    ) -> bytes:
        """A sound request in a sample's dialect. `token` None sends none; empty sends the world's own."""
        content = body if body is not None else sample.streaming_body if streaming else sample.body
        lines = [b"POST %b HTTP/1.1" % (path or sample.path), b"host: gateway", *headers]
        if token is not None:
            lines.append(b"authorization: Bearer %b" % (token or self.token).encode())
        if not any(line.lower().startswith((b"content-length:", b"transfer-encoding:")) for line in headers):
            lines.append(b"content-length: %d" % len(content))
        return b"\r\n".join([*lines, b"", content])

    def gauge(self, name: str) -> float:
        """What a gauge shows, summed up."""
        return sum(value for gauge in self.plane.telemetry.gauges if gauge.name == name for _, value in gauge.read())

    @property
    def permits(self) -> int:
        return int(self.gauge("permits_held"))

    @property
    def busy(self) -> int:
        """Connections to providers that are not idle."""
        return sum(pool.open - pool.idle for pool in self.plane.pools.values())

    def held(self) -> dict[str, object]:
        """What is held on behalf of calls, of which nothing may be left when there are none."""
        ended = {ending.id for ending in self.journal.ended}
        held = {
            "permits": self.permits,
            "calls": len(self.plane.gateway.calls),
            "busy connections": self.busy,
            "open entries": [begun.id for begun in self.journal.begun if begun.id not in ended],
            "tasks": [task for task in asyncio.all_tasks() if "_rest" in repr(task.get_coro())],
        }
        return {name: value for name, value in held.items() if value}

    async def settled(self) -> None:
        """Everything is given back within `SOON`, and every call is in the journal once."""
        await until(lambda: not self.held(), self.held)
        ids = [ending.id for ending in self.journal.ended]
        assert len(ids) == len(set(ids)) == len(self.journal.begun)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


async def until(fact: Callable[[], bool], what: Callable[[], object] = lambda: "", *, within: float = SOON) -> None:
    """Wait for a fact, a moment at most."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while not fact():
        assert loop.time() < end, f"not within {within:g} s: {what()}"
        await asyncio.sleep(0.002)


async def control_plane(scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[..., Any]) -> None:
    """Stands for everything that is not the data plane's."""
    body = b"asgi " + scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def settings(**changes: Any) -> Settings:
    """The defaults, with permits counted."""
    quiet = {"--data-dir": str(Path("unused"))}
    return msgspec.structs.replace(load(quiet, {}), **{"max_concurrency": 100, **changes})


def providers(port: int) -> list[Provider]:
    return [
        Provider.at("openai", ProviderKind.OPENAI, f"http://127.0.0.1:{port}/v1", OPENAI_KEY, internal=True),
        Provider.at("anthropic", ProviderKind.ANTHROPIC, f"http://127.0.0.1:{port}", ANTHROPIC_KEY, internal=True),
    ]


@contextlib.asynccontextmanager
async def gateway(
    script: Script | None = None,
    *,
    upstream_port: int | None = None,
    counts_clock: Callable[[], float] = monotonic,
    stand_in: bool = False,
    journal: MemoryJournal | None = None,
    **changes: Any,
) -> AsyncIterator[World]:
    """Run a gateway with these settings before a provider with this script; at the end nothing may be left held."""
    async with contextlib.AsyncExitStack() as rooms:
        upstream = Upstream(script or answering(framed(CHAT.answer)))
        port = await upstream.start()
        rooms.push_async_callback(upstream.close)
        journal, tokens = journal or MemoryJournal(), Tokens()
        used: dict[str, int] = {}
        chosen = settings(**changes)
        plane = build(
            chosen,
            providers(upstream_port or port),
            snapshot=tokens.snapshot,
            used=used,
            turn=Turn(journal, asyncio.get_running_loop().call_soon),
            counts=(counts := Memory(rules_of(chosen), counts_clock)),
            stand_in=stand_in,
        )
        rooms.callback(plane.close)
        world = World(plane, upstream, journal, tokens, used)
        world.counts = counts
        rooms.enter_context(world.complaints.heard())
        world.port = await rooms.enter_async_context(_served(plane))
        rooms.push_async_callback(world.close)
        yield world
        await world.settled()
        assert world.complaints.lines == [], world.complaints.lines


@contextlib.asynccontextmanager
async def _served(plane: DataPlane) -> AsyncIterator[int]:
    """uvicorn as the product runs it, less its signals and its ticks; gives the port."""
    config = uvicorn.Config(
        control_plane,
        http=serving(plane.gateway),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    await server.startup(sockets=[listener])
    try:
        yield listener.getsockname()[1]
    finally:
        server.servers[0].close()
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        listener.close()
        await asyncio.sleep(0)
