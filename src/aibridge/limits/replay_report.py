"""What a rehearsal of limits came to: in all, by rule, by actor and by minute."""

from array import array
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil, inf

import msgspec

from aibridge.domain.price import Price
from aibridge.domain.rule import Rule
from aibridge.domain.usage import Usage
from aibridge.limits.arrivals import Arrival
from aibridge.limits.estimate import Tariff
from aibridge.limits.load import MINUTE, InProgress, Load, Window
from aibridge.limits.replay import Answer, Decision, usage_of


class Totals(msgspec.Struct, kw_only=True):
    """All calls. Each was admitted or refused in the end; `refusals` counts what clients were told, repeats included.

    `queued` counts the times a call stood in a queue. Waits, in seconds, are those of the calls that did and were
    admitted, None where there was none. Peaks are of upstream: `before` as recorded, `after` with these rules; tokens
    are those of one minute.
    """

    calls: int = 0
    admitted: int = 0
    refused: int = 0
    refusals: int = 0
    queued: int = 0
    wait_p50: float | None = None
    wait_p99: float | None = None
    concurrency_before: int = 0
    concurrency_after: int = 0
    calls_per_minute_before: int = 0
    calls_per_minute_after: int = 0
    tokens_per_minute_before: int = 0
    tokens_per_minute_after: int = 0


class RuleSums(msgspec.Struct, kw_only=True):
    """One rule. `peak` is the most that one subject, `peak_key`, used within one window, or held at one time.

    `refusals` are those it was named for; `shadow_refusals` are what it would have refused in shadow mode.
    """

    rule: Rule
    refusals: int = 0
    shadow_refusals: int = 0
    peak: float = 0.0
    peak_key: str = ""


class ActorSums(msgspec.Struct, kw_only=True):
    """One actor; see `Totals` for the counts."""

    actor: str
    calls: int = 0
    admitted: int = 0
    refused: int = 0
    refusals: int = 0
    shadow_refusals: int = 0
    queued: int = 0
    longest_wait: float = 0.0
    first_refused: datetime | None = None
    last_refused: datetime | None = None
    refusals_by_rule: dict[str, int] = {}
    refusals_by_minute: dict[datetime, int] = {}


class Minute(msgspec.Struct, kw_only=True):
    """One minute; see `Totals` for the counts, and `limits.load` for what belongs to which minute."""

    at: datetime
    calls: int
    admitted: int
    refused: int
    refusals: int
    queued: int
    concurrency_before: int
    concurrency_after: int
    tokens_before: int
    tokens_after: int


class Summary(msgspec.Struct, kw_only=True):
    """All of it. Actors who were refused most come first; minutes in which nothing happened are left out."""

    first: datetime
    last: datetime
    totals: Totals
    rules: list[RuleSums]
    actors: list[ActorSums]
    minutes: list[Minute]


class _Refusals(msgspec.Struct, kw_only=True):
    """What one actor was refused: instants in seconds, minutes since 1970, and rules by their places.

    Instants for people are made of these at the end: there are many refusals, and few actors and minutes.
    """

    first: float
    last: float = -inf
    by_rule: dict[int, int] = {}
    by_minute: dict[int, int] = {}


