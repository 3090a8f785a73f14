"""What happens once where a server opens, however many processes it has."""

import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from time import time

from aibridge import demo, welcome
from aibridge.domain.provider import Provider
from aibridge.domain.rule import Rule
from aibridge.limits.counts import Counts
from aibridge.limits.memory import Memory
from aibridge.limits.rules import rules_of
from aibridge.options import Settings
from aibridge.options_kinds import Address
from aibridge.server.listeners import CannotStart
from aibridge.server.upstreams import chosen
from aibridge.shipping import LOG_FORMAT
from aibridge.store import providers as stored
from aibridge.store import sealing
from aibridge.store.database import Database
from aibridge.store.first_owner import first_owner
from aibridge.store.snapshot import snapshot


def log_to_stderr(*, structured: bool) -> None:
    """Lines for people on stderr; records of interceptions, where asked for, as they are: they are JSON already."""
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    logging.getLogger("aibridge").setLevel(logging.INFO)
    if structured:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        records = logging.getLogger("aibridge.interceptions")
        records.addHandler(handler)
        records.propagate = False


def guard_against_openness(address: Address, database: Database) -> None:
    """Refuse to be found by others before there is a token that tells friend from stranger.

    Raises:
        CannotStart: the address is not of the loopback, and no token is in force.
    """
    if address.is_loopback:  # and nobody has to wait until all tokens are read
        return
    known = snapshot(database).tokens.values()
    if not any(token.expires_at is None or token.expires_at > time() for token in known):
        raise CannotStart(
            f"--http-address {address} can be reached from other machines, and there is no token yet that would keep "
            "them out. Make one first: aibridge users create --first --username NAME"
        )


@contextlib.asynccontextmanager
async def counted(settings: Settings) -> AsyncIterator[Counts]:
    """Where the limits of this host are counted, as long as the block lasts.

    Raises:
        CannotStart: the server that is to count cannot be used for that.
    """
    rules = rules_of(settings)
    counts = await _shared(settings.redis_url, rules) if settings.redis_url else Memory(rules)
    try:
        yield counts
    finally:
        await counts.close()


async def _shared(url: str, rules: Sequence[Rule]) -> Counts:
    from aibridge.limits.redis import Redis  # noqa: PLC0415 (only who asks for it shall wait for what it imports)

    try:
        return await Redis.connect(url, rules)
    except (ValueError, ImportError) as problem:
        raise CannotStart(f"--redis-url: {problem}") from problem


@contextlib.asynccontextmanager
async def demo_provider(settings: Settings, providers: Sequence[Provider]) -> AsyncIterator[str | None]:
    """The URL of the demo provider, which stands in where calls are served and none is configured."""
    if providers or not settings.enabled:
        yield None
        return
    provider = await demo.start("127.0.0.1", 0)
    try:
        yield provider.url
    finally:
        await provider.close()


def first_words(
    settings: Settings, database: Database, url: str, providers: Sequence[Provider], *, is_demo: bool
) -> str:
    """What to print once calls are answered. On the first start this makes the owner and its token.

    So it comes last of all before that: no start that fails keeps the one token that is shown to itself. `providers`
    are those of the options, or the demo's; what the database has is looked up.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
        SealingError: the file with the master key cannot be used.
    """
    keyring = sealing.keyring(settings.encryption_keys, settings.data_dir)
    with database.reading() as connection:
        added, gone = stored.opened(connection, keyring), is_demo and stored.are_there(connection)
    served, _ = chosen(providers, added, gone=gone)
    owner = first_owner(database, username="owner", token_name="first", now=int(time() * 1e6))  # noqa: S106
    token = None if owner is None else owner.text
    return welcome.text(url, token, served if settings.enabled else (), demo=is_demo and not gone)


def calm_collector() -> None:
    """Let the garbage collector look seldom, and at calls only.

    What is here when serving begins stays. Calls make no cycles to speak of, so looking after every 700 new objects
    finds nothing and costs every call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
