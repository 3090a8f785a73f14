"""Counts shared by replicas through Redis or Valkey.

Every decision is one script over all rules of a call, in one round trip and by the server's clock alone. What is held
is held by leases that this replica renews, so what a dead one held comes back when they end. When the server does not
answer, each replica decides by its share of the limits, and nobody waits for a server that is away.

A cluster of servers that share keys among them is not supported: one primary, whichever it is, behind one address.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby, islice
from time import monotonic

from aibridge.domain.rule import Rule, Subject
from aibridge.limits.counts import Ask, Count, Held, Memo, Place, Present, Refusal
from aibridge.limits.fallback import Kept, Share
from aibridge.limits.known_full import KnownFull
from aibridge.limits.probes import Trips
from aibridge.limits.redis_exchange import Exchange
from aibridge.limits.redis_holds import Holds
from aibridge.limits.redis_lines import Anew, Lines, No, exhausted
from aibridge.limits.redis_script import MICROSECONDS, Decision, Word, Words, settled
from aibridge.limits.redis_server import Server
from aibridge.overload.outcome import Outcome, Rejection

LEASE = 12.0
"""Seconds after which what a replica held is free again, if it says nothing: it renews every third of it."""

MOST_LOOKED_AT = 1_000
"""How many counts of certain subjects `present` knows of: those taken from last, by this replica."""


@dataclass(slots=True)
class _Call:
    """What is known of a call in progress: what was told to the server and when, and what the share counts of it."""

    words: tuple[Word, ...]
    at: float
    """When it was counted, by the server's clock; 0.0 where it was not asked."""
    since: float
    kept: Kept


