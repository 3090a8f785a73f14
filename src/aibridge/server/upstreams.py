"""The providers that are served, and all that stands before each of them, while a gateway runs.

They come from the options, which stay as they are until the next start, and from the database, whose providers
administrators change at any time. A call keeps to what it found when it began.
"""

import logging
from collections.abc import Sequence

from aibridge.domain.provider import Provider
from aibridge.domain.provider_name import checked
from aibridge.gateway.guards import Guards
from aibridge.gateway.pools import Pools
from aibridge.gateway.retry import Retries
from aibridge.gateway.routes import Routes

_log = logging.getLogger("aibridge")


class Upstreams:
    """Which providers there are. `own` are those of the options.

    With `stand_in`, they only stand in where nobody has configured one: they give way when the database has any, usable
    or not, and are back when it has none, as they would be after a restart. Without `enabled` nothing has a route.
    """

    def __init__(  # noqa: PLR0913 (all that stands before a provider)
        self,
        own: Sequence[Provider],
        *,
        stand_in: bool,
        enabled: bool,
        pools: Pools,
        guards: Guards | None,
        retries: Retries | None,
    ) -> None:
        self._own = tuple(own)
        self._stand_in = stand_in
        self._enabled = enabled
        self._pools = pools
        self._guards = guards
        self._retries = retries
        self._database: tuple[tuple[Provider, ...], bool] = ((), False)
        self._told: set[str] = set()
        self.served: dict[str, Provider] = {}
        """By name."""
        self.routes = self._serve(self._own)

    def apply(self, providers: Sequence[Provider], *, any_there: bool = False) -> bool:
        """Serve these providers of the database from now on; answers whether anything has changed.

        One that cannot be served is left out, and told of in the log once: it keeps no other from being served.
        `any_there` says that the database has some, also where none of them could be opened.
        """
        present = (tuple(providers), any_there or bool(providers))
        if present == self._database:
            return False
        self._database = present
        served, faults = chosen(self._own, providers, gone=self._stand_in and present[1])
        told = {f"the provider {name!r} of the database is not served: {fault}" for name, fault in faults.items()}
        for line in sorted(told - self._told):
            _log.warning("%s", line)
        self._told = told
        self.routes = self._serve(served)
        return True

    def _serve(self, providers: Sequence[Provider]) -> Routes:
        before = self.served
        now = {provider.name: provider for provider in providers}
        anew = {name for name in now.keys() & before.keys() if not _same_place(now[name], before[name])}
        self._pools.keep(providers)
        if self._guards is not None:
            self._guards.keep(now, anew)
        if self._retries is not None:
            self._retries.keep(now, anew)
        self.served = now
        return Routes(providers if self._enabled else (), self._pools.of)


def chosen(
    own: Sequence[Provider], database: Sequence[Provider], *, gone: bool
) -> tuple[list[Provider], dict[str, str]]:
    """Which providers are served of those of the options and of the database; and by name, why others are not.

    With `gone`, those of the options only stood in for what the database has now.
    """
    served, faults = [] if gone else list(own), {}
    taken = {provider.name for provider in served}
    for provider in database:
        fault = "the options have one of this name, which wins" if provider.name in taken else _unfit(provider)
        if fault is None:
            served.append(provider)
            taken.add(provider.name)
        else:
            faults[provider.name] = fault
    return served, faults


def _unfit(provider: Provider) -> str | None:
    """Why a provider cannot have a route. One whose address is forbidden has: who calls it is told what is wrong."""
    try:
        checked(provider.name)
    except ValueError as problem:
        return str(problem)
    return None


def _same_place(one: Provider, other: Provider) -> bool:
    """Whether what was learned of one is true of the other: a new key changes nothing of it."""
    return (one.kind, one.origin, one.base_path, one.internal) == (
        other.kind,
        other.origin,
        other.base_path,
        other.internal,
    )
