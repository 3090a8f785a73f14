"""Recorded calls against other rules, on a virtual clock: what the gateway would have answered, and when.

The engine and the counts are those of the gateway; only their clock and their event loop are played. So a rule cannot
mean one thing here and another there.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache, partial
from types import TracebackType
from typing import Self

import msgspec

from aibridge.domain.actor import Actor
from aibridge.domain.errors import AtCapacity, BudgetSpent, Refused
from aibridge.domain.price import Price
from aibridge.domain.rule import Rule
from aibridge.domain.usage import Usage
from aibridge.limits.arrivals import Arrival
from aibridge.limits.counts import Ask, Held, Refusal
from aibridge.limits.engine import Admission, Caller, Limits, Size
from aibridge.limits.estimate import BYTES_PER_TOKEN
from aibridge.limits.matching import REMEMBERED
from aibridge.limits.memory import Memory
from aibridge.limits.queues import Waiter
from aibridge.limits.scope import place_of
from aibridge.limits.terms import Terms
from aibridge.limits.virtual import VirtualLoop
from aibridge.overload.outcome import Outcome
from aibridge.overload.retry import hint


class Answer(StrEnum):
    """What a call was told."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    """And it does not come back."""
    LATER = "later"
    """It was refused, and comes back when it was told to."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a call was told at an instant (in the seconds of its arrival), after it had `waited` seconds in a queue.

    An admitted one was counted for `asks`, and would have been refused by the `shadows`, places of rules in shadow
    mode. A refused one was refused by the rule at place `rule`, and told to come back `retry_after` seconds later.
    """

    at: float
    arrival: Arrival
    answer: Answer
    waited: float
    asks: tuple[Ask, ...] = ()
    shadows: tuple[int, ...] = ()
    rule: int | None = None
    retry_after: float = 0.0


class _Try(msgspec.Struct, frozen=True, gc=False):
    """A call that asks to be admitted: since when, and for the how many-th time after the first."""

    arrival: Arrival
    caller: Caller
    size: Size | None
    since: float
    repeats: int = 0


class _Promise:
    """To a call that waits: it is told the answer in its turn, since whoever gives it may not be done with that yet."""

    __slots__ = ("_conclude", "_loop")

    def __init__(self, loop: VirtualLoop, conclude: Callable[[Held | Refusal], None]) -> None:
        self._loop = loop
        self._conclude = conclude

    def done(self) -> bool:
        """Never: nobody hangs up."""
        return False

    def set_result(self, answer: Held | Refusal) -> None:
        self._loop.soon(self._conclude, answer)


class Replay:
    """The gateway's limits with a clock that is told what time it is. To be used as a context.

    `rules` must tell no addresses apart, which no arrival has. Clients come back up to `retries` times, as the SDKs of
    the vendors do (2 by default): when they were told to, spread by `luck`, which is uniform in [0, 1). They do not
    where that would be pointless.
    """

    def __init__(
        self, rules: Sequence[Rule], prices: Sequence[Price], *, retries: int = 0, luck: Callable[[], float]
    ) -> None:
        self._loop = VirtualLoop()
        clock = self._loop.time
        self._memory = Memory(rules, clock)
        self._limits = Limits(rules, self._memory, prices, clock=clock, explains=False)
        self._places = {rule.name: place for place, rule in enumerate(rules)}
        self._retries = retries
        self._luck = luck
        self._decisions: list[Decision] = []

    def __enter__(self) -> Self:
        self._loop.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.leave()

    def arrive(self, arrival: Arrival) -> list[Decision]:
        """Let a call come in; what was decided since the one before, this instant included.

        One that is said to come earlier than the one before comes with it.
        """
        self._loop.advance(arrival.at)
        size = None
        if self._limits.needs_body:
            size = Size(model=arrival.model, body_bytes=arrival.input_tokens * BYTES_PER_TOKEN)
        caller = _caller(arrival.actor, arrival.organization, arrival.token, arrival.provider, arrival.model)
        self._ask(_Try(arrival, caller, size, self._loop.time()))
        self._loop.settle()
        return self._decided()

    def finish(self) -> list[Decision]:
        """Let end what is under way; what was decided meanwhile."""
        self._loop.finish()
        return self._decided()

    def _decided(self) -> list[Decision]:
        decisions, self._decisions = self._decisions, []
        return decisions

    def _ask(self, asking: _Try) -> None:
        """Do what `admit` of the engine does, but for the coroutines, which would cost an eighth of all."""
        caller, size = asking.caller, asking.size
        refusal = self._limits.check(caller, asking.since)
        if refusal is not None:
            self._refuse(asking, refusal)
            return
        terms, asks = self._limits.wanted(caller, size)
        if not asks:
            self._admit(asking, Admission(None))
            return
        conclude = partial(self._conclude, asking, terms, asks)
        if terms.queues:
            promise = partial(_Promise, self._loop, conclude)
            answer = self._memory.ask(asks, place_of(caller, size), terms.memo, promise)
            if isinstance(answer, Waiter):
                return
        else:
            answer = self._memory.at_once(asks, terms.memo)
        conclude(answer)

    def _conclude(self, asking: _Try, terms: Terms, asks: tuple[Ask, ...], answer: Held | Refusal) -> None:
        try:
            admission = self._limits.concluded(answer, asking.caller, asking.size, terms, asks)
        except Refused as refusal:
            self._refuse(asking, refusal)
        else:
            self._admit(asking, admission)

    def _admit(self, asking: _Try, admission: Admission) -> None:
        arrival, now = asking.arrival, self._loop.time()
        held = admission.held
        if held is not None:
            self._loop.play(now + arrival.duration, self._end, admission, arrival)
        self._decisions.append(
            Decision(
                at=now,
                arrival=arrival,
                answer=Answer.ADMITTED,
                waited=now - asking.since,
                asks=() if held is None else held.asks,
                shadows=() if held is None else held.shadows,
            )
        )

    def _end(self, admission: Admission, arrival: Arrival) -> None:
        self._limits.close(admission, usage_of(arrival), Outcome.SUCCESS)

    def _refuse(self, asking: _Try, refusal: Refused) -> None:
        if refusal.rejection is None:
            raise RuntimeError("a limit refuses without a rejection") from refusal
        now = self._loop.time()
        comes_back = asking.repeats < self._retries and not isinstance(refusal, BudgetSpent)
        if comes_back:
            told = hint(refusal.rejection.retry_after, self._luck())
            # Milliseconds are told where the wait is known, and not where it is an estimate.
            wait = told.seconds if isinstance(refusal, AtCapacity) else told.milliseconds / 1000
            self._loop.play(now + wait, self._come_back, asking)
        self._decisions.append(
            Decision(
                at=now,
                arrival=asking.arrival,
                answer=Answer.LATER if comes_back else Answer.REFUSED,
                waited=now - asking.since,
                rule=self._places[refusal.rejection.limit],
                retry_after=refusal.rejection.retry_after,
            )
        )

    def _come_back(self, asking: _Try) -> None:
        self._ask(msgspec.structs.replace(asking, since=self._loop.time(), repeats=asking.repeats + 1))


def usage_of(arrival: Arrival) -> Usage:
    """What a call used, as the engine wants it: what went in apart from the prompt cache, and what did not."""
    cached = arrival.cache_read_input_tokens + arrival.cache_write_input_tokens
    return Usage(
        input_tokens=max(0, arrival.input_tokens - cached),
        output_tokens=arrival.output_tokens,
        cache_read_input_tokens=arrival.cache_read_input_tokens,
        cache_write_input_tokens=arrival.cache_write_input_tokens,
    )


@lru_cache(REMEMBERED)
def _caller(actor: str, organization: str, token: str, provider: str, _model: str) -> Caller:
    """Who calls, one for each model: then its terms are worked out once.

    Where the record has no token, all calls of an actor are those of one.
    """
    known = Actor(id=actor, username=actor, token_id=token or actor)
    if organization:
        known = msgspec.structs.replace(known, organization_id=organization)
    return Caller(actor=known, address="", provider=provider)
