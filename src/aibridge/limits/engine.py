"""From rules to decisions: which rules a call falls under, what it asks of them, and what it is told.

All the rules of a call are asked at one time, all or none. Nothing here counts: `Counts` does, wherever that is.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from aibridge.domain.errors import Refused
from aibridge.domain.price import Price
from aibridge.domain.rule import Rule, Subject
from aibridge.domain.usage import Usage
from aibridge.limits.admission import Admission
from aibridge.limits.counts import Ask, Counts, Held, Refusal
from aibridge.limits.estimate import Size, Tariff
from aibridge.limits.explain import refused, wordless
from aibridge.limits.known_full import BRIEFLY
from aibridge.limits.line import WAIT_BOUNDS, Line, house_and_wings, renewed
from aibridge.limits.matching import REMEMBERED
from aibridge.limits.numbers import numbered
from aibridge.limits.room import Room
from aibridge.limits.scope import Caller, name_of, place_of
from aibridge.limits.terms import Terms, policies_of, terms_of, weighed_of
from aibridge.limits.told import BELIEVED, Refusals, Told, Who
from aibridge.overload.outcome import Outcome

__all__ = ["WAIT_BOUNDS", "Admission", "Caller", "Limits", "Size"]


_FREE: Final = Admission(None)
"""Of a call that no rule applies to."""


class Limits:
    """The rules in force. For one event loop.

    `counts` counts for these very rules, in this order; from then on it is told of every change, and by nobody else.
    `clock` is the monotonic one that `check` is given the time of. One that does not explain refuses without words.
    """

    rules: tuple[Rule, ...]
    needs_body: bool
    """Whether any rule can only be decided with the body."""

    def __init__(  # noqa: PLR0913 (the last three by keyword only)
        self,
        rules: Sequence[Rule],
        counts: Counts,
        prices: Sequence[Price] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        explains: bool = True,
    ) -> None:
        self._counts = counts
        self._explains = explains
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
        self._rooms = {line.index: Room(line.rule, "", (line.policy,)) for line in (*self._house, *self._wings)}
        self._matching = lru_cache(REMEMBERED)(self._match)

    @property
    def numbers(self) -> dict[int, Rule]:
        """The rules by the numbers under which `counts` knows them, in their order."""
        return {number: line.rule for number, line in self._lines.items()}

    def check_capacity(self) -> Refused | None:
        """What is known to be full whoever calls. Takes nothing."""
        return self._full(self._house)

    def check(self, caller: Caller, now: float) -> Refused | None:
        """What is known, beyond `check_capacity`, without asking. Takes nothing.

        That there is no room for calls to this provider, or that this caller was told to come later.
        """
        if self._wings:
            full = self._full([line for line in self._wings if line.provider(caller.provider)])
            if full is not None:
                return full
        told = self._refusals.get(self._who(caller)) if self._refusals else None
        if told is not None:
            if told.asks is None and now < told.until:
                return self._told(told, now)
            if now >= told.lately:
                told = None
        if caller.told is not told:
            caller.told = told
        return None

    def wants_size(self, caller: Caller) -> bool:
        """Whether `check_again` can tell more when it knows the size of the call: not if it would be refused anyway."""
        told = caller.told
        regardless = told is not None and self._lines[told.rule].regardless
        return self.needs_body and not caller.passes_through and not regardless

    def check_again(self, caller: Caller, size: Size | None, now: float) -> Refused | None:
        """What is known, beyond `check`, of one who was told something lately, without asking. Takes nothing.

        That is the decision about a call of this size. Without a size it is the one about what every call of the caller
        asks, by the rules that need no body.
        """
        told = caller.told
        if size is None:
            known = caller.terms
            if known is None or known.in_force is not self._lines:
                known = self._terms(caller, None)
            terms = known.least
            asks = terms.asks
        else:
            terms = self._terms(caller, size.model)
            asks = terms.asked(size) if terms.weighed else terms.asks
            if told is not None and now < told.until and told.asks == asks:
                return self._told(told, now)
        refusal = self._counts.refused(asks, terms.memo)
        if refusal is None:
            return None
        line = self._lines[refusal.rule]
        if not line.rule.held:
            whole = size is not None or caller.passes_through or not self.needs_body
            return self._no(refusal, asks, caller, self._lines, whole=whole)
        self._lately(caller, told, refusal.rule, now)
        line.refused += 1
        return terms.room(line, caller).full(refusal)

    async def admit(self, caller: Caller, size: Size | None = None) -> Admission:
        """Take what a call needs under all rules that concern it, or nothing.

        Without a size only the rules that need no body are asked. Waits where a rule has a queue; a call that is
        cancelled there holds nothing.

        Raises:
            RateLimited: a limit is used up, for a wait that a client can bear.
            BudgetSpent: a limit is used up for longer than that.
            AtCapacity: as many calls as allowed are in progress.
        """
        terms, asks = self.wanted(caller, size)
        if not asks:
            return _FREE
        queues = terms.queues
        answer = None if queues else self._counts.at_once(asks, terms.memo)
        if answer is None:
            for line in queues:
                line.waiting += 1
            try:
                place = place_of(caller, size) if queues else None
                answer = await self._counts.take(asks, place, terms.memo)
            finally:
                for line in queues:
                    line.waiting -= 1
        return self.concluded(answer, caller, size, terms, asks)

    def wanted(self, caller: Caller, size: Size | None) -> tuple[Terms, tuple[Ask, ...]]:
        """The first half of `admit`: on which terms a call is, and what it asks of those who count."""
        terms = self._terms(caller, None if size is None else size.model)
        return terms, terms.asks if size is None or not terms.weighed else terms.asked(size)

    def concluded(
        self, answer: Held | Refusal, caller: Caller, size: Size | None, terms: Terms, asks: tuple[Ask, ...]
    ) -> Admission:
        """The other half of `admit`: what is told a call that has got this answer, and what becomes known by it."""
        if type(answer) is Refusal:  # struct types are slow to tell whether something is theirs
            raise self._no(answer, asks, caller, self._since(terms))
        lines, weighed = terms.lines, terms.weighed
        if answer.asks is not asks or terms.in_force is not self._lines:
            known = self._since(terms)
            lines = tuple([known[ask.rule] for ask in answer.asks])
            weighed = weighed_of(lines)
        for line in lines:
            line.admitted += 1
        if answer.shadows or answer.waited:
            _note(answer, self._since(terms))
        return Admission(answer, lines, size if terms.weighed else None, weighed)

    def close(self, admission: Admission, usage: Usage | None, outcome: Outcome, *, counted: bool = True) -> None:
        """Give back what a call holds, and correct what it took to what it used. Never waits, never raises.

        Without a usage the estimate stands. A call that is not `counted` never reached a provider and used nothing.
        `outcome` tells whether it taught how long a place is held.
        """
        held = admission.held
        if held is None:
            return
        lines, size = admission.lines, admission.size
        for line in lines:
            line.ended += 1
        costs: tuple[float, ...] | None = None
        if not counted:
            costs = (0.0,) * len(lines)
        elif size is not None and usage is not None:
            costs = admission.costs(usage, size.model)
        self._counts.settle(held, costs, outcome)
        if costs is not None and self._refusals:
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

    def _terms(self, caller: Caller, model: str | None) -> Terms:
        """The terms for a caller's call to a model: those of its last one, if they are still good."""
        terms = caller.terms
        if terms is None or terms.in_force is not self._lines or terms.model != model:
            terms = caller.terms = terms_of(caller, model, self._matching(caller.provider, model), self._lines)
        return terms

    def _match(self, provider: str, model: str | None) -> tuple[Line, ...]:
        """The rules a call falls under."""
        return tuple(
            line
            for line in self._lines.values()
            if line.provider(provider) and (not line.rule.needs_body if model is None else line.model(model))
        )

    def _since(self, terms: Terms) -> Mapping[int, Line]:
        """The rules in force, and those that were by these terms and may have gone meanwhile."""
        before = terms.in_force
        return before if before is self._lines else {**before, **self._lines}

    def _full(self, lines: Iterable[Line]) -> Refused | None:
        for line in lines:
            refusal = self._counts.full(line.index, "")
            if refusal is not None:
                line.refused += 1
                return self._rooms[line.index].full(refusal)
        return None

    def _told(self, told: Told, now: float) -> Refused:
        self._lines[told.rule].refused += 1
        return told.again(now)

    def _no(
        self,
        refusal: Refusal,
        asks: tuple[Ask, ...],
        caller: Caller,
        lines: Mapping[int, Line],
        *,
        whole: bool = True,
    ) -> Refused:
        """The error for a refusal, which is remembered where it is certain to hold: never that of rules of before.

        Nor if the asks are not the `whole` of a call's: then the wait may be longer, and another rule the first.
        """
        _count_wait(lines, asks, refusal.waited)
        line = lines[refusal.rule]
        if self._explains:
            policies = policies_of(line, [lines[ask.rule] for ask in asks])
            error = refused(line.rule, name_of(line.rule, caller), refusal, policies, self._wall_clock())
        else:
            error = wordless(line.rule, refusal)
        if lines is self._lines:
            certain = self._certain(error, refusal, asks) if whole else None
            if certain is not None:
                self._refusals.remember(self._who(caller), certain)
            else:
                self._lately(caller, self._refusals.get(self._who(caller)), refusal.rule, self._clock())
        line.refused += 1
        return error

    def _lately(self, caller: Caller, told: Told | None, rule: int, now: float) -> None:
        """Remember that a rule has refused a caller, and nothing else is certain; `told` is what it was told last."""
        if told is not None and told.uncertain and told.rule == rule:
            told.lately = now + BELIEVED
        else:
            self._refusals.remember(self._who(caller), Told(rule, now + BELIEVED))

    def _certain(self, error: Refused, refusal: Refusal, asks: tuple[Ask, ...]) -> Told | None:
        """A refusal whose wait is certain: not so where a place must come free, whose wait is a guess.

        It is that of every call of this caller; or, where a rule for some models only has a say or a smaller call may
        be admitted earlier, of every call that asks for the same.
        """
        if self._lines[refusal.rule].rule.held:
            return None
        slack = 0.0
        counts = []
        general = True
        for ask in asks:
            line = self._lines[ask.rule]
            if not line.enforced:
                continue
            if line.rule.held and self._may_be_full(line, ask.key):
                return None
            general = general and line.rule.model == "*"
            slack = max(slack, line.slack(ask.cost))
            counts.append((ask.rule, ask.key))
        now = self._clock()
        due = now + refusal.retry_after
        general = general and due - slack > now
        until = min(due - slack, now + BELIEVED) if general else min(due, now + BRIEFLY)
        asks_alike = None if general else asks
        return Told(refusal.rule, now + BELIEVED, error, until=until, due=due, asks=asks_alike, counts=counts)

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


def _note(held: Held, lines: Mapping[int, Line]) -> None:
    """Count who would have refused a call, and how long it waited."""
    for number in held.shadows:
        lines[number].shadow_refused += 1
    _count_wait(lines, held.asks, held.waited)


def _count_wait(lines: Mapping[int, Line], asks: Sequence[Ask], seconds: float) -> None:
    if seconds > 0.0:
        for ask in asks:
            lines[ask.rule].count_wait(seconds)
