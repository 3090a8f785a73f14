"""The data plane, put together from the settings: which providers, which limits, which layers."""

import asyncio
import contextlib
import resource
from collections.abc import Callable, MutableMapping, Sequence
from random import random
from time import monotonic

from aibridge.domain.errors import RateLimited
from aibridge.domain.provider import Provider, ProviderKind
from aibridge.domain.rule import Rule
from aibridge.domain.snapshot import Snapshot
from aibridge.gateway.admit import admit, capacity, pace
from aibridge.gateway.body import body, content
from aibridge.gateway.deadlines import Deadlines
from aibridge.gateway.drain import drain
from aibridge.gateway.guard import guard
from aibridge.gateway.guards import Guards
from aibridge.gateway.headers import Headers
from aibridge.gateway.identify import identify
from aibridge.gateway.pipeline import Pipelines, pipelines
from aibridge.gateway.pools import Pools
from aibridge.gateway.record import record
from aibridge.gateway.relay import relay
from aibridge.gateway.retry import Retries, retry
from aibridge.gateway.service import Gateway
from aibridge.ledger.journal import Journal
from aibridge.ledger.turn import Turn
from aibridge.limits.counts import Counts
from aibridge.limits.engine import Limits
from aibridge.limits.explain import CONCURRENCY
from aibridge.limits.line import WAIT_BOUNDS
from aibridge.limits.rules import OwnRules, rules_of
from aibridge.options import Settings
from aibridge.overload.caller import TrustedProxies, address_group
from aibridge.overload.keyed import Keyed
from aibridge.overload.outcome import Rejection
from aibridge.overload.rate import ExactWindow, RateLimiter
from aibridge.server.overload import Breakers, guards_of, retries_of
from aibridge.server.shipping import Shipping
from aibridge.server.upstreams import Upstreams
from aibridge.telemetry import Telemetry
from aibridge.telemetry_kinds import Gauge
from aibridge.telemetry_overload import show_breakers, show_limits, show_upstreams

MOST_KEYS = 100_000
"""Callers whose rate is kept apart; see `Keyed` for what happens above."""
STRANGERS_LIMIT = 10
"""Failed attempts a second and address. A stale client makes a few a minute; an office may have many of them."""
_SECONDS_TO_INTERRUPT = 1.0
_SECONDS_TO_WRITE = 0.005
_PLENTY_OF_FILES = 1 << 20
_RESERVED_FILES = 128
"""File descriptors for all that is not a call: listeners, journal, database, connections about to be refused."""


class DataPlane:
    """A gateway and what it was built from."""

    def __init__(self) -> None:
        self.draining = False
        self.telemetry: Telemetry
        self.gateway: Gateway
        self.ways: Pipelines
        self.own_rules: OwnRules
        self.limits: Limits
        self.guards: Guards | None
        self.retries: Retries | None
        self.pools: Pools
        self.upstreams: Upstreams
        self.strangers = _keyed(STRANGERS_LIMIT, "address")

    def stranger(self, peer: str, headers: Headers) -> Rejection | None:
        """Count an attempt without a valid token; answer when there were too many from its address."""
        now = monotonic()
        rejection = self.strangers.get(address_group(self.gateway.address_of(peer, headers)), now).take(now)
        if rejection is not None:
            self.telemetry.refused(rejection.limit, RateLimited.code)
        return rejection

    async def interrupt(self) -> None:
        """End every call that is still running; each tells its client and is recorded as interrupted."""
        calls = self.gateway.calls
        for service in tuple(calls):
            service.interrupt()
        until = monotonic() + _SECONDS_TO_INTERRUPT
        while calls and monotonic() < until:  # noqa: ASYNC110 (most of them only have to be written down)
            await asyncio.sleep(_SECONDS_TO_WRITE)

    def apply_providers(self, providers: Sequence[Provider], *, any_there: bool = False) -> None:
        """Serve these providers of the database from the next call on, besides those of the options, which come first.

        Calls in progress stay with what they found. What is as before is cheap, so this may be told of every snapshot.
        `any_there` says that the database has some, also where none of them could be opened: the demo must not answer
        for them.
        """
        if self.upstreams.apply(providers, any_there=any_there):
            self.gateway.routes = self.upstreams.routes

    def apply_rules(self, rules: Sequence[Rule]) -> None:
        """Go by these rules of the database from the next call on, besides those of the options, which come first.

        What is as before is cheap, so this may be told of every snapshot.
        """
        self.limits.replace(self.own_rules.beside(rules))
        self.gateway.interception = self.ways.weighed if self.limits.needs_body else self.ways.interception

    def close(self) -> None:
        """Close the connections to the providers."""
        self.pools.close()


def configured(settings: Settings) -> list[Provider]:
    """The providers that the settings name. None, when there is neither a key nor a base URL of one's own.

    They may be anywhere: who starts the server may reach all that it can reach anyway.
    """
    named = ("openai_key", "anthropic_key", "openai_base_url", "anthropic_base_url")
    if all(settings.sources[name] == "default" for name in named):
        return []
    return [
        Provider.at("openai", ProviderKind.OPENAI, settings.openai_base_url, settings.openai_key, internal=True),
        Provider.at(
            "anthropic", ProviderKind.ANTHROPIC, settings.anthropic_base_url, settings.anthropic_key, internal=True
        ),
    ]


def demonstration(url: str) -> list[Provider]:
    """The providers of a gateway that has none: both are the demo provider at `url`."""
    return [
        Provider.at("openai", ProviderKind.OPENAI, f"{url}/v1", "demo", internal=True),
        Provider.at("anthropic", ProviderKind.ANTHROPIC, url, "demo", internal=True),
    ]


