"""The overload engine, put together from the settings, and as the control plane shows it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import monotonic

from aibridge.control.dependencies import BreakerPresent, LimitPresent, SubjectPresent
from aibridge.gateway.guards import Guards
from aibridge.gateway.retry import Retries
from aibridge.limits.counts import Counts, SharedBreakers
from aibridge.limits.engine import Limits
from aibridge.options import Settings
from aibridge.overload.adaptive import AdaptiveRule
from aibridge.overload.breaker import BreakerRule
from aibridge.overload.retry_budget import RetryBudget

MOST_SHOWN = 1000
"""Subjects of a rule that are looked at, those that use most of it: whoever asks is shown those that are theirs."""
_PERCENT = 100.0


def guards_of(settings: Settings, providers: Iterable[str], shared: SharedBreakers) -> Guards | None:
    """What stands before the providers; None when neither breakers nor adaptive limits are asked for."""
    rule = _breaker_rule(settings) if settings.circuit_breaker_enabled else None
    adaptive = _adaptive_rule(settings) if settings.adaptive_concurrency else None
    if rule is None and adaptive is None:
        return None
    models = settings.circuit_breaker_models
    return Guards(providers, models, rule=rule, adaptive=adaptive, shared=shared, clock=monotonic)


def retries_of(settings: Settings, providers: Iterable[str]) -> Retries | None:
    """The retry budget of each provider; None when nothing is tried again."""
    if not settings.max_retries:
        return None
    return Retries(providers, lambda: RetryBudget(settings.retry_budget / _PERCENT))


def _breaker_rule(settings: Settings) -> BreakerRule:
    return BreakerRule(
        failure_threshold=settings.circuit_breaker_failure_threshold,
        interval=settings.circuit_breaker_interval,
        timeout=settings.circuit_breaker_timeout,
        max_requests=settings.circuit_breaker_max_requests,
        failure_ratio=settings.circuit_breaker_failure_ratio / _PERCENT,
        slow_first_byte=settings.circuit_breaker_slow_first_byte,
        slow_ratio=settings.circuit_breaker_slow_ratio / _PERCENT,
        minimum_calls=settings.circuit_breaker_minimum_calls,
    )


def _adaptive_rule(settings: Settings) -> AdaptiveRule:
    """Never more than is allowed at once anyway."""
    default = AdaptiveRule()
    maximum = settings.max_concurrency or default.maximum
    return AdaptiveRule(initial=min(default.initial, maximum), maximum=maximum)


class Breakers:
    """The breakers as the control plane shows and resets them."""

    def __init__(self, guards: Guards | None) -> None:
        self._guards = guards

    def present(self) -> Sequence[BreakerPresent]:
        """Each of them as it is now."""
        now = monotonic()
        found = []
        for place in self._guards.places if self._guards is not None else ():
            breaker = place.breaker
            if breaker is None:
                continue
            seen = breaker.window(now)
            found.append(
                BreakerPresent(
                    name=place.name,
                    provider=place.provider,
                    credential=place.credential,
                    model=place.model,
                    state=breaker.state(now),
                    seconds_left=breaker.time_left(now),
                    calls=seen.calls,
                    failures=seen.failures,
                    slow=seen.slow,
                    trips=breaker.trips,
                    rejections=breaker.rejections,
                )
            )
        return found

    def reset(self, name: str) -> None:
        """Close one by hand.

        Raises:
            LookupError: there is no breaker of that name.
        """
        if self._guards is None:
            raise LookupError("there are no circuit breakers")
        self._guards.reset(name)


def limits_present(limits: Limits, counts: Counts) -> Callable[[], Awaitable[list[LimitPresent]]]:
    """How the rules in force stand, which `counts` counts for: what the control plane asks for."""

    async def present() -> list[LimitPresent]:
        subjects: dict[int, list[SubjectPresent]] = {}
        for one in await counts.present(MOST_SHOWN):
            subjects.setdefault(one.rule, []).append(SubjectPresent(key=one.key, used=one.used))
        decisions: dict[str, dict[str, int]] = {}
        for (name, _, outcome), number in limits.decisions.items():
            by_outcome = decisions.setdefault(name, {})
            by_outcome[outcome] = by_outcome.get(outcome, 0) + number
        return [  # the rules of now, whatever was counted for a moment ago
            LimitPresent(rule=rule, subjects=subjects.get(number, []), decisions=decisions[rule.name])
            for number, rule in limits.numbers.items()
        ]

    return present
