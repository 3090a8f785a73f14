"""One rule's counts in this process: a limiter for each subject, of the kind that the rule's unit needs."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from aibridge.domain.rule import Mode, Rule
from aibridge.limits.counts import Present
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.keyed import Keyed
from aibridge.overload.rate import ExactWindow, Gcra

_AT_ONCE: Final = 1000
"""How many subjects are looked at in one turn of the event loop: less than a millisecond's work."""


class _Limiter(Protocol):
    def used(self, now: float, /) -> float: ...

    def idle(self, now: float, /) -> bool: ...


L = TypeVar("L", bound=_Limiter)


class _Subjects(Generic[L]):
    """A limiter for each of at most `most_keys` subjects; see `Keyed` for what happens beyond."""

    def __init__(self, rule: Rule, make: Callable[[], L], most_keys: int, moved: Callable[[], None]) -> None:
        self.rule = rule
        self.shadow = rule.mode is Mode.SHADOW
        self.limiters: Keyed[str, L] = Keyed(make, lambda limiter, now: limiter.idle(now), most_keys, moved)

    def counts_as(self, rule: Rule) -> bool:
        """Whether what is counted here can go on to be counted by another rule of the same number."""
        return self.rule.held == rule.held and self.rule.exact == rule.exact

    def change(self, rule: Rule, now: float) -> None:
        """Count by this rule from now on. What was counted stays so."""
        self.rule = rule
        self.shadow = rule.mode is Mode.SHADOW
        self._fit(now)

    def _fit(self, now: float) -> None:
        """Have the limiters of all subjects allow what the rule does now."""
        raise NotImplementedError

    def full(self, _: str) -> ConcurrencyLimiter | None:
        """The limiter of a subject that has nothing left, where that is certain for whoever asks."""
        return None

    async def present(self, number: int, most: int, clock: Callable[[], float]) -> list[Present]:
        """The `most` subjects that use the rule, at place `number` of the rules, most; other tasks get their turns."""
        top: list[tuple[float, str]] = []
        keys = self.limiters.keys()
        for start in range(0, len(keys), _AT_ONCE):
            now = clock()
            for key in keys[start : start + _AT_ONCE]:
                limiter = self.limiters.known(key)
                used = limiter.used(now) if limiter is not None else 0.0
                if used > 0.0:
                    top.append((used, key))
            top = heapq.nlargest(most, top)
            await asyncio.sleep(0)
        return [Present(rule=number, key=key, used=used) for used, key in top]


class Spent(_Subjects[ExactWindow | Gcra]):
    """The counts of a rule over what is spent: calls, tokens, money.

    Calls without a burst are counted to the last one, everything else flows (see `ExactWindow` and `Gcra`). `most` is
    the highest cost that can ever be taken, `rate` what is refilled in a second: one object each for all limiters.
    """

    def __init__(self, rule: Rule, most_keys: int, moved: Callable[[], None]) -> None:
        self.most, self.rate = _most(rule), _rate(rule)
        super().__init__(rule, self._limiter, most_keys, moved)

    def _limiter(self) -> ExactWindow | Gcra:
        rule = self.rule
        if rule.exact:
            return ExactWindow(rule.amount, rule.window, rule.name)
        return Gcra(self.rate, self.most, rule.name)

    def _fit(self, now: float) -> None:
        rule = self.rule
        self.most, self.rate = _most(rule), _rate(rule)
        for limiter in self.limiters.values():
            if isinstance(limiter, Gcra):
                limiter.retune(now, self.rate, self.most)
            else:
                limiter.resize(now, rule.amount, rule.window)


class Permits(_Subjects[ConcurrencyLimiter]):
    """The counts of a rule over what is held: calls in progress. Every call holds one, whatever its cost."""

    most = 1.0
    """The highest cost there is."""

    def __init__(self, rule: Rule, most_keys: int, moved: Callable[[], None]) -> None:
        super().__init__(rule, lambda: ConcurrencyLimiter(self.rule.amount, rule.name), most_keys, moved)
        self.queued = rule.queues

    def full(self, key: str) -> ConcurrencyLimiter | None:
        """The limiter of a subject that has nothing left, where nobody can wait for it."""
        limiter = self.limiters.known(key)
        return None if limiter is None or not limiter.full or self.shadow or self.queued else limiter

    def _fit(self, _: float) -> None:
        self.queued = self.rule.queues
        for limiter in self.limiters.values():
            limiter.maximum = self.rule.amount


def _most(rule: Rule) -> float:
    """The highest cost that can ever be taken of what is spent."""
    return 1.0 if rule.exact else float(rule.burst or rule.amount)


def _rate(rule: Rule) -> float:
    """How much of the amount of what is spent comes back in a second."""
    return rule.amount / rule.window
