"""What every place that counts can do. The data plane knows no more of them than this."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, final

import msgspec

from aibridge.domain.rule import Rule
from aibridge.overload.outcome import Outcome, Rejection


class Ask(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One count that a call wants to add to: `cost` of the rule of number `rule`, for the subject `key`.

    1.0 for what is counted by the call; an estimate for what is weighed.
    """

    rule: int
    key: str
    cost: float = 1.0


Count = tuple[int, str]
"""What is counted: a rule's number and the key of a subject."""


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a call waits where it may wait: fairly between `group`s (organizations), then between `flow`s (actors).

    `weight` is what it adds to its flow's recent use when it goes; `batch` calls go when no other waits.
    """

    flow: str
    group: str = ""
    weight: float = 1.0
    batch: bool = False


class Memo(msgspec.Struct, gc=False):
    """Where a place that counts may keep what it has looked up for asks about certain rules and subjects.

    It is the place's own; nobody else looks into it. It comes with asks about the same ones only, whatever they cost.
    """

    looked_up: Any = None
    epoch: object = None
    """By which the place knows whether that is still good."""


@final
class Refusal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """No, for now: the first rule that said so, and when all of them will say yes.

    `used` is what of the rule's amount is taken; `retry_after` is in seconds and exact for what is spent, an estimate
    for what is held. `waited` is how long the call stood in a queue before it was refused, in seconds. Where all that
    is lacking is a place under one rule, without a queue, `step` is how many seconds later each one more that finds
    none is told to come.
    """

    rule: int
    key: str
    used: float
    retry_after: float
    waited: float = 0.0
    step: float | None = None


class Held(msgspec.Struct, array_like=True):
    """What a call took, until `settle`. `number` is its name at the place that counts, unique while held.

    `asks` are those that were counted: the very tuple that was asked with, where it was counted as it is. `shadows` are
    the rules in shadow mode that would have refused; nothing was taken of those.
    """

    number: int
    asks: tuple[Ask, ...]
    shadows: tuple[int, ...] = ()
    waited: float = 0.0

    @property
    def costs(self) -> tuple[float, ...]:
        """What was asked for of each."""
        return tuple([ask.cost for ask in self.asks])


class Present(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of a rule one subject uses now, in the rule's unit."""

    rule: int
    key: str
    used: float


class SharedBreakers(Protocol):
    """Where breakers of one name in several processes share their state. For one event loop."""

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """Call `hear` when a breaker opens elsewhere, with its name and the seconds left; 0.0 where it closed.

        Also for what was so before. It takes the place of who listened until now, and may hear what it told itself.
        """
        ...

    def tripped(self, breaker: str, seconds: float) -> None:
        """Tell the others that a breaker opened, and for how long it stays open. Never waits.

        0.0 where it was reset, or closed by probes of which nobody else knows.
        """
        ...

    async def probe(self, breaker: str, most: int, lease: float) -> int | Rejection | None:
        """Take one of the `most` places of a half-open breaker, and return its number.

        A place is free again after `lease` seconds, or when the process that took it is gone. None where there is
        nobody to share with, or nobody can be asked now. Cancelled, it has taken nothing. Never raises otherwise.
        """
        ...

    def probed(self, number: int, *, succeeded: bool) -> None:
        """Give a place back, once. Never waits.

        As many successes as there are places, in whichever processes, close the breaker in all of them, if it has not
        changed its state since the places were taken. What opens it is told by `tripped`, before this.
        """
        ...


class Counts(SharedBreakers, Protocol):
    """A place that counts, for rules known by their numbers. For one event loop.

    The rules it is made with have the numbers from 0 on, in their order; `limits.numbers` gives those of others.
    """

    def at_once(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Held | Refusal | None:
        """As `take`, of a call that would not wait, where nobody has to be asked for it; None where somebody has."""
        ...

    async def take(self, asks: tuple[Ask, ...], place: Place | None = None, memo: Memo | None = None) -> Held | Refusal:
        """Take all that is asked for, or nothing.

        Rules in shadow mode never refuse. A call that only lacks what is held waits where the rule has a queue and
        `place` is given. Cancelled while it waits, it holds nothing. Never raises otherwise: a place that cannot be
        reached decides by what it knows.
        """
        ...

    def settle(self, held: Held, costs: tuple[float, ...] | None, outcome: Outcome) -> None:
        """Give back what is held and correct what was weighed. Never waits, never raises; once for each `held`.

        `costs` are the true costs, one for each of `held.asks`: 1.0 for a call that counts as one, 0.0 for one that
        turned out not to count; None where they are what was asked for. `outcome` tells whether the call taught how
        long one is held.
        """
        ...

    def full(self, rule: int, key: str) -> Refusal | None:
        """What is known, without asking anybody, of a rule over what is held: that it has nothing left and no queue."""
        ...

    def refused(self, asks: tuple[Ask, ...], memo: Memo | None = None) -> Refusal | None:
        """What is known, without asking anybody, of a call: that `take` would refuse it now. Takes nothing.

        A place that has to ask others knows only of rules over what is held, and how it was a moment ago.
        """
        ...

    def replace(self, rules: Mapping[int, Rule]) -> None:
        """Count for these rules from now on. Never waits, never raises, and no call in progress fails for it.

        What a number has counted goes on to count for the rule that has it now: what is held stays so. Who waits for a
        rule that is gone, or has another queue, is decided anew; what they hold of one that is gone comes back
        to where it was taken. An ask about a rule that is not known is as good as none.
        """
        ...

    async def present(self, most: int) -> list[Present]:
        """The present use of each rule: of each, the `most` subjects that use it most."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether counts are shared as they should be: false while a place that cannot be reached is stood in for."""
        ...

    async def close(self) -> None:
        """Give back everything and end."""
        ...
