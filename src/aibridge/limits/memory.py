"""Counts in this process: exact, synchronous at heart, and fair to those who wait."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from time import monotonic

from aibridge.domain.rule import Mode, Rule
from aibridge.limits.counters import Permits, Spent, correct
from aibridge.limits.counts import Ask, Held, Place, Present, Refusal
from aibridge.limits.queues import Queue, Queues, Waiter
from aibridge.overload.concurrency import ConcurrencyLimiter, Permit
from aibridge.overload.outcome import Outcome
from aibridge.overload.rate import ExactWindow, Gcra

_Thing = ExactWindow | Gcra | Permit
"""What was taken, as `settle` wants it back: the limiter it was taken of, or the permit."""


class Memory:
    """A `Counts` of these rules, on a clock in seconds that may be virtual. Each rule tells `most_keys` subjects apart.

    Those who wait for a permit get it in the same step in which it comes back, so nobody who comes meanwhile can take
    it from them. A call asks each rule at most once.
    """

    def __init__(
        self, rules: Sequence[Rule], clock: Callable[[], float] = monotonic, *, most_keys: int = 100_000
    ) -> None:
        self.on_trip: Callable[[str, float], None] = lambda _breaker, _seconds: None
        self._clock = clock
        self._most_keys = most_keys
        self._counters: dict[int, Permits | Spent] = {}
        self._numbers = count(1)
        self._taken: dict[int, tuple[float, list[_Thing]]] = {}  # when, and in the order of asks
        self._queues = Queues(clock, self._give_up)
        self.replace(dict(enumerate(rules)))

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Count for these rules from now on; see `Counts`."""
        before, now = self._counters, self._clock()
        self._counters = {number: self._counter(before.get(number), rule, now) for number, rule in rules.items()}
        self._plain = not any(rule.weighed or rule.mode is Mode.SHADOW for rule in rules.values())
        same = {number: rule for number, rule in rules.items() if self._counters[number] is before.get(number)}
        left = self._queues.outdated(same, now)
        for limiter in self._queues.limiters():  # an amount may be larger now
            self._hand_on(limiter, now)
        for waiter in left:
            self._ask_again(waiter, now, anew=True)

    def try_take(self, asks: tuple[Ask, ...], now: float) -> Held | Refusal:
        """Take all that is asked for, or nothing, without waiting.

        A cost above what its rule can ever admit at once is taken as that, and `settle` charges the rest.
        """
        try:
            decided = self._decide(asks, now)
        except KeyError:  # which costs nothing as long as all rules are known
            decided = self._decide(self._known(asks), now)
        return decided if isinstance(decided, Held) else self._refusal(decided, now)

    async def take(self, asks: tuple[Ask, ...], place: Place | None = None) -> Held | Refusal:
        """Take all or nothing; see `Counts`. Without a `place` it never suspends."""
        now = self._clock()
        try:
            decided = self._decide(asks, now)
        except KeyError:
            decided = self._decide(self._known(asks), now)
        if isinstance(decided, Held):
            if place is not None:
                self._charge(asks, place, now)
            return decided
        queue = None if place is None else self._queue(decided, now)
        if place is None or queue is None:
            return self._refusal(decided, now)
        answer: asyncio.Future[Held | Refusal] = asyncio.get_running_loop().create_future()
        patience = self._counters[queue.number].rule.queue_timeout
        waiter = Waiter(asks, place, since=now, deadline=now + patience, answer=answer)
        self._stand(waiter, queue, now)
        try:
            return await answer
        except asyncio.CancelledError:
            self._gone(waiter)
            raise

    def settle(self, held: Held, costs: tuple[float, ...], outcome: Outcome, now: float | None = None) -> None:
        """Give back and correct; see `Counts`. `now` is for those who do not live by the clock.

        Settled for a second time, nothing happens.
        """
        taken = self._taken.pop(held.number, None)
        if taken is None:
            return
        now = self._clock() if now is None else now
        at, things = taken
        freed: list[ConcurrencyLimiter] = []
        for ask, thing, cost in zip(held.asks, things, costs, strict=True):
            if isinstance(thing, Permit):
                if thing.limiter is not None:
                    freed.append(thing.limiter)
                    thing.limiter.leave(thing, outcome, now)
            elif cost != ask.cost:
                correct(thing, at, cost - ask.cost, now)
        for limiter in freed:  # only now: who waits may need several of them
            self._hand_on(limiter, now)

    def full(self, rule: int, key: str) -> Refusal | None:
        """Whether a held rule without a queue has nothing left; see `Counts`.

        Where there is a queue, even a full one, nothing is known before it is known whose call it is: a flow that is
        short takes the place of one that is long.
        """
        counter = self._counters.get(rule)
        if not isinstance(counter, Permits) or counter.shadow or counter.queued:
            return None
        limiter = counter.limiters.known(key)
        if limiter is None or not limiter.full:
            return None
        return Refusal(rule=rule, key=key, used=limiter.in_flight, retry_after=limiter.wait(self._clock()))

    async def present(self, most: int) -> list[Present]:
        """The present use of each rule; see `Counts`."""
        found = list[Present]()
        for number, counter in [*self._counters.items()]:
            found += await counter.present(number, most, self._clock)
        return found

    def tripped(self, breaker: str, seconds: float) -> None:
        """There is nobody else to tell."""

    @property
    def healthy(self) -> bool:
        """Always: nothing can be out of reach."""
        return True

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return sum(self.waits().values())

    def waits(self) -> dict[int, int]:
        """How many calls wait, by the place of the rule they wait for."""
        return self._queues.depths()

    async def close(self) -> None:
        """Refuse those who wait, and end."""
        for waiter in self._queues.close():
            self._give_up(waiter)

    def _counter(self, before: Permits | Spent | None, rule: Rule, now: float) -> Permits | Spent:
        """What counts for a rule: what has done so before, if it can."""
        if before is None or not before.counts_as(rule):
            return (Permits if rule.held else Spent)(rule, self._most_keys)
        if before.rule != rule:
            before.change(rule, now)
        return before

    def _decide(self, asks: tuple[Ask, ...], now: float) -> Held | list[Ask]:
        """Take everything, or nothing and say which of the asks were refused.

        The last is told by taking it, once the others would be admitted: nothing can change between.

        Raises:
            KeyError: about a rule that is not known, before anything is taken.
        """
        counters = self._counters
        enforced, shadowed = (asks, ()) if self._plain else self._sorted(asks)
        things: list[_Thing] = []
        if enforced:
            refused = [ask for ask in enforced[:-1] if counters[ask.rule].refuses(ask.key, ask.cost, now)]
            last = enforced[-1]
            if refused:
                return [*refused, last] if counters[last.rule].refuses(last.key, last.cost, now) else refused
            decisive = counters[last.rule].take(last.key, last.cost, now)
            if decisive is None:
                return [last]
            for ask in enforced[:-1]:
                thing = counters[ask.rule].take(ask.key, ask.cost, now)
                if thing is None:
                    raise RuntimeError(f"{ask} was refused after it was said that it would be admitted")
                things.append(thing)
            things.append(decisive)
        over: tuple[int, ...] = ()
        if shadowed:
            enforced, over = self._take_shadows(shadowed, enforced, things, now)
        number = next(self._numbers)
        self._taken[number] = now, things
        return Held(number, enforced, over)

    def _known(self, asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
        """Those about rules that there are."""
        return tuple(ask for ask in asks if ask.rule in self._counters)

    def _sorted(self, asks: tuple[Ask, ...]) -> tuple[tuple[Ask, ...], tuple[Ask, ...]]:
        """What may refuse and what is in shadow mode; no cost above what its rule can ever admit."""
        enforced: list[Ask] = []
        shadowed: list[Ask] = []
        for wanted in asks:
            counter = self._counters[wanted.rule]
            ask = wanted if wanted.cost <= counter.most else Ask(wanted.rule, wanted.key, counter.most)
            (shadowed if counter.shadow else enforced).append(ask)
        return tuple(enforced), tuple(shadowed)

    def _take_shadows(
        self, asks: tuple[Ask, ...], counted: tuple[Ask, ...], things: list[_Thing], now: float
    ) -> tuple[tuple[Ask, ...], tuple[int, ...]]:
        """Take each for itself: what is counted by now, and which rules would have refused."""
        taken: list[Ask] = []
        over: list[int] = []
        for ask in asks:
            thing = self._counters[ask.rule].take(ask.key, ask.cost, now)
            if thing is None:
                over.append(ask.rule)
            else:
                taken.append(ask)
                things.append(thing)
        return (*counted, *taken), tuple(over)

    def _refusal(self, refused: list[Ask], now: float, waited: float = 0.0) -> Refusal:
        first = refused[0]
        return Refusal(
            rule=first.rule,
            key=first.key,
            used=self._counters[first.rule].used(first.key, now),
            retry_after=max(self._counters[ask.rule].wait(ask.key, ask.cost, now) for ask in refused),
            waited=waited,
        )

    def _queue(self, refused: list[Ask], now: float) -> Queue | None:
        """Where one waits who was refused these: the first's queue, if all of them have one."""
        places = [(ask, counter) for ask in refused if isinstance(counter := self._counters[ask.rule], Permits)]
        if len(places) < len(refused) or not all(counter.queued for _, counter in places):
            return None
        ask, counter = places[0]
        return self._queues.open(counter.limiters.get(ask.key, now), ask.rule, counter.rule, now)

    def _charge(self, asks: tuple[Ask, ...], place: Place, now: float, but: Queue | None = None) -> None:
        """Let the queues of a call that goes know of it, but one that knows: who used less lately goes before it."""
        for ask in asks:
            counter = self._counters.get(ask.rule)
            if isinstance(counter, Permits) and counter.queued:
                queue = self._queues.known(counter.limiters.get(ask.key, now))
                if queue is not None and queue is not but:
                    queue.charge(place, now)

    def _stand(self, waiter: Waiter, queue: Queue, now: float) -> None:
        lost = queue.join(waiter, now)
        if lost is not None:
            self._ask_again(lost, now)

    def _hand_on(self, limiter: ConcurrencyLimiter, now: float) -> None:
        """Give the permits that a limiter has left to those who wait for them."""
        queue = self._queues.known(limiter)
        while queue is not None and not limiter.full and (waiter := queue.next(now)) is not None:
            self._ask_again(waiter, now, queue)

    def _ask_again(self, waiter: Waiter, now: float, turn_in: Queue | None = None, *, anew: bool = False) -> None:
        """Answer one that has left its queue. If it had its turn there, it may wait for what else it lacks by now.

        So may one that is asked `anew` because its queue is no more, and then as long as the next one lets it wait.
        """
        if waiter.answer.done():  # cancelled in this turn of the event loop
            return
        waited = now - waiter.since
        decided = self._decide(self._known(waiter.asks), now)
        if isinstance(decided, Held):
            decided.waited = waited
            self._charge(waiter.asks, waiter.place, now, but=turn_in)
            waiter.answer.set_result(decided)
            return
        queue = self._queue(decided, now) if turn_in is not None or anew else None
        if queue is None:
            waiter.answer.set_result(self._refusal(decided, now, waited))
            return
        if anew:
            waiter.deadline = waiter.since + self._counters[queue.number].rule.queue_timeout
        self._stand(waiter, queue, now)

    def _give_up(self, waiter: Waiter) -> None:
        self._ask_again(waiter, self._clock())

    def _gone(self, waiter: Waiter) -> None:
        """Free the place of one that was cancelled, or what it was granted and will not use."""
        if waiter.queue is not None:
            waiter.queue.leave(waiter)
        elif not waiter.answer.cancelled() and isinstance(held := waiter.answer.result(), Held):
            self.settle(held, (0.0,) * len(held.asks), Outcome.IGNORED)
