"""Start, serve, stop: `aibridge server` from its settings to its exit code."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from time import monotonic, time
from types import FrameType

import uvicorn
import uvloop

from aibridge import demo, welcome
from aibridge.control.app import create_app
from aibridge.control.dependencies import Dependencies
from aibridge.domain.provider import Provider
from aibridge.gateway.protocol import serving
from aibridge.ledger.journal import Journal, JournalLocked
from aibridge.ledger.turn import Turn
from aibridge.options import Settings
from aibridge.options_kinds import Address
from aibridge.server import data_plane
from aibridge.server.data_plane import DataPlane
from aibridge.server.listeners import CannotStart, listener, metrics_server, reachable
from aibridge.server.shipping import Shipping
from aibridge.server.world import World
from aibridge.shipping import LOG_FORMAT
from aibridge.store import tokens
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable

REFRESH_EVERY = 0.5
"""Seconds between two looks at whether tokens have changed: a revoked one is refused within this and a moment."""
NOTE_USES_EVERY = 60.0
"""Seconds between two notes of when tokens were last used."""
CLOSE_AT_STOP = 5
"""Seconds that the control plane's answers may take at the end."""
_log = logging.getLogger("aibridge")


def run(settings: Settings) -> int:
    """Serve until told to stop; answer the exit code.

    0 after an orderly stop, 1 when it cannot start, 2 when an option is wrong.
    """
    _log_to_stderr(structured=settings.structured_logging)
    try:
        providers = data_plane.configured(settings)
        opened = Database.open(settings.database)
    except ValueError as problem:  # an option whose value only its room can judge
        return _cannot(problem, code=2)
    except (DatabaseTooNew, DatabaseUnavailable, OSError) as problem:
        return _cannot(problem, code=1)
    try:
        with contextlib.closing(opened) as database:
            _guard_against_openness(settings.http_address, database)
            uvloop.run(_serve(settings, providers, database, listener(settings.http_address)))
    except (CannotStart, DatabaseUnavailable, JournalLocked, OSError) as problem:
        return _cannot(problem, code=1)
    return 0


def _cannot(problem: Exception, code: int) -> int:
    print(f"aibridge: {problem}", file=sys.stderr)  # noqa: T201 (a command's one line)
    return code


def _guard_against_openness(address: Address, database: Database) -> None:
    """Refuse to be found by others before there is a token that tells friend from stranger.

    Raises:
        CannotStart: the address is not of the loopback, and no token is in force.
    """
    known = tokens.snapshot(database).tokens.values()
    in_force = any(token.expires_at is None or token.expires_at > time() for token in known)
    if not address.is_loopback and not in_force:
        raise CannotStart(
            f"--http-address {address} can be reached from other machines, and there is no token yet that would keep "
            "them out. Make one first: aibridge tokens create NAME --user USERNAME"
        )


async def _serve(settings: Settings, providers: Sequence[Provider], database: Database, door: socket.socket) -> None:
    """Build the rooms and serve; on the way out each is closed, the newest first."""
    async with contextlib.AsyncExitStack() as rooms:
        journal, shipping = await rooms.enter_async_context(_ledger(settings))
        is_demo = settings.enabled and not providers
        if is_demo:
            provider = await demo.start("127.0.0.1", 0)
            rooms.push_async_callback(provider.close)
            providers = data_plane.demonstration(provider.url)
        world = World(database)
        await rooms.enter_async_context(_repeated(REFRESH_EVERY, world.refresh))
        rooms.push_async_callback(world.note_uses)
        await rooms.enter_async_context(_repeated(NOTE_USES_EVERY, world.note_uses))
        turn = Turn(journal, asyncio.get_running_loop().call_soon)
        rooms.callback(turn.close)
        plane = data_plane.build(settings, providers, snapshot=lambda: world.snapshot, used=world.used, turn=turn)
        rooms.callback(plane.close)
        plane.telemetry.gauges += data_plane.ledger_gauges(journal, shipping)
        url = f"{'https' if settings.tls_cert_file else 'http'}://{reachable(door)}"
        metrics = plane.telemetry.exposition
        app = create_app(
            Dependencies(
                database=database,
                snapshot=lambda: world.snapshot,
                ready=lambda: _ready(plane, journal),
                metrics=None if settings.prometheus_address else metrics,
                clock=time,
                external_url=lambda: url,
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
        if settings.prometheus_address:
            await rooms.enter_async_context(metrics_server(settings.prometheus_address, metrics))
        _load(config)
        server = Server(config, plane, journal, drain_timeout=settings.drain_timeout)
        # Last of all, so that no start that fails keeps the one token that is shown to itself.
        owner = tokens.first_owner(database, username="owner", token_name="first", now=_now())  # noqa: S106
        await world.refresh()
        _calm_collector()
        token = None if owner is None else owner.text
        server.announce = lambda: print(welcome.text(url, token, providers, demo=is_demo), flush=True)  # noqa: T201
        await server.serve([door])


class Server(uvicorn.Server):
    """uvicorn's server with an orderly end: told to stop, it refuses what is new and lets run what is running."""

    def __init__(self, config: uvicorn.Config, plane: DataPlane, journal: Journal, *, drain_timeout: float) -> None:
        super().__init__(config)
        self._plane = plane
        self._journal = journal
        self._drain_timeout = drain_timeout
        self._drained_by = 0.0
        self.announce: Callable[[], None] = lambda: None
        """Called once calls are answered and signals are heeded."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self.announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's signature)
        """The first signal begins the drain, a second one ends it. The exit code is that of an orderly stop."""
        if self._plane.draining:
            self._drained_by = monotonic()
            self.force_exit = sig == signal.SIGINT
        else:
            self._plane.draining = True
            self._drained_by = monotonic() + self._drain_timeout

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second, and answer whether it is time to go."""
        if counter % 10 == 0 and not self._journal.healthy:
            self._journal.retry()
        if await super().on_tick(counter):
            return True
        if not self._plane.draining or (self._plane.gateway.calls and monotonic() < self._drained_by):
            return False
        await self._plane.interrupt()
        return True


@contextlib.asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[tuple[Journal, Shipping]]:
    """The journal and the process that ships it; at the end everything is on the disk and, if it may be, shipped."""
    directory = settings.data_dir / "journal"
    shipping = Shipping(directory, settings.database)
    journal = Journal.open(directory, now=_now(), notify=shipping.notify)
    shipping.start()
    try:
        yield journal, shipping
    finally:
        journal.sync()
        if not await shipping.stop():
            _log.warning("about %d records are not in the database yet; the next start ships them", shipping.lag())
        if not journal.close():
            _log.error("the journal could not be written to its end: %s", journal.problem)


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


def _calm_collector() -> None:
    """Let the garbage collector look seldom, and at calls only.

    What is here when serving begins stays. Calls make no cycles to speak of, so looking after every 700 new objects
    finds nothing and costs every call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _ready(plane: DataPlane, journal: Journal) -> tuple[bool, dict[str, str]]:
    """Whether calls should be sent here and, if not, why."""
    reasons = {}
    if plane.draining:
        reasons["server"] = "shutting down"
    if not journal.healthy:
        reasons["journal"] = journal.problem
    return not reasons, reasons


def _now() -> int:
    return int(time() * 1e6)


def _log_to_stderr(*, structured: bool) -> None:
    """Lines for people on stderr; records of interceptions, where asked for, as they are: they are JSON already."""
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    logging.getLogger("aibridge").setLevel(logging.INFO)
    if structured:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        records = logging.getLogger("aibridge.interceptions")
        records.addHandler(handler)
        records.propagate = False
