"""What the overload engine shows of itself: decisions, queues, breakers, adaptive limits, retries.

The rooms keep the numbers as they go, which costs them an addition; here they get their names, and are read when
somebody scrapes. Rules are as many as are configured, breakers as many as their room keeps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from aibridge.overload.breaker import State
from aibridge.telemetry import Telemetry
from aibridge.telemetry_kinds import Distribution, Gauge, Tally

_ROUTE = ("provider", "credential", "model")
_STATES = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}

RouteKey = tuple[str, str, str]
"""Provider, the name of the credential, and the model as it is configured."""


class SeenBreaker(Protocol):
    """What is shown of a breaker."""

    @property
    def provider(self) -> str:
        """The provider's name."""

    @property
    def credential(self) -> str:
        """The credential's name."""

    @property
    def model(self) -> str:
        """The model or pattern, as it is configured."""

    @property
    def state(self) -> State:
        """What it does with calls now."""

    @property
    def trips(self) -> int:
        """How often calls of this process opened it."""

    @property
    def rejections(self) -> int:
        """How many calls it refused."""


def show_limits(  # noqa: PLR0913 (what there is to show, each by name)
    telemetry: Telemetry,
    *,
    decisions: Callable[[], Mapping[tuple[str, str, str], int]],
    depths: Callable[[], Iterable[tuple[str, int]]],
    waits: Callable[[], Iterable[tuple[str, Sequence[int], float]]],
    bounds: tuple[float, ...],
    healthy: Callable[[], bool],
) -> None:
    """Show the limits.

    `decisions` are by rule, kind of subject and outcome: admitted, refused, shadow_refused, queued. `depths` gives how
    many calls wait now, by rule; `waits` how long calls have waited: the rule, how many for each of `bounds` (seconds)
    and beyond them, and the sum of their seconds. `healthy` is that of `Counts`.
    """
    telemetry.tallies.append(
        Tally(
            name="limit_decisions",
            text="Decisions of limits, by rule, kind of subject and outcome.",
            labels=("rule", "subject", "outcome"),
            read=lambda: decisions().items(),
        )
    )
    telemetry.gauges += [
        Gauge(
            name="limit_queue_depth",
            text="Calls that wait for a permit.",
            labels=("rule",),
            read=lambda: [((rule,), depth) for rule, depth in depths()],
        ),
        Gauge(
            name="counts_healthy",
            text="1 while counts are shared as they should be.",
            read=lambda: [((), healthy())],
        ),
    ]
    telemetry.distributions.append(
        Distribution(
            name="limit_queue_wait_seconds",
            text="How long calls waited for a permit, those included that were refused at last.",
            labels=("rule",),
            bounds=bounds,
            read=lambda: [((rule,), counts, seconds) for rule, counts, seconds in waits()],
        )
    )


def show_breakers(telemetry: Telemetry, breakers: Callable[[], Sequence[SeenBreaker]]) -> None:
    """Show the circuit breakers."""

    def each(number: Callable[[SeenBreaker], int]) -> Callable[[], Iterable[tuple[RouteKey, int]]]:
        return lambda: [((one.provider, one.credential, one.model), number(one)) for one in breakers()]

    telemetry.gauges.append(
        Gauge(
            name="circuit_breaker_state",
            text="0 is closed, 1 half-open, 2 open.",
            labels=_ROUTE,
            read=each(lambda breaker: _STATES[breaker.state]),
        )
    )
    telemetry.tallies += [
        Tally(
            name="circuit_breaker_trips",
            text="How often a breaker was opened by calls of this process.",
            labels=_ROUTE,
            read=each(lambda breaker: breaker.trips),
        ),
        Tally(
            name="circuit_breaker_rejects",
            text="Calls that a breaker refused.",
            labels=_ROUTE,
            read=each(lambda breaker: breaker.rejections),
        ),
    ]


def show_upstreams(
    telemetry: Telemetry,
    *,
    retries: Mapping[str, int],
    adaptive: Callable[[], Iterable[tuple[RouteKey, float]]],
) -> None:
    """Show retries, which grow by provider, and the limits that the gateway has found for each upstream."""
    telemetry.tallies.append(
        Tally(
            name="upstream_retries",
            text="Calls sent to a provider again.",
            labels=("provider",),
            read=lambda: [((provider,), number) for provider, number in retries.items()],
        )
    )
    telemetry.gauges.append(
        Gauge(
            name="adaptive_limit",
            text="Calls at one time that an upstream is believed to bear.",
            labels=_ROUTE,
            read=adaptive,
        )
    )
