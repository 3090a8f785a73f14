"""Who was refused lately: told again without asking anybody, where that is certain, and else worth a look.

Certain is that until an instant no call of this caller can be admitted, whatever it asks for, or none that asks for the
same. A credit that might change that makes it forgotten, where it is given here; where it is
given elsewhere, time does.
"""

from collections.abc import Sequence
from math import inf

from aibridge.domain.errors import Refused
from aibridge.limits.counts import Ask, Count

BELIEVED = 1.0
"""Seconds for which a refusal is repeated at most before it is asked for again: what other workers and other servers
give back, only the place that counts hears of. And for which it is worth a look whether there would be another."""

MOST = 10_000
"""Callers remembered; beyond, all are forgotten. Each then costs one question more."""

Who = tuple[str, str, str, bool]
"""A caller, as far as rules can tell it from others: provider, token, address, whether it passes through."""


class Told:
    """What a caller was told by the rule of number `rule`.

    It is told again until `until`; `due` is when the refused call would be admitted. `asks` are what the call asked
    for, where those that ask for something else are not told the same, and `counts` are what it depends on. Until
    `lately` a look at the counts is worth its while: somebody who was refused comes again.
    """

    __slots__ = ("_due", "_error", "asks", "counts", "lately", "rule", "until")

    def __init__(  # noqa: PLR0913 (all of it)
        self,
        rule: int,
        lately: float,
        error: Refused | None = None,
        *,
        until: float = -inf,
        due: float = -inf,
        asks: tuple[Ask, ...] | None = None,
        counts: Sequence[Count] = (),
    ) -> None:
        self._error = None if error is None else error.lasting()
        self._due = due
        self.rule = rule
        self.lately = lately
        self.until = until
        self.asks = asks
        self.counts = counts

    @property
    def uncertain(self) -> bool:
        """Whether it cannot be told again."""
        return self._error is None

    def again(self, now: float) -> Refused:
        """The same with what is left of the wait. To be answered before anybody is told the next time.

        RuntimeError where nothing was certain.
        """
        if self._error is None:
            raise RuntimeError("what is not certain is told again")
        return self._error.again(self._due - now)


class Refusals(dict[Who, Told]):
    """The refusals that may still hold, by who was refused: of each the last."""

    __slots__ = ("_by_count",)

    def __init__(self) -> None:
        super().__init__()
        self._by_count: dict[Count, set[Who]] = {}

    def remember(self, caller: Who, told: Told) -> None:
        """Remember what a caller was told."""
        self._drop(caller)
        if len(self) >= MOST:
            self.clear()
            self._by_count.clear()
        self[caller] = told
        for count in told.counts:
            self._by_count.setdefault(count, set()).add(caller)

    def forget(self, count: Count) -> None:
        """Forget all that depended on a count."""
        for caller in [*self._by_count.get(count, ())]:
            self._drop(caller)

    def _drop(self, caller: Who) -> None:
        told = self.pop(caller, None)
        if told is not None:
            for count in told.counts:
                callers = self._by_count[count]
                callers.remove(caller)
                if not callers:
                    del self._by_count[count]
