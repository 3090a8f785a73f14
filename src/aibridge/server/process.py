"""One process that serves: its rooms, built in order and closed in the reverse.

It is the same process whether it is the only one or one of several workers; `Post` holds what differs.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Final

import msgspec
import uvicorn

from aibridge.control.app import create_app
from aibridge.control.dependencies import Dependencies
from aibridge.control.metrics import metrics_app
from aibridge.domain.provider import Provider
from aibridge.gateway.protocol import serving
from aibridge.ledger.journal import Journal
from aibridge.ledger.turn import Turn
from aibridge.limits.counts import Counts
from aibridge.options import Settings
from aibridge.server import data_plane, overload
from aibridge.server.data_plane import DataPlane
from aibridge.server.ledger import ledger
from aibridge.server.listeners import CannotStart, metrics_server
from aibridge.server.opening import calm_collector
from aibridge.server.serving import Server, Worker
from aibridge.server.world import World
from aibridge.store import providers as providers_stored
from aibridge.store import sealing
from aibridge.store.database import Database
from aibridge.store.sealing import Keyring, SealingError

if TYPE_CHECKING:
    from aibridge.control.oidc import OpenIDConnect

REFRESH_EVERY: Final = 0.5
"""Seconds between two looks at whether tokens have changed: a revoked one is refused within this and a moment."""
NOTE_USES_EVERY: Final = 60.0
"""Seconds between two notes of when tokens were last used."""
TIDY_EVERY: Final = 3600.0
"""Seconds between two looks for what is long over."""
CLOSE_AT_STOP: Final = 5
"""Seconds that the control plane's answers may take at the end."""

