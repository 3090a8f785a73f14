"""Counts in this process: exact, synchronous at heart, and fair to those who wait."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from time import monotonic
from typing import cast

from aibridge.domain.rule import Mode, Rule
from aibridge.limits.counters import Permits, Spent
from aibridge.limits.counts import Ask, Held, Memo, Place, Present, Refusal
from aibridge.limits.limiters import Lacking, Limiters
from aibridge.limits.queues import Promise, Queue, Queues, Waiter
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.outcome import Outcome


class Taken(Held):
    """What a call took here: of which limiters, None once it is settled, and when."""

    at: float = 0.0
    limiters: Limiters | None = None


def _future() -> Promise:
    return asyncio.get_running_loop().create_future()


class Memory:
    """A `Counts` of these rules, on a clock in seconds that may be virtual. Each rule tells `most_keys` subjects apart.

    Those who wait for a permit get it in the same step in which it comes back, so nobody who comes meanwhile can take
    it from them. A call asks each rule at most once.
    """

    def __init__(
        self, rules: Sequence[Rule], clock: Callable[[], float] = monotonic, *, most_keys: int = 100_000
    ) -> None:
        self._clock = clock
        self._most_keys = most_keys
        self._counters: dict[int, Permits | Spent] = {}
        self._numbers = count(1)
        self._queues = Queues(clock, self._give_up)
        self.replace(dict(enumerate(rules)))

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Count for these rules from now on; see `Counts`."""
        before, now = self._counters, self._clock()
        self._forget_limiters()
        self._counters = {number: self._counter(before.get(number), rule, now) for number, rule in rules.items()}
        self._shadows = any(rule.mode is Mode.SHADOW for rule in rules.values())
        self._queueing = any(rule.queues for rule in rules.values())
        same = {number: rule for number, rule in rules.items() if self._counters[number] is before.get(number)}
        left = self._queues.outdated(same, now)
        for limiter in self._queues.limiters():  # an amount may be larger now
            self._hand_on(limiter, now)
        for waiter in left:
            self._ask_again(waiter, now, anew=True)

    def try_take(self, asks: tuple[Ask, ...], now: float, memo: Memo | None = None) -> Held | Refusal:
        """Take all that is asked for, or nothing, without waiting.

        A cost above what its rule can ever admit at once is taken as that, and `settle` charges the rest.
        """
        decided = self._decide_known(asks, now, memo)
        return self._refusal(decided, now) if isinstance(decided, Lacking) else decided

    def at_once(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Held | Refusal:
        """Take all or nothing, without waiting; see `Counts`."""
        return self.try_take(asks, self._clock(), memo)

    async def take(self, asks: tuple[Ask, ...], place: Place | None = None, memo: Memo | None = None) -> Held | Refusal:
        """Take all or nothing, if need be after a while; see `Counts`."""
        if place is None:
            return self.try_take(asks, self._clock(), memo)
        answer = self.ask(asks, place, memo, _future)
        if not isinstance(answer, Waiter):
            return answer
        future = cast("asyncio.Future[Held | Refusal]", answer.answer)
        try:
            return await future
        except asyncio.CancelledError:
            self._gone(answer, future)
            raise

    def ask(
        self, asks: tuple[Ask, ...], place: Place, memo: Memo | None, promise: Callable[[], Promise]
    ) -> Held | Refusal | Waiter:
        """As `take`, but where the call has to wait, a `promise` is told the answer."""
        now = self._clock()
        decided = self._decide_known(asks, now, memo)
        if not isinstance(decided, Lacking):
            self._charge(asks, place, now)
            return decided
        queue = self._queue(decided, now)
        if queue is None:
            return self._refusal(decided, now)
        patience = self._counters[queue.number].rule.queue_timeout
        waiter = Waiter(asks, place, since=now, deadline=now + patience, answer=promise(), memo=memo)
        self._stand(waiter, queue, now)
        return waiter

    def settle(self, held: Held, costs: tuple[float, ...] | None, outcome: Outcome, now: float | None = None) -> None:
        """Give back and correct; see `Counts`. `now` is for those who do not live by the clock.

        Settled for a second time, nothing happens.
        """
        if not isinstance(held, Taken) or held.limiters is None:
            return
        limiters, held.limiters = held.limiters, None
        now = self._clock() if now is None else now
        limiters.give_back(held.at, outcome, now)
        if costs is not None:
            limiters.correct(held.asks, costs, held.at, now)
        if self._queueing:
            for limiter in limiters.held:  # only now: who waits may need several of them
                self._hand_on(limiter, now)

    def full(self, rule: int, key: str) -> Refusal | None:
        """Whether a held rule without a queue has nothing left; see `Counts`.

        Where there is a queue, even a full one, nothing is known before it is known whose call it is: a flow that is
        short takes the place of one that is long.
        """
        counter = self._counters.get(rule)
        limiter = None if counter is None else counter.full(key)
        if limiter is None:
            return None
        return Refusal(rule=rule, key=key, used=limiter.in_flight, retry_after=limiter.wait(self._clock()))

    def refused(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Refusal | None:
        """Whether `take` would refuse a call now; see `Counts`. Where it may wait, that is not known before it asks."""
        now = self._clock()
        try:
            if self._shadows:
                asks, memo = tuple([ask for ask in asks if not self._counters[ask.rule].shadow]), None
            limiters = self._looked_up(asks, now, memo)
        except KeyError:
            return self.refused(self._known(asks))
        if limiters.weighed and limiters.exceeded(asks):
            asks = self._clamped(asks)
        lacking = limiters.lacking(asks, now)
        return None if not lacking.short or self._all_queue(lacking) else lacking.refusal(now, 0.0, queue=False)

    async def present(self, most: int) -> list[Present]:
        """The present use of each rule; see `Counts`."""
        found = list[Present]()
        for number, counter in [*self._counters.items()]:
            found += await counter.present(number, most, self._clock)
        return found

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """There is nothing to hear: breakers open here, and nowhere else."""

    def tripped(self, breaker: str, seconds: float) -> None:
        """There is nobody else to tell."""

    async def probe(self, breaker: str, most: int, lease: float) -> None:
        """There is nobody to share places with."""

    def probed(self, number: int, *, succeeded: bool) -> None:
        """No place is shared."""

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
            return (Permits if rule.held else Spent)(rule, self._most_keys, self._forget_limiters)
        if before.rule != rule:
            before.change(rule, now)
        return before

    def _forget_limiters(self) -> None:
        """What was looked up by now may be something else the next time."""
        self._epoch = object()

    def _decide_known(self, asks: tuple[Ask, ...], now: float, memo: Memo | None) -> Taken | Lacking:
        """As `_decide`, by those of the asks that are about rules there are."""
        try:
            return self._decide(asks, now, memo)
        except KeyError:  # which costs nothing as long as all rules are known
            return self._decide(self._known(asks), now)

    def _decide(self, asks: tuple[Ask, ...], now: float, memo: Memo | None = None) -> Taken | Lacking:
        """Take everything, or nothing and say which of the asks were refused.

        Raises:
            KeyError: about a rule that is not known, before anything is taken.
        """
        if self._shadows:
            return self._decide_beside_shadows(self._clamped(asks), now)
        limiters = self._looked_up(asks, now, memo)
        if limiters.weighed and limiters.exceeded(asks):
            asks = self._clamped(asks)
        if limiters.take(asks, now):
            return Taken(next(self._numbers), asks, (), 0.0, now, limiters)
        return limiters.lacking(asks, now)

    def _decide_beside_shadows(self, asks: tuple[Ask, ...], now: float) -> Taken | Lacking:
        """As `_decide`, where rules are in shadow mode: of each of them is taken by itself, once the others admit."""
        counters = self._counters
        taken = tuple([ask for ask in asks if not counters[ask.rule].shadow])
        limiters = self._limiters(taken, now)
        if not limiters.take(taken, now):
            return limiters.lacking(taken, now)
        each, over = limiters.each, []
        for ask in asks:
            if counters[ask.rule].shadow:
                alone = self._limiters((ask,), now)
                if alone.take((ask,), now):
                    taken += (ask,)
                    each += alone.each
                else:
                    over.append(ask.rule)
        return Taken(next(self._numbers), taken, tuple(over), 0.0, now, Limiters(each))

    def _looked_up(self, asks: tuple[Ask, ...], now: float, memo: Memo | None) -> Limiters:
        """The limiters for these asks, which are remembered until one of them may be another."""
        if memo is not None and memo.epoch is self._epoch:
            known: Limiters = memo.looked_up
            return known
        epoch = self._epoch
        limiters = self._limiters(asks, now)
        if memo is not None:
            memo.looked_up, memo.epoch = limiters, epoch
        return limiters

    def _limiters(self, asks: tuple[Ask, ...], now: float) -> Limiters:
        counters = self._counters
        return Limiters([counters[ask.rule].limiters.get(ask.key, now) for ask in asks])

    def _known(self, asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
        """Those about rules that there are."""
        return tuple(ask for ask in asks if ask.rule in self._counters)

    def _clamped(self, asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
        """These, with no cost above what its rule can ever admit."""
        counters = self._counters
        return tuple(
            [ask if ask.cost <= (most := counters[ask.rule].most) else Ask(ask.rule, ask.key, most) for ask in asks]
        )

    def _refusal(self, lacking: Lacking, now: float, waited: float = 0.0) -> Refusal:
        return lacking.refusal(now, waited, queue=self._all_queue(lacking))

    def _queue(self, lacking: Lacking, now: float) -> Queue | None:
        """Where one waits who lacks these: in the queue for the first, if there is one for each."""
        ask, first = lacking.short[0]
        if not isinstance(first, ConcurrencyLimiter) or not self._all_queue(lacking):
            return None
        return self._queues.open(first, ask.rule, self._counters[ask.rule].rule, now)

    def _all_queue(self, lacking: Lacking) -> bool:
        """Whether there is a queue for each of these."""
        if not self._queueing:
            return False
        for ask, _ in lacking.short:  # a generator would take twice the time
            counter = self._counters[ask.rule]
            if not isinstance(counter, Permits) or not counter.queued:
                return False
        return True

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
        decided = self._decide_known(waiter.asks, now, waiter.memo)
        if not isinstance(decided, Lacking):
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

    def _gone(self, waiter: Waiter, answer: asyncio.Future[Held | Refusal]) -> None:
        """Free the place of one that was cancelled, or what it was granted and will not use."""
        if waiter.queue is not None:
            waiter.queue.leave(waiter)
        elif not answer.cancelled() and isinstance(held := answer.result(), Held):
            self.settle(held, (0.0,) * len(held.asks), Outcome.IGNORED)
