"""The breakers of a gateway, and the limits it finds out.

There is one of each for every credential of a provider and kind of model. Their number is fixed by whoever configures
providers and kinds; nothing that a caller sends makes a new one.
"""

from collections.abc import Container, Iterable, Sequence
from functools import lru_cache
from itertools import product

from aibridge.gateway.call import Call, Clock
from aibridge.limits.counts import SharedBreakers
from aibridge.limits.matching import REMEMBERED, matching
from aibridge.limits.probes import ended, shared_place
from aibridge.overload.adaptive import AdaptiveLimiter, AdaptiveRule
from aibridge.overload.breaker import Breaker, BreakerRule, Probe, State, Ticket
from aibridge.overload.outcome import Rejection

CENTRAL = "central"
OWN = "own"
"""Whose credential a provider sees: the configured one, or one of the callers' own, all of which count together."""
OTHERS = "*"
"""The models that no pattern is for."""


class Guarded:
    """What stands before one route: a provider, one of its credentials, and a kind of model."""

    __slots__ = ("breaker", "credential", "limiter", "model", "name", "provider")

    def __init__(
        self, provider: str, credential: str, model: str, rule: BreakerRule | None, adaptive: AdaptiveRule | None
    ) -> None:
        self.provider = provider
        self.credential = credential
        self.model = model
        self.name = name = f"{provider}:{credential}:{model}"
        self.breaker = Breaker(name, rule) if rule is not None else None
        self.limiter = AdaptiveLimiter(adaptive, name) if adaptive is not None else None


class Guards:
    """All that stands before the providers. Breakers of one name in other processes are reached by `shared`."""

    def __init__(  # noqa: PLR0913 (what is guarded, by what, and who shares it)
        self,
        providers: Iterable[str],
        models: Sequence[str],
        *,
        rule: BreakerRule | None,
        adaptive: AdaptiveRule | None,
        shared: SharedBreakers,
        clock: Clock,
    ) -> None:
        self._patterns = [(model, matching([model])) for model in models]
        self._models = (*models, OTHERS)
        self._rule = rule
        self._adaptive = adaptive
        self._shared = shared
        self._clock = clock
        self._places: dict[tuple[str, str, str], Guarded] = {}
        self._by_name: dict[str, Guarded] = {}
        self._kind_of = lru_cache(REMEMBERED)(self._find_kind)
        self.keep(providers)

    def keep(self, providers: Iterable[str], anew: Container[str] = ()) -> None:
        """Guard these providers and no other. Those in `anew` are others than before by the same name."""
        old = self._places
        self._places = {
            key: old[key] if key in old and key[0] not in anew else self._guarded(*key)
            for key in product(providers, (CENTRAL, OWN), self._models)
        }
        self._by_name = {place.name: place for place in self._places.values()}

    @property
    def places(self) -> Sequence[Guarded]:
        """Each of them."""
        return tuple(self._places.values())

    def limits(self) -> list[tuple[tuple[str, str, str], int]]:
        """How many calls at once each place is believed to bear, where that is found out."""
        return [(key, place.limiter.limit) for key, place in self._places.items() if place.limiter is not None]

    def of(self, call: Call) -> Guarded:
        """What stands before this call's route."""
        model = call.view.model if call.view is not None else ""
        credential = OWN if call.own_credential else CENTRAL
        key = call.head.route.provider.name, credential, self._kind_of(model)
        # What is not there is a provider that was removed while this call waited: nothing is learned for later.
        return self._places.get(key) or self._guarded(*key)

    def opened(self, place: Guarded, now: float) -> None:
        """A breaker of ours has opened: tell the others, unless its provider is no longer the one of that name."""
        if place.breaker is not None and self._present(place):
            self._shared.tripped(place.name, place.breaker.time_left(now))

    async def probe(self, breaker: Breaker, probe: Probe) -> Ticket | Rejection:
        """What becomes of a call that a half-open breaker let go, since its places are shared with other processes."""
        return await shared_place(breaker, probe, self._shared, self._clock)

    def probed(self, place: Guarded, probe: Probe, *, succeeded: bool) -> None:
        """A probe has ended, and its breaker knows. Of another provider than that of now it says nothing."""
        ended(probe, place.name, self._shared, succeeded=succeeded and self._present(place))

    def heard(self, name: str, seconds: float) -> None:
        """A breaker opened elsewhere for so long, or, with 0.0, was closed: by probes, or by hand."""
        place = self._by_name.get(name)  # none, where another process has another configuration
        if place is None or place.breaker is None:
            return
        breaker, now = place.breaker, self._clock()
        if seconds > 0.0:
            breaker.trip(now, seconds)
        elif breaker.state(now) is not State.CLOSED:  # else it may have been closed, and has counted since
            breaker.reset(now)

    def reset(self, name: str) -> None:
        """Close a breaker by hand, here and wherever its state is shared.

        Raises:
            LookupError: there is no breaker of that name.
        """
        place = self._by_name.get(name)
        if place is None or place.breaker is None:
            raise LookupError(f"there is no circuit breaker {name!r}")
        place.breaker.reset(self._clock())
        self._shared.tripped(name, 0.0)

    def _present(self, place: Guarded) -> bool:
        """Whether its provider is still the one of that name."""
        return self._by_name.get(place.name) is place

    def _guarded(self, provider: str, credential: str, model: str) -> Guarded:
        # How much one person's own credential may is no measure for the others'.
        adaptive = self._adaptive if credential == CENTRAL else None
        return Guarded(provider, credential, model, self._rule, adaptive)

    def _find_kind(self, model: str) -> str:
        return next((kind for kind, matches in self._patterns if matches(model)), OTHERS)