def build(  # noqa: PLR0913 (the rooms it is put together from)
    settings: Settings,
    providers: Sequence[Provider],
    *,
    snapshot: Callable[[], Snapshot],
    used: MutableMapping[str, int],
    turn: Turn,
    counts: Counts,
    stand_in: bool = False,
) -> DataPlane:
    """Build the data plane.

    `used` learns when tokens are used, in UTC microseconds; `turn` takes the records; `counts` counts for the rules
    that the settings come to (`limits.rules.rules_of`). With `stand_in`, the providers are the demo's, which give way
    to any of the database.
    """
    plane = DataPlane()
    names = [provider.name for provider in providers]
    plane.own_rules = OwnRules(rules_of(settings))
    plane.limits = limits = Limits(plane.own_rules.rules, counts, settings.prices)
    plane.guards = guards_of(settings, names, counts)
    if plane.guards is not None:
        counts.listen(plane.guards.heard)
    plane.retries = retries = retries_of(settings, names)
    plane.telemetry = telemetry = Telemetry(structured_logging=settings.structured_logging)
    deadlines = Deadlines(
        connect=settings.connect_timeout,
        first_byte=settings.first_byte_timeout,
        idle=settings.idle_timeout,
        total=settings.total_timeout,
    )
    connections = (_raised_file_limit() - _RESERVED_FILES) // 2  # each call has a client's too
    plane.pools = Pools(deadlines, connections=connections)
    plane.upstreams = Upstreams(
        providers,
        stand_in=stand_in,
        enabled=settings.enabled,
        pools=plane.pools,
        guards=plane.guards,
        retries=plane.retries,
    )
    plane.ways = ways = pipelines(
        drain=drain(lambda: plane.draining),
        capacity=capacity(limits),
        identify=identify(snapshot, plane.strangers, used, allow_byok=settings.allow_byok),
        pace=pace(limits),
        admit=admit(limits),
        body=body(),
        content=content(),
        record=record(turn, telemetry, clock=monotonic),
        retry=retry(retries, most=settings.max_retries, clock=monotonic, luck=random) if retries is not None else None,
        guard=guard(plane.guards, monotonic) if plane.guards is not None else None,
        relay=relay(total=settings.total_timeout, send_actor_headers=settings.send_actor_headers),
        limit_pass_through=settings.limit_passthrough,
    )
    plane.gateway = Gateway(
        routes=plane.upstreams.routes,
        interception=ways.weighed if limits.needs_body else ways.interception,
        pass_through=ways.pass_through,
        telemetry=telemetry,
        maximum_body=settings.max_body_size,
        address_of=_address_of(settings),
    )
    telemetry.gauges += _gauges(plane)
    show_limits(
        telemetry,
        decisions=lambda: limits.decisions,
        depths=lambda: limits.waiting,
        waits=lambda: limits.waits,
        bounds=WAIT_BOUNDS,
        healthy=lambda: counts.healthy,
    )
    guards = plane.guards
    if guards is not None:
        show_breakers(telemetry, Breakers(guards).present)
    show_upstreams(
        telemetry,
        retries=retries.made if retries is not None else {},
        adaptive=guards.limits if guards is not None else list,
    )
    return plane


def ledger_gauges(journal: Journal, shipping: Shipping) -> list[Gauge]:
    """What the ledger shows of itself."""
    return [
        Gauge(
            name="journal_lag_records",
            text="Records not yet in the database, about.",
            read=lambda: [((), shipping.lag())],
        ),
        Gauge(
            name="journal_lag_seconds",
            text="For how long the database has been behind.",
            read=lambda: [((), shipping.lag_seconds())],
        ),
        Gauge(name="journal_healthy", text="1 while the journal can be written.", read=lambda: [((), journal.healthy)]),
        Gauge(name="journal_dropped_records", text="Records lost.", read=lambda: [((), journal.dropped)]),
    ]


def _gauges(plane: DataPlane) -> list[Gauge]:
    pools, limits = plane.pools, plane.limits
    return [
        Gauge(name="calls_inflight", text="Calls in progress.", read=lambda: [((), len(plane.gateway.calls))]),
        Gauge(
            name="permits_held",
            text="Permits held.",
            read=lambda: [((), number) for number in (limits.in_progress.get(CONCURRENCY),) if number is not None],
        ),
        Gauge(
            name="permits_maximum",
            text="Permits there are.",
            read=lambda: [((), rule.amount) for rule in limits.rules if rule.name == CONCURRENCY],
        ),
        Gauge(
            name="upstream_connections",
            text="Connections to providers.",
            labels=("upstream", "state"),
            read=pools.connections,
        ),
    ]


def _keyed(limit: int, name: str) -> Keyed[str, RateLimiter]:
    """A limiter per caller, of `limit` calls in any second."""
    return Keyed(lambda: ExactWindow(limit, 1.0, name), lambda limiter, now: limiter.idle(now), MOST_KEYS)


def _address_of(settings: Settings) -> Callable[[str, Headers], str]:
    """How a client's address is told: by the socket, unless that is a proxy we trust."""
    if not settings.trusted_proxies:
        return lambda peer, _: peer
    proxies = TrustedProxies(settings.trusted_proxies)

    def address_of(peer: str, headers: Headers) -> str:
        forwarded = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
        return proxies.client_address(peer, forwarded)

    return address_of


def _raised_file_limit() -> int:
    """How many files this process may have open, after asking for as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else _PLENTY_OF_FILES