class Redis:
    """A `Counts` of these rules, shared with every replica that uses the same server and prefix.

    Made by `connect`. Each replica says what it compares with, so that one that has other rules, or learns of a change
    later, is in nobody's way. A rule that changes its amount keeps its counts; one with another name, unit or
    algorithm begins anew.
    """

    def __init__(  # noqa: PLR0913 - by keyword, and only `connect` calls it
        self,
        server: Server,
        rules: Sequence[Rule],
        *,
        replicas_hint: int,
        clock: Callable[[], float],
        prefix: str,
        lease: float,
    ) -> None:
        self._trips = Trips(clock)
        self._probes: dict[int, Word] = {}
        self._rules: Mapping[int, Rule] = dict(enumerate(rules))
        self._clock = clock
        self._prefix = prefix
        self._words = Words(self._rules, prefix)
        self._replica = secrets.token_hex(8)
        self._numbers = count(1)
        self._closing = False
        self._calls: dict[int, _Call] = {}
        self._known_full: KnownFull[No] = KnownFull(clock)
        self._looked_at: OrderedDict[Count, None] = OrderedDict()
        self._holds = Holds(rules)
        self._share = Share(rules, clock, replicas_hint)
        self._lines = Lines(rules, clock, attempt=self._attempt, give_back=self._give_back, refuse=self._refusal)
        self._exchange = Exchange(
            server,
            prefix=self._words.prefix,
            replica=self._replica,
            lease=lease,
            replicas=replicas_hint,
            told=self._trips.tell,
            counted=self._share.resize,
        )

    @classmethod
    async def connect(  # noqa: PLR0913 - by keyword, and all but two have defaults
        cls,
        url: str,
        rules: Sequence[Rule],
        *,
        replicas_hint: int = 1,
        clock: Callable[[], float] = monotonic,
        prefix: str = "aibridge",
        lease: float = LEASE,
    ) -> "Redis":
        """Counts over the server at `url` (redis://, rediss://, valkey://, valkeys://, unix://).

        A server that does not answer is no error: counts are shared as soon as it does. Until it has told how many
        replicas there are, `replicas_hint` is believed. What is in the server has keys that begin with `{prefix}:`.

        Raises:
            ValueError: the URL is none of these.
            ImportError: the client library is not installed.
        """
        try:
            from aibridge.limits.redis_link import Link  # noqa: PLC0415 - only who asks for it needs the library
        except ImportError as missing:
            raise ImportError(
                "limits over Redis or Valkey need its client: pip install 'aibridge[valkey]'"
            ) from missing
        counts = cls(Link(url), rules, replicas_hint=replicas_hint, clock=clock, prefix=prefix, lease=lease)
        await counts._exchange.answered.wait()
        return counts

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """Call `hear` for breakers that open elsewhere; see `SharedBreakers`."""
        self._trips.listen(hear)

    def at_once(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> None:
        """Never; see `Counts`."""

    async def take(
        self,
        asks: tuple[Ask, ...],
        place: Place | None = None,
        memo: Memo | None = None,  # noqa: ARG002
    ) -> Held | Refusal:
        """Take all or nothing; see `Counts`."""
        answer = await self._together(asks, place)
        return await self._alone(asks, place) if answer is None else answer

    def settle(self, held: Held, costs: tuple[float, ...] | None, outcome: Outcome) -> None:
        """Give back and correct, here now and at the server soon; see `Counts`."""
        call = self._calls.pop(held.number, None)
        if call is None:
            return
        if costs is None:
            costs = held.costs
        self._exchange.release(held.number, settled(call.words, costs, call.at))
        self._share.settle(call.kept, dict(zip((ask.rule for ask in held.asks), costs, strict=True)), outcome)
        for ask, word in zip(held.asks, call.words, strict=True):
            if word.held:
                self._holds.ended(ask.rule, self._clock() - call.since, outcome)
                self._known_full.given_back((ask.rule, ask.key))
                self._lines.stir((ask.rule, ask.key))

    def full(self, rule: int, key: str) -> Refusal | None:
        """Whether a moment ago a held rule without a queue had nothing left; see `Counts`."""
        if self._exchange.away:
            return self._share.full(rule, key)
        known = self._known_full.get((rule, key))
        return None if known is None else self._refusal(known)

    def refused(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Refusal | None:  # noqa: ARG002 (see `full`)
        """Whether a moment ago one of these was full; see `Counts`."""
        if self._exchange.away:
            return self._share.refused(asks)
        known = self._known_full.of(asks)
        return None if known is None else self._refusal(known)

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Count for these rules from now on; see `Counts`."""
        self._rules = rules
        self._words = Words(rules, self._prefix)
        self._known_full.clear()
        self._holds.replace(rules)
        self._share.replace(rules)
        self._lines.replace(rules)

    async def present(self, most: int) -> list[Present]:
        """The present use, over all replicas: by all together, and by whom this replica let in last; see `Counts`."""
        together = {(number, ""): None for number, rule in self._rules.items() if rule.subject is Subject.EVERYONE}
        counts = [count for count in {**self._looked_at, **together} if count[0] in self._rules]
        used = await self._exchange.read([self._words.read(*count) for count in counts])
        if used is None:
            return await self._share.present(most)
        found = [Present(rule, key, use) for (rule, key), use in zip(counts, used, strict=True) if use > 0.0]
        found.sort(key=lambda present: (present.rule, -present.used))
        return [one for _, rule in groupby(found, lambda present: present.rule) for one in islice(rule, most)]

    def tripped(self, breaker: str, seconds: float) -> None:
        """Tell the other replicas; see `SharedBreakers`. They learn it with their next decision, or sign of life."""
        self._exchange.trip(breaker, seconds)

    async def probe(self, breaker: str, most: int, lease: float) -> int | Rejection | None:
        """Take a place of those that all replicas share; see `SharedBreakers`."""
        number = next(self._numbers)
        word = self._words.probe(breaker, most, lease, f"{self._replica}:{number}")
        decision = await self._exchange.decide((word,))
        if decision is None:
            return None
        if decision.refused:
            ((_, _, wait),) = decision.refused
            return Rejection(breaker, most, 0.0, wait / MICROSECONDS)
        self._probes[number] = word
        return number

    def probed(self, number: int, *, succeeded: bool) -> None:
        """Give a place back, at the server soon; see `SharedBreakers`."""
        word = self._probes.pop(number)
        self._exchange.release(number, settled((word,), (float(succeeded),), 0.0))

    @property
    def healthy(self) -> bool:
        """Whether the server answers."""
        return not self._exchange.away

    @property
    def waiting(self) -> int:
        """How many calls wait in this replica."""
        return len(self._lines)

    async def close(self) -> None:
        """Give back everything and end. Who still asks is answered by the share, without a wait."""
        self._closing = True
        await self._lines.close()
        await self._share.close()
        await self._exchange.close()
        self._calls.clear()

    async def _together(self, asks: tuple[Ask, ...], place: Place | None) -> Held | Refusal | None:
        """Decide by the shared counts, and wait where that helps; None if the server is away."""
        if place is None:
            said = await self._attempt(asks)
            return self._refusal(said) if isinstance(said, No) else said
        since = self._clock()
        answer = await self._in_turn(asks, place, since)
        while isinstance(answer, Anew):
            answer = await self._in_turn(asks, place, since)
        return answer

    async def _in_turn(self, asks: tuple[Ask, ...], place: Place, since: float) -> Held | Refusal | Anew | None:
        """Decide at once, unless somebody waits already; else wait, as one that came at `since`."""
        full = self._lines.busy(asks)
        if full is None:
            said = await self._attempt(asks)
            if isinstance(said, Held):
                self._lines.pass_by(asks, place)
            if not isinstance(said, No):
                return said
            if said.full is None:
                return self._refusal(said)
            full = said.full
        return await self._lines.wait(full, asks, place, since)

    async def _attempt(self, asks: tuple[Ask, ...]) -> Held | No | None:
        """What the server says of a call; None if it is away.

        A refusal by rules that have changed meanwhile is none: then it is asked again, by those of now.
        """
        while True:
            rules = self._words
            number = next(self._numbers)
            lease = f"{self._replica}:{number}"
            try:
                words = rules.asks(asks, lease)
            except KeyError:  # which costs nothing as long as all rules are known
                asks = rules.known(asks)
                words = rules.asks(asks, lease)
            decision = await self._exchange.decide(words)
            if decision is None:
                return None
            if not decision.refused:
                break
            if rules is self._words:
                return self._no(asks, decision)
        counted = decision.counted(tuple(map(rules.clamped, asks)))
        held = Held(number, counted, tuple(asks[place].rule for place in decision.shadows))
        self._hold(held, decision.counted(words), decision.at, self._share.keep(counted))
        return held

    async def _alone(self, asks: tuple[Ask, ...], place: Place | None) -> Held | Refusal:
        """Decide by this replica's share. The server shall count it when it is back."""
        taken = await self._share.take(asks, None if self._closing else place)
        if isinstance(taken, Refusal):
            return taken
        held, kept = taken
        number = next(self._numbers)
        counted = self._words.known(held.asks)
        words = self._words.asks(counted, f"{self._replica}:{number}")
        self._exchange.charge(words)
        held = Held(number, counted, held.shadows, held.waited)
        self._hold(held, words, 0.0, kept)
        return held

    def _hold(self, held: Held, words: tuple[Word, ...], at: float, kept: Kept) -> None:
        self._calls[held.number] = _Call(words, at, self._clock(), kept)
        self._exchange.outbox.hold(held.number, words)
        for ask in held.asks:
            count = (ask.rule, ask.key)
            self._looked_at[count] = None
            self._looked_at.move_to_end(count)
        while len(self._looked_at) > MOST_LOOKED_AT:
            self._looked_at.popitem(last=False)

    def _no(self, asks: tuple[Ask, ...], decision: Decision) -> No:
        refused = [(asks[place], used, wait) for place, used, wait in decision.refused]
        first, used, _ = refused[0]
        held = tuple((ask.rule, ask.key) for ask, _, _ in refused if self._rules[ask.rule].held)
        if held and held[0] == (first.rule, first.key):  # else what is spent said no before, and would again
            for full in held:
                if not self._rules[full[0]].queues:
                    self._known_full.found(full, exhausted(self._rules, full))
        may_wait = len(held) == len(refused) and all(self._rules[rule].queues for rule, _ in held)
        wait = max(wait for _, _, wait in refused) / MICROSECONDS
        return No(first.rule, first.key, used, wait, held, held[0] if may_wait else None)

    def _refusal(self, no: No) -> Refusal:
        """What a caller hears. To say when something may come free is a promise, so it is made only now."""
        if not no.held:
            return Refusal(no.rule, no.key, no.used, no.wait)
        now, replicas = self._clock(), self._exchange.replicas
        wait = max(no.wait, *[self._holds.wait(rule, key, replicas, now) for rule, key in no.held])
        only = len(no.held) == 1 and not no.wait and not self._rules[no.rule].queues
        step = self._holds.step(no.rule, replicas) if only else None
        return Refusal(no.rule, no.key, no.used, wait, step=step)

    def _give_back(self, held: Held) -> None:
        self.settle(held, (0.0,) * len(held.asks), Outcome.IGNORED)
