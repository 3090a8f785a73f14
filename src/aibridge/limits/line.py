"""A rule made ready: what would otherwise be worked out for each call, and how it has decided."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from aibridge.domain.rule import Mode, Rule, Subject
from aibridge.limits.estimate import Measure, Tariff
from aibridge.limits.explain import policy_of
from aibridge.limits.matching import matching
from aibridge.limits.scope import key_of

WAIT_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds, in seconds, of what waits are counted by."""


class Line:
    """The rule of number `index`, and what became of the calls that fell under it since it has been there.

    `waits` are how many waits there were for each of `WAIT_BOUNDS` and beyond, `waited` is the sum of their seconds.
    """

    __slots__ = (
        *("index", "rule", "key", "provider", "model", "policy", "measure", "enforced", "queues", "regardless"),
        *("admitted", "refused", "shadow_refused", "queued", "ended", "waiting", "waits", "waited"),
    )

    def __init__(self, index: int, rule: Rule, tariff: Tariff) -> None:
        self.index = index
        self.change(rule, tariff)
        self.admitted = self.refused = self.shadow_refused = self.queued = 0
        self.ended = 0  # of those admitted
        self.waiting = 0  # in its queue
        self.waits = [0] * (len(WAIT_BOUNDS) + 1)
        self.waited = 0.0

    def change(self, rule: Rule, tariff: Tariff) -> None:
        """Be this rule from now on. What became of calls stays so."""
        self.rule = rule
        self.key = key_of(rule)
        self.provider = matching([rule.provider])
        self.model = matching([rule.model])
        self.policy = policy_of(rule)
        self.measure: Measure | None = tariff.measure(rule.unit) if rule.weighed else None
        self.enforced = rule.mode is Mode.ENFORCE
        self.queues = rule.queues
        self.regardless = rule.held and rule.model == "*"
        """Whether it refuses calls regardless of what they ask for."""

    @property
    def in_progress(self) -> int:
        """How many calls were admitted and have not ended."""
        return self.admitted - self.ended

    def count_wait(self, seconds: float) -> None:
        """Count a call that stood in a queue, if this rule has one."""
        if self.queues:
            self.queued += 1
            self.waits[bisect_left(WAIT_BOUNDS, seconds)] += 1
            self.waited += seconds

    def slack(self, cost: float) -> float:
        """How much earlier than a call of this cost the smallest one would be admitted, in seconds."""
        if self.measure is None:
            return 0.0
        rule = self.rule
        return min(cost, rule.burst or rule.amount) * rule.window / rule.amount


def renewed(before: Mapping[int, Line], rules: Mapping[int, Rule], tariff: Tariff) -> dict[int, Line]:
    """A line for each of these rules, by their numbers: the one that was there before, if there was one."""
    lines = {}
    for number, rule in rules.items():
        line = lines[number] = before.get(number) or Line(number, rule, tariff)
        if line.rule != rule:
            line.change(rule, tariff)
    return lines


def house_and_wings(lines: Iterable[Line]) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """The rules over everyone that can be full: those for all providers, and those for some.

    The first are looked at before the caller is known.
    """
    held = [line for line in lines if line.enforced and line.rule.held and line.rule.subject is Subject.EVERYONE]
    held = [line for line in held if line.rule.model == "*" and line.rule.organization is None]
    return (
        tuple(line for line in held if line.rule.provider == "*"),
        tuple(line for line in held if line.rule.provider != "*"),
    )
