"""An engine over counts in memory and a clock that stands still, for the tests of what it decides."""

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

from aibridge.domain.actor import Actor
from aibridge.domain.errors import Refused
from aibridge.domain.price import Price
from aibridge.domain.rule import Rule, Unit
from aibridge.domain.usage import Usage
from aibridge.limits.counts import Ask, Held, Memo, Place, Refusal
from aibridge.limits.engine import Admission, Caller, Limits, Size
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome

T = TypeVar("T")

ADA = Actor(id="u1", username="ada", token_id="tokenA", organization_id="research")
BOB = Actor(id="u2", username="bob", token_id="tokenB", organization_id="research")
SIZE = Size(model="m", body_bytes=40, max_output_tokens=90)
"""A call of ten tokens in and at most ninety out."""


def driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing; a loop for each would take most of the tests' time."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: T = end.value
            return result


def rule(name: str, unit: Unit = Unit.REQUESTS, amount: int = 1, window: float = 10.0, **fields: Any) -> Rule:
    return Rule(name=name, unit=unit, amount=amount, window=0.0 if unit is Unit.CONCURRENT else window, **fields)


def caller(actor: Actor | None = ADA, address: str = "192.0.2.1", provider: str = "openai", **fields: Any) -> Caller:
    return Caller(actor=actor, address=address, provider=provider, **fields)


class Counting:
    """A `Memory` that remembers what it was asked."""

    def __init__(self, world: "World") -> None:
        self._memory = Memory(world.rules, lambda: world.now)
        self.asked: list[tuple[Ask, ...]] = []
        self.places: list[Place | None] = []
        self.looks: list[tuple[Ask, ...]] = []

    def at_once(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Held | Refusal:
        self.asked.append(asks)
        self.places.append(None)
        return self._memory.at_once(asks, memo)

    def refused(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Refusal | None:
        self.looks.append(asks)
        return self._memory.refused(asks, memo)

    async def take(self, asks: tuple[Ask, ...], place: Place | None = None, memo: Memo | None = None) -> Held | Refusal:
        self.asked.append(asks)
        self.places.append(place)
        return await self._memory.take(asks, place, memo)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


class World:
    """An engine and all it stands on. `now` is the time, `counts` tells what was asked."""

    def __init__(self, rules: Sequence[Rule], prices: Sequence[Price] = ()) -> None:
        self.now = 1000.0
        self.rules = tuple(rules)
        self.counts = Counting(self)
        self.limits = Limits(
            self.rules, cast("Memory", self.counts), prices, clock=lambda: self.now, wall_clock=lambda: self.now
        )

    def admit(self, who: Caller | None = None, size: Size | None = None) -> Admission:
        """Admit a call, or raise its refusal."""
        return driven(self.limits.admit(who or caller(), size))

    def refusal(self, who: Caller | None = None, size: Size | None = None) -> Refused:
        """The refusal of a call that must not be admitted."""
        try:
            self.admit(who, size)
        except Refused as error:
            return error
        raise AssertionError("it was admitted")

    def admits(self, who: Caller | None = None, size: Size | None = None) -> bool:
        """Whether a call is admitted; then it goes on."""
        try:
            self.admit(who, size)
        except Refused:
            return False
        return True

    def close(self, admission: Admission, usage: Usage | None = None, *, counted: bool = True) -> None:
        self.limits.close(admission, usage, Outcome.SUCCESS, counted=counted)

    def check(self, who: Caller | None = None) -> Refused | None:
        return self.limits.check(who or caller(), self.now)

    def check_again(self, who: Caller, size: Size | None = None) -> Refused | None:
        """The second look, where the first one says that it is worth its while."""
        assert self.check(who) is None
        return None if who.told is None else self.limits.check_again(who, size, self.now)

    def used(self) -> dict[tuple[str, str], float]:
        """The present use of each rule by each subject."""
        present = driven(self.counts.present(100))
        return {(self.rules[one.rule].name, one.key): one.used for one in present}

    def decided(self, name: str) -> dict[str, int]:
        """How often a rule decided which way; what never came is left out."""
        return {
            outcome: number
            for (decider, _, outcome), number in self.limits.decisions.items()
            if decider == name and number
        }