_log = logging.getLogger("aibridge")


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is given that others are not, or that it shares with them."""

    url: str
    """Where people find the server."""
    journal: Path
    """The directory of its journal."""
    patience: float = 0.0
    """Seconds that it waits for that directory."""
    counts: Counts
    """Where the limits are counted."""
    metrics: Callable[[], Awaitable[bytes]] | None = None
    """What it shows when it is scraped; its own numbers unless there are others to add."""
    metrics_door: socket.socket | None = None
    """Where it is scraped, if not at its first door."""
    worker: bool = False
    """Whether a supervisor tells it to stop."""


class Process:
    """A process with everything built, about to serve."""

    def __init__(self, server: Server, world: World, plane: DataPlane) -> None:
        self.server = server
        self.plane = plane
        self._world = world

    async def serve(self, door: socket.socket, announce: Callable[[], object]) -> None:
        """Serve until told to stop; `announce` is called once calls are answered and signals are heeded."""
        await self._world.refresh()
        calm_collector()
        self.server.announce = announce
        await self.server.serve([door])


@contextlib.asynccontextmanager
async def prepared(
    settings: Settings, database: Database, providers: Sequence[Provider], post: Post
) -> AsyncIterator[Process]:
    """Build the rooms; on the way out each is closed, the newest first.

    Raises:
        CannotStart: certificate or key cannot be used.
        JournalLocked: another process writes to the journal.
        DatabaseUnavailable: the database cannot be used now.
    """
    async with contextlib.AsyncExitStack() as rooms:
        journal, shipping = await rooms.enter_async_context(
            ledger(post.journal, settings.database, patience=post.patience)
        )
        keyring = sealing.keyring(settings.encryption_keys, settings.data_dir)
        _reseal(database, keyring)
        world = World(database, keyring, session_duration=settings.session_duration)
        await rooms.enter_async_context(_repeated(REFRESH_EVERY, world.refresh))
        rooms.push_async_callback(world.note_uses)
        await rooms.enter_async_context(_repeated(NOTE_USES_EVERY, world.note_uses))
        await rooms.enter_async_context(_repeated(TIDY_EVERY, world.tidy))
        turn = Turn(journal, asyncio.get_running_loop().call_soon)
        rooms.callback(turn.close)
        own = data_plane.configured(settings)
        plane = data_plane.build(
            settings,
            providers,
            snapshot=lambda: world.snapshot,
            used=world.used,
            turn=turn,
            counts=post.counts,
            stand_in=not own,
        )
        rooms.callback(plane.close)
        world.follow(lambda snapshot: plane.apply_rules(snapshot.rules))
        world.follow(lambda snapshot: plane.apply_providers(snapshot.providers, any_there=snapshot.has_providers))
        plane.telemetry.gauges += data_plane.ledger_gauges(journal, shipping)

        metrics = post.metrics or _alone(plane)
        app = create_app(
            Dependencies(
                database=database,
                snapshot=lambda: world.snapshot,
                ready=lambda: _ready(plane, journal),
                metrics=metrics if post.metrics_door is None else None,
                clock=time,
                external_url=lambda: settings.access_url or post.url,
                limits=overload.limits_present(plane.limits, post.counts),
                breakers=overload.Breakers(plane.guards),
                settings=settings,
                keyring=keyring,
                configured_providers=own,
                configured_rules=plane.own_rules.rules,
                refresh=world.refresh,
                address_of=plane.gateway.address_of,
                oidc=await _sign_in_elsewhere(settings, keyring, rooms),
                used=lambda token_id: world.used.__setitem__(token_id, int(time() * 1e6)),
                stopping=lambda: plane.draining,
                stranger=plane.stranger,
            )
        )
        config = uvicorn.Config(
            app,
            http=serving(plane.gateway),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=CLOSE_AT_STOP,
            ssl_certfile=settings.tls_cert_file,
            ssl_keyfile=settings.tls_key_file,
        )
        if post.metrics_door is not None:
            await rooms.enter_async_context(metrics_server(post.metrics_door, metrics_app(metrics)))
        _load(config)
        kind = Worker if post.worker else Server
        yield Process(kind(config, plane, journal, drain_timeout=settings.drain_timeout), world, plane)


def _reseal(database: Database, keyring: Keyring) -> None:
    """Seal with the present master key what an older one sealed, so that the older one can be dropped.

    A secret that cannot be opened is left as it is: the provider is left out, and told in the log, when it is wanted.
    """
    try:
        with database.reading() as connection:
            if not providers_stored.sealed_before(connection, keyring):
                return
        with database.writing() as connection:
            resealed = providers_stored.reseal(connection, keyring)
        if resealed:  # of several workers that start at once, one finds something to do
            _log.info("resealed with master key %s: %d provider keys", keyring.key_id, resealed)
    except SealingError as problem:
        _log.error("nothing was resealed: %s", problem)


async def _sign_in_elsewhere(
    settings: Settings, keyring: Keyring, rooms: contextlib.AsyncExitStack
) -> "OpenIDConnect | None":
    """Signing in by OpenID Connect, where the options name a provider; its client is closed with the rooms."""
    if settings.oidc_issuer_url is None:
        return None
    from aibridge.control import oidc, oidc_departure  # noqa: PLC0415 (only who asks for it shall wait for it)

    client = await rooms.enter_async_context(oidc.http_client())
    return oidc.OpenIDConnect(settings, client, time, keyring.derived(oidc_departure.PURPOSE))


def _alone(plane: DataPlane) -> Callable[[], Awaitable[bytes]]:
    async def own() -> bytes:
        return plane.telemetry.exposition()

    return own


@contextlib.asynccontextmanager
async def _repeated(seconds: float, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Do something again and again while the block lasts."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:  # noqa: BLE001 (whatever it is: the next time it may work, and the rest must go on)
                _log.exception("what is done every %g s failed", seconds)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _load(config: uvicorn.Config) -> None:
    """Read what the configuration names.

    Raises:
        CannotStart: certificate or key cannot be used.
    """
    try:
        config.load()
    except OSError as error:
        names = f"--tls-cert-file {config.ssl_certfile} and --tls-key-file {config.ssl_keyfile}"
        raise CannotStart(f"{names} cannot be used: {error.strerror or error}") from error


def _ready(plane: DataPlane, journal: Journal) -> tuple[bool, dict[str, str]]:
    """Whether calls should be sent here and, if not, why."""
    reasons = {}
    if plane.draining:
        reasons["server"] = "shutting down"
    if not journal.healthy:
        reasons["journal"] = journal.problem
    return not reasons, reasons
