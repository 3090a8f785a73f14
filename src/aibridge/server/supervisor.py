"""The supervisor of `aibridge server --workers N`: small, and the only one who counts.

It serves no call. It starts N workers that share one port, starts another when one dies, passes signals on, and decides
for all of them what the limits allow: so a limit is exact over the workers, and what a dead one held is free at once.
"""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from aibridge.domain.provider import Provider
from aibridge.limits.host_service import HostService
from aibridge.limits.rules import rules_of
from aibridge.options import Settings
from aibridge.server import data_plane
from aibridge.server.channel import Order, encoded
from aibridge.server.crew import Crew
from aibridge.server.ledger import claimed
from aibridge.server.listeners import reserved
from aibridge.server.opening import calm_collector, counted, demo_provider, first_words
from aibridge.store.database import Database

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def supervise(settings: Settings, providers: Sequence[Provider], database: Database) -> None:
    """Serve with workers until told to stop.

    Raises:
        CannotStart: an address is taken, or a worker cannot start.
        JournalLocked: another server has the data directory.
        DatabaseUnavailable: the database cannot be used now.
    """
    async with contextlib.AsyncExitStack() as rooms:
        address, found = rooms.enter_context(reserved(settings.http_address))
        scraped = rooms.enter_context(reserved(settings.prometheus_address))[0] if settings.prometheus_address else None
        await rooms.enter_async_context(claimed(settings))
        demo_url = await rooms.enter_async_context(demo_provider(settings, providers))
        served = data_plane.demonstration(demo_url) if demo_url else providers
        url = f"{'https' if settings.tls_cert_file else 'http'}://{found}"
        counts = await rooms.enter_async_context(counted(settings))
        known = encoded(settings)

        def order(number: int, descriptor: int) -> Order:
            return Order(
                number=number,
                settings=known,
                counts=descriptor,
                address=address,
                prometheus_address=scraped,
                url=url,
                demo_url=demo_url,
            )

        crew = Crew(settings.workers, HostService(counts, rules_of(settings)), order, settings.drain_timeout)
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, crew.stop, number)
            rooms.callback(loop.remove_signal_handler, number)
        try:
            await _until_stopped(crew, crew.start())
            if not crew.stopping.is_set():
                words = first_words(settings, database, url, served, is_demo=demo_url is not None)
                await _until_stopped(crew, crew.go())
            if not crew.stopping.is_set():
                calm_collector()
                print(words, flush=True)  # noqa: T201 (the welcome)
                await crew.stopping.wait()
        finally:
            if not crew.stopping.is_set():  # it could not start
                crew.stop(signal.SIGTERM)
            await crew.end()


async def _until_stopped(crew: Crew, work: Coroutine[Any, Any, None]) -> None:
    """Do it, unless the crew is told to stop first.

    Raises:
        CannotStart: what the work raises.
    """
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(crew.stopping.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    for each in (task, stopping):
        each.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