class Report:
    """Adds up what `Replay` decides. Tell it of each arrival before it is decided."""

    def __init__(self, rules: Sequence[Rule], prices: Sequence[Price]) -> None:
        self._rules = [RuleSums(rule=rule) for rule in rules]
        tariff = Tariff(prices)
        self._measures = [tariff.measure(rule.unit) if rule.weighed else None for rule in rules]
        self._actors: dict[str, ActorSums] = {}
        self._refusals: dict[str, _Refusals] = {}
        self._totals = Totals()
        self._waits = array("d")
        self._before, self._after = Load(), Load()
        self._counts: dict[str, dict[int, int]] = {name: {} for name in ("refused", "refusals", "queued")}
        self._held: dict[tuple[int, str], InProgress] = defaultdict(InProgress)
        self._windows: dict[tuple[int, str], Window] = {}
        self._first, self._last = 0.0, 0.0

    def arrived(self, arrival: Arrival) -> None:
        """A call came in."""
        if not self._totals.calls:
            self._first = self._last = arrival.at
        elif arrival.at > self._last:
            self._last = arrival.at
        self._totals.calls += 1
        self._actor(arrival).calls += 1
        self._before.begin(arrival.at, arrival.duration, arrival.input_tokens + arrival.output_tokens)

    def decided(self, decision: Decision) -> None:
        """A call was told something."""
        self._last = max(self._last, decision.at)
        actor = self._actor(decision.arrival)
        waited = decision.waited
        if waited:
            actor.queued += 1
            actor.longest_wait = max(actor.longest_wait, waited)
            self._count("queued", int(decision.at // MINUTE))
        if decision.answer is Answer.ADMITTED:
            self._admitted(decision, actor)
        else:
            self._refused(decision, actor)

    def summary(self) -> Summary:
        """What it came to so far."""
        totals = self._totals
        totals.refused, totals.refusals, totals.queued = (sum(counts.values()) for counts in self._counts.values())
        waits = sorted(self._waits)
        totals.wait_p50, totals.wait_p99 = _quantile(waits, 0.5), _quantile(waits, 0.99)
        before, after = self._before, self._after
        totals.concurrency_before, totals.concurrency_after = _peak(before.concurrency), _peak(after.concurrency)
        totals.calls_per_minute_before, totals.calls_per_minute_after = _peak(before.calls), _peak(after.calls)
        totals.tokens_per_minute_before, totals.tokens_per_minute_after = _peak(before.tokens), _peak(after.tokens)
        return Summary(
            first=datetime.fromtimestamp(self._first, UTC),
            last=datetime.fromtimestamp(self._last, UTC),
            totals=totals,
            rules=self._rules,
            actors=sorted(
                map(self._with_refusals, self._actors.values()),
                key=lambda sums: (-sums.refusals, -sums.shadow_refusals, -sums.queued, sums.actor),
            ),
            minutes=self._minutes(),
        )

    def _actor(self, arrival: Arrival) -> ActorSums:
        sums = self._actors.get(arrival.actor)
        if sums is None:
            sums = self._actors[arrival.actor] = ActorSums(actor=arrival.actor)
        return sums

    def _count(self, name: str, minute: int) -> None:
        counts = self._counts[name]
        counts[minute] = counts.get(minute, 0) + 1

    def _admitted(self, decision: Decision, actor: ActorSums) -> None:
        arrival = decision.arrival
        self._totals.admitted += 1
        actor.admitted += 1
        if decision.waited:
            self._waits.append(decision.waited)
        self._after.begin(decision.at, arrival.duration, arrival.input_tokens + arrival.output_tokens)
        for place in decision.shadows:
            self._rules[place].shadow_refusals += 1
            actor.shadow_refusals += 1
        usage = usage_of(arrival)
        for ask in decision.asks:
            sums = self._rules[ask.rule]
            used = self._use(sums.rule, (ask.rule, ask.key), decision, usage)
            if used > sums.peak:
                sums.peak, sums.peak_key = used, ask.key

    def _use(self, rule: Rule, subject: tuple[int, str], decision: Decision, usage: Usage) -> float:
        """How much a subject uses of a rule, this call included."""
        arrival = decision.arrival
        if rule.held:
            return self._held[subject].begin(decision.at, arrival.duration)
        measure = self._measures[subject[0]]
        amount = 1.0 if measure is None else measure.of(usage, arrival.model)
        window = self._windows.get(subject)
        if window is None:
            window = self._windows[subject] = Window(rule.window)
        return window.add(decision.at, amount)

    def _refused(self, decision: Decision, actor: ActorSums) -> None:
        at, minute = decision.at, int(decision.at // MINUTE)
        refusals = self._refusals.get(actor.actor)
        if refusals is None:
            refusals = self._refusals[actor.actor] = _Refusals(first=at)
        refusals.last = at
        refusals.by_minute[minute] = refusals.by_minute.get(minute, 0) + 1
        actor.refusals += 1
        self._count("refusals", minute)
        if decision.answer is Answer.REFUSED:
            actor.refused += 1
            self._count("refused", minute)
        rule = decision.rule
        if rule is not None:
            self._rules[rule].refusals += 1
            refusals.by_rule[rule] = refusals.by_rule.get(rule, 0) + 1

    def _with_refusals(self, actor: ActorSums) -> ActorSums:
        """An actor's sums with when it was refused, and by which rules, as people read them."""
        refusals = self._refusals.get(actor.actor)
        if refusals is not None:
            actor.first_refused = datetime.fromtimestamp(refusals.first, UTC)
            actor.last_refused = datetime.fromtimestamp(refusals.last, UTC)
            actor.refusals_by_rule = {self._rules[place].rule.name: count for place, count in refusals.by_rule.items()}
            actor.refusals_by_minute = {
                datetime.fromtimestamp(minute * MINUTE, UTC): count for minute, count in refusals.by_minute.items()
            }
        return actor

    def _minutes(self) -> list[Minute]:
        before, after = self._before, self._after
        known = before.concurrency.keys() | after.concurrency.keys()
        for counts in self._counts.values():
            known |= counts.keys()
        return [
            Minute(
                at=datetime.fromtimestamp(minute * MINUTE, UTC),
                calls=before.calls.get(minute, 0),
                admitted=after.calls.get(minute, 0),
                **{name: counts.get(minute, 0) for name, counts in self._counts.items()},
                concurrency_before=before.concurrency.get(minute, 0),
                concurrency_after=after.concurrency.get(minute, 0),
                tokens_before=before.tokens.get(minute, 0),
                tokens_after=after.tokens.get(minute, 0),
            )
            for minute in sorted(known)
        ]


def _peak(by_minute: dict[int, int]) -> int:
    return max(by_minute.values(), default=0)


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that this share of them does not exceed."""
    return values[ceil(share * len(values)) - 1] if values else None
