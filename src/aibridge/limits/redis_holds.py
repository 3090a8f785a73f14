"""How long calls hold what they hold, as one replica sees it, and what that makes those wait who found nothing left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from aibridge.domain.rule import Rule
from aibridge.overload.concurrency import HORIZON
from aibridge.overload.keyed import Keyed
from aibridge.overload.outcome import Outcome

UNKNOWN = 1.0
"""Seconds: how long a hold is taken to be until the first has ended."""

MOST_PROMISES = 10_000
"""How many limits have their promises told apart."""

_WEIGHT = 1 / 16
"""How much the newest hold counts in the average."""


@dataclass(slots=True)
class _Promise:
    """The instant promised last to one who was refused."""

    until: float = -inf

    def past(self, now: float) -> bool:
        return now >= self.until


class Holds:
    """The average hold of each rule, and a virtual queue of those who were refused.

    As in one process each of them is promised a later instant than the one before, at the pace at which permits come
    free. The other replicas promise theirs, too, so the steps here are as many times longer.
    """

    __slots__ = ("_averages", "_promises", "_rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: Mapping[int, Rule] = dict(enumerate(rules))
        self._averages: dict[int, float] = {}
        self._promises = Keyed[tuple[int, str], _Promise](_Promise, _Promise.past, MOST_PROMISES)

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Know these rules from now on."""
        self._rules = rules
        self._averages = {rule: average for rule, average in self._averages.items() if rule in rules}

    def ended(self, rule: int, hold: float, outcome: Outcome) -> None:
        """A call held this rule for so many seconds. Only calls that did their work teach anything."""
        if outcome is not Outcome.IGNORED and rule in self._rules:
            average = self._averages.get(rule, 0.0)
            self._averages[rule] = average + (hold - average) * _WEIGHT if average else hold

    def wait(self, rule: int, key: str, replicas: int, now: float) -> float:
        """About how long until a permit is free for one more of those refused by now, in seconds."""
        promise = self._promises.get((rule, key), now)
        promise.until = min(max(promise.until, now) + self.step(rule, replicas), now + HORIZON)
        return promise.until - now

    def step(self, rule: int, replicas: int) -> float:
        """By how much later each one is promised a permit than the one before, in seconds."""
        return self._averages.get(rule, UNKNOWN) * replicas / self._rules[rule].amount
