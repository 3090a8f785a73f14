"""`aibridge server` from its settings to its exit code."""

import contextlib
import socket
import sys
from collections.abc import Sequence

import uvloop

from aibridge.domain.provider import Provider
from aibridge.ledger.journal import JournalLocked
from aibridge.options import Settings
from aibridge.server import data_plane
from aibridge.server.ledger import directory_of, without_workers
from aibridge.server.listeners import CannotStart, listener, reachable
from aibridge.server.opening import counted, demo_provider, first_words, guard_against_openness, log_to_stderr
from aibridge.server.process import Post, prepared
from aibridge.server.supervisor import supervise
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable
from aibridge.store.sealing import SealingError


def run(settings: Settings) -> int:
    """Serve until told to stop; answer the exit code.

    0 after an orderly stop, 1 when it cannot start, 2 when an option is wrong.
    """
    log_to_stderr(structured=settings.structured_logging)
    try:
        providers = data_plane.configured(settings)
        opened = Database.open(settings.database)
    except ValueError as problem:  # an option whose value only its room can judge
        return _cannot(problem, code=2)
    except (DatabaseTooNew, DatabaseUnavailable, OSError) as problem:
        return _cannot(problem, code=1)
    try:
        with contextlib.closing(opened) as database:
            guard_against_openness(settings.http_address, database)
            if settings.workers > 1:
                uvloop.run(supervise(settings, providers, database))
            else:
                uvloop.run(_serve(settings, providers, database, listener(settings.http_address)))
    except (CannotStart, DatabaseUnavailable, JournalLocked, SealingError, OSError) as problem:
        return _cannot(problem, code=1)
    return 0


def _cannot(problem: Exception, code: int) -> int:
    print(f"aibridge: {problem}", file=sys.stderr)  # noqa: T201 (a command's one line)
    return code


async def _serve(settings: Settings, providers: Sequence[Provider], database: Database, door: socket.socket) -> None:
    """Be the only process."""
    url = f"{'https' if settings.tls_cert_file else 'http'}://{reachable(door)}"
    async with demo_provider(settings, providers) as demo_url, counted(settings) as counts:
        served = data_plane.demonstration(demo_url) if demo_url else providers
        post = Post(
            url=url,
            journal=directory_of(settings),
            counts=counts,
            metrics_door=listener(settings.prometheus_address) if settings.prometheus_address else None,
        )
        async with prepared(settings, database, served, post) as process, without_workers(settings):
            words = first_words(settings, database, url, served, is_demo=demo_url is not None)
            await process.serve(door, lambda: print(words, flush=True))  # noqa: T201 (the welcome)
