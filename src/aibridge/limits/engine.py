"""From rules to decisions: which rules a call falls under, what it asks of them, and what it is told.

All the rules of a call are asked at one time, all or none. Nothing here counts: `Counts` does, wherever that is.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from aibridge.domain.errors import Refused
from aibridge.domain.price import Price
from aibridge.domain.rule import Rule, Subject
from aibridge.domain.usage import Usage
from aibridge.limits.counts import Ask, Counts, Held, Place, Refusal
from aibridge.limits.estimate import Size, Tariff, expected
from aibridge.limits.explain import refused
from aibridge.limits.line import WAIT_BOUNDS, Line, house_and_wings, renewed
from aibridge.limits.matching import REMEMBERED
from aibridge.limits.numbers import numbered
from aibridge.limits.scope import Caller, name_of, place_of
from aibridge.limits.told import BELIEVED, Refusals, Told, Who
from aibridge.overload.outcome import Outcome
from aibridge.overload.retry import Policy

__all__ = ["WAIT_BOUNDS", "Admission", "Caller", "Limits", "Size"]


class Admission(msgspec.Struct, frozen=True, gc=False):
    """What a call holds from `admit` to `close`; `held` is None where no rule applies.

    `lines` are the rules by which it was admitted: it is closed by these, whatever they have become.
    """

    held: Held | None
    caller: Caller
    size: Size | None
    lines: Mapping[int, Line]


class Limits:
    """The rules in force. For one event loop.

    `counts` counts for these very rules, in this order; from then on it is told of every change, and by nobody else.
    `clock` is the monotonic one that `check` is given the time of.
    """

    rules: tuple[Rule, ...]
    needs_body: bool
    """Whether any rule can only be decided with the body."""

    def __init__(
        self,
        rules: Sequence[Rule],
        counts: Counts,
        prices: Sequence[Price] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._counts = counts
        self._clock = clock
        self._wall_clock = wall_clock
        self._tariff = Tariff(prices)
        self._lines: dict[int, Line] = {}
        self._heed(dict(enumerate(rules)))

    def replace(self, rules: Sequence[Rule]) -> None:
        """Go by these rules from now on, in this order; names are unique among them.

        A rule of the same name, unit, subject and algorithm is the same: its counts go on, and what became of calls.
        Calls in progress give back what they hold to where they took it.
        """
        rules = tuple(rules)
        if rules != self.rules:
            known = numbered(rules, self.numbers)
            self._heed(known)
            self._counts.replace(known)

    def _heed(self, rules: Mapping[int, Rule]) -> None:
        """Make ready for these rules. The lines of before stay as they are, for those who look something up in them."""
        self._lines = renewed(self._lines, rules, self._tariff)
        self.rules = tuple(rules.values())
        self.needs_body = any(rule.needs_body for rule in self.rules)
        self._refusals = Refusals()
        self._tells_addresses_apart = any(rule.subject is Subject.ADDRESS for rule in self.rules)
        self._house, self._wings = house_and_wings(self._lines.values())
        self._matching = lru_cache(REMEMBERED)(self._match)

    @property
    def numbers(self) -> dict[int, Rule]:
        """The rules by the numbers under which `counts` knows them, in their order."""
        return {number: line.rule for number, line in self._lines.items()}

    def check_capacity(self) -> Refused | None:
        """What is known to be full whoever calls. Takes nothing."""
        return self._full(self._house) if self._house else None

    def check(self, caller: Caller, now: float) -> Refused | None:
        """What is known, beyond `check_capacity`, without asking. Takes nothing.

        That there is no room for calls to this provider, or that this caller was told to come later.
        """
        if self._wings:
            full = self._full([line for line in self._wings if line.provider(caller.provider)])
            if full is not None:
                return full
        if self._refusals:
            told = self._refusals.find(self._who(caller), now)
            if told is not None:
                self._lines[told.rule].refused += 1
                return told.again(now)
        return None

    async def admit(self, caller: Caller, size: Size | None = None) -> Admission:
        """Take what a call needs under all rules that concern it, or nothing.

        Without a size only the rules that need no body are asked. Waits where a rule has a queue; a call that is
        cancelled there holds nothing.

        Raises:
            RateLimited: a limit is used up, for a wait that a client can bear.
            BudgetSpent: a limit is used up for longer than that.
            AtCapacity: as many calls as allowed are in progress.
        """
        matching, queues = self._matching(caller.provider, None if size is None else size.model)
        asks = self._asks(matching, caller, size)
        lines = self._lines
        if not asks:
            return Admission(None, caller, size, lines)
        if queues:
            answer = await self._wait(asks, place_of(caller, size))
        else:
            answer = await self._counts.take(asks)
        if lines is not self._lines:  # the rules have changed meanwhile; some that it was asked by may be gone
            lines = {**lines, **self._lines}
        if isinstance(answer, Refusal):
            _count_wait(lines, asks, answer.waited)
            raise self._no(lines, answer, asks, caller)
        for ask in answer.asks:
            line = lines[ask.rule]
            line.admitted += 1
            line.in_progress += 1
        for index in answer.shadows:
            lines[index].shadow_refused += 1
        if answer.waited:
            _count_wait(lines, answer.asks, answer.waited)
        return Admission(answer, caller, size, lines)

    def close(self, admission: Admission, usage: Usage | None, outcome: Outcome, *, counted: bool = True) -> None:
        """Give back what a call holds, and correct what it took to what it used. Never waits, never raises.

        Without a usage the estimate stands. A call that is not `counted` never reached a provider and used nothing.
        `outcome` tells whether it taught how long a place is held.
        """
        held = admission.held
        if held is not None:
            size, lines = admission.size, admission.lines
            costs = []
            for ask in held.asks:
                line = lines[ask.rule]
                line.in_progress -= 1
                if not counted:
                    costs.append(0.0)
                elif usage is None or size is None or line.measure is None:
                    costs.append(ask.cost)
                else:
                    costs.append(line.measure(usage, size.model))
            self._counts.settle(held, tuple(costs), outcome)
            if self._refusals:
                self._forget(held.asks, costs)

    @property
    def decisions(self) -> dict[tuple[str, str, str], int]:
        """How often each rule decided which way: by its name, its kind of subject and the outcome.

        A refused call is counted for the rule that said so first, any other for all rules it fell under.
        """
        return {
            (line.rule.name, line.rule.subject.value, outcome): getattr(line, outcome)
            for line in self._lines.values()
            for outcome in ("admitted", "refused", "shadow_refused", "queued")
        }

    @property
    def in_progress(self) -> dict[str, int]:
        """How many calls each rule over what is held has admitted, of this process, that have not ended."""
        return {line.rule.name: line.in_progress for line in self._lines.values() if line.rule.held}

    @property
    def waiting(self) -> list[tuple[str, int]]:
        """How many calls of this process wait now, by the name of each rule with a queue."""
        return [(line.rule.name, line.waiting) for line in self._lines.values() if line.queues]

    @property
    def waits(self) -> list[tuple[str, Sequence[int], float]]:
        """How long calls have waited, whatever came of it, for each rule with a queue.

        Its name, how many waits for each of `WAIT_BOUNDS` (seconds, inclusive) and beyond them, and their sum.
        """
        return [(line.rule.name, line.waits, line.waited) for line in self._lines.values() if line.queues]

    def _match(self, provider: str, model: str | None) -> tuple[tuple[Line, ...], bool]:
        """The rules a call falls under, and whether any of them has a queue."""
        lines = tuple(
            line
            for line in self._lines.values()
            if line.provider(provider) and (not line.rule.needs_body if model is None else line.model(model))
        )
        return lines, any(line.queues for line in lines)

    async def _wait(self, asks: tuple[Ask, ...], place: Place) -> Held | Refusal:
        """Take all or nothing, if need be after a while."""
        lines = [line for line in (self._lines[ask.rule] for ask in asks) if line.queues]
        for line in lines:
            line.waiting += 1
        try:
            return await self._counts.take(asks, place)
        finally:
            for line in lines:
                line.waiting -= 1

    def _full(self, lines: Sequence[Line]) -> Refused | None:
        for line in lines:
            refusal = self._counts.full(line.index, "")
            if refusal is not None:
                return self._refused(line, "", refusal, (line.policy,))
        return None

    def _asks(self, lines: tuple[Line, ...], caller: Caller, size: Size | None) -> tuple[Ask, ...]:
        asks = []
        usage = None
        for line in lines:
            key = line.key(caller)
            if key is None:
                continue
            if line.measure is not None and size is not None:
                usage = usage or expected(size)
                asks.append(Ask(line.index, key, line.measure(usage, size.model)))
            else:
                asks.append(Ask(line.index, key))
        return tuple(asks)

    def _no(self, lines: Mapping[int, Line], refusal: Refusal, asks: tuple[Ask, ...], caller: Caller) -> Refused:
        """The error for a refusal, which is remembered where it is certain to hold: never that of rules of before."""
        line = lines[refusal.rule]
        enforced = [other for other in (lines[ask.rule] for ask in asks) if other.enforced]
        policies = (line.policy, *(other.policy for other in enforced if other is not line))
        if lines is self._lines:
            self._remember(refusal, asks, caller, policies)
        return self._refused(line, name_of(line.rule, caller), refusal, policies)

    def _refused(self, line: Line, subject: str, refusal: Refusal, policies: tuple[Policy, ...]) -> Refused:
        line.refused += 1
        return refused(line.rule, subject, refusal, policies, self._wall_clock())

    def _remember(self, refusal: Refusal, asks: tuple[Ask, ...], caller: Caller, policies: tuple[Policy, ...]) -> None:
        """Remember a refusal whose wait is certain, and is that of every call of this caller.

        Not so where a place must come free, whose wait is a guess, nor where a rule for some models only has a say: the
        next call may be for another model. A smaller call than this one may be admitted earlier.
        """
        if self._lines[refusal.rule].rule.held:
            return
        slack = 0.0
        counts = []
        for ask in asks:
            line = self._lines[ask.rule]
            if not line.enforced:
                continue
            if line.rule.model != "*" or (line.rule.held and self._may_be_full(line, ask.key)):
                return
            slack = max(slack, line.slack(ask.cost))
            counts.append((ask.rule, ask.key))
        now = self._clock()
        due = now + refusal.retry_after
        if due - slack > now:
            line = self._lines[refusal.rule]
            error = refused(line.rule, name_of(line.rule, caller), refusal, policies, self._wall_clock())
            told = Told(error, refusal.rule, until=min(due - slack, now + BELIEVED), due=due)
            self._refusals.remember(self._who(caller), told, counts)

    def _may_be_full(self, line: Line, key: str) -> bool:
        return line.queues or self._counts.full(line.index, key) is not None

    def _forget(self, asks: Sequence[Ask], costs: Sequence[float]) -> None:
        """Forget refusals that depend on what a call has just given back."""
        for ask, cost in zip(asks, costs, strict=True):
            if cost < ask.cost:
                self._refusals.forget((ask.rule, ask.key))

    def _who(self, caller: Caller) -> Who:
        """The same for callers that fall under the same rules and are counted under the same keys."""
        actor = caller.actor
        address = caller.address if actor is None or self._tells_addresses_apart else ""
        return caller.provider, "" if actor is None else actor.token_id, address, caller.passes_through


def _count_wait(lines: Mapping[int, Line], asks: tuple[Ask, ...], seconds: float) -> None:
    if seconds > 0.0:
        for ask in asks:
            lines[ask.rule].count_wait(seconds)
