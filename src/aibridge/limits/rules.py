"""All rules, from wherever they come: two options and the YAML file that holds the rest."""

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.explain import CONCURRENCY, RATE
from aibridge.limits.written import read_limits
from aibridge.options import Settings

__all__ = ["read_limits", "rules_of"]


def rules_of(settings: Settings) -> tuple[Rule, ...]:
    """All limits in the order in which they are asked: those that are options, then those of the file."""
    own = []
    if settings.max_concurrency:
        own.append(
            Rule(
                name=CONCURRENCY,
                unit=Unit.CONCURRENT,
                amount=settings.max_concurrency,
                queue_timeout=settings.queue_timeout,
                queue_size=settings.queue_size if settings.queue_timeout else 0,
            )
        )
    if settings.rate_limit:
        own.append(Rule(name=RATE, unit=Unit.REQUESTS, amount=settings.rate_limit, window=1.0, subject=Subject.TOKEN))
    return (*own, *settings.limits)
