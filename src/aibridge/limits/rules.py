"""All rules, from wherever they come: two options, the YAML file, and the database, whose rules come and go."""

import logging
from collections.abc import Sequence

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.explain import CONCURRENCY, RATE
from aibridge.limits.written import read_limits
from aibridge.options import Settings

__all__ = ["OwnRules", "read_limits", "rules_of"]

_log = logging.getLogger("aibridge")


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


class OwnRules:
    """The rules of the configuration, which hold from start to end, whatever the database has beside them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._told: set[str] = set()

    def beside(self, others: Sequence[Rule]) -> tuple[Rule, ...]:
        """These, and then the others, but those whose name is taken already; the log is told of each of these once."""
        names = {rule.name for rule in self.rules}
        further = []
        for rule in others:
            if rule.name not in names:
                names.add(rule.name)
                further.append(rule)
            elif rule.name not in self._told:
                self._told.add(rule.name)
                _log.warning("the limit %r of the database is ignored: another one has its name", rule.name)
        return (*self.rules, *further)
