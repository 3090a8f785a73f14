"""On which terms a caller is admitted: the rules that its calls fall under, and what one of them asks of each.

They depend on the caller and the model alone, and on a size only what is weighed: worked out once, they are good for
all calls of a connection, until other rules are in force.
"""

from collections.abc import Iterable, Mapping

from aibridge.limits.counts import Ask, Memo
from aibridge.limits.estimate import Measure, Size
from aibridge.limits.line import Line
from aibridge.limits.scope import Caller


class Terms:
    """What calls of one caller to one model ask, by the rules `in_force`; without a model, what needs no body.

    `lines` and `asks` go together; `weighed` are the places in them of those that ask for as much as a call weighs,
    and their measures. `queues` tells whether a call may wait.
    """

    __slots__ = ("asks", "in_force", "lines", "memo", "model", "queues", "weighed")

    def __init__(  # noqa: PLR0913 (all of them)
        self,
        *,
        in_force: Mapping[int, Line],
        model: str | None,
        lines: tuple[Line, ...],
        asks: tuple[Ask, ...],
        weighed: tuple[tuple[int, Measure], ...],
        queues: bool,
    ) -> None:
        self.in_force = in_force
        self.model = model
        self.lines = lines
        self.asks = asks
        self.weighed = weighed
        self.queues = queues
        self.memo = Memo()

    def asked(self, size: Size) -> tuple[Ask, ...]:
        """What a call of this size asks."""
        asks = [*self.asks]
        for place, measure in self.weighed:
            ask = asks[place]
            asks[place] = Ask(ask.rule, ask.key, measure.of_expected(size))
        return tuple(asks)


def terms_of(caller: Caller, model: str | None, lines: Iterable[Line], in_force: Mapping[int, Line]) -> Terms:
    """The terms for a caller, by the rules that its calls to a model fall under if they concern it."""
    concerned: list[Line] = []
    asks: list[Ask] = []
    queues = False
    for line in lines:
        key = line.key(caller)
        if key is not None:
            concerned.append(line)
            asks.append(Ask(line.index, key))
            queues = queues or line.queues
    return Terms(
        in_force=in_force,
        model=model,
        lines=tuple(concerned),
        asks=tuple(asks),
        weighed=weighed_of(concerned),
        queues=queues,
    )


def weighed_of(lines: Iterable[Line]) -> tuple[tuple[int, Measure], ...]:
    """The places of the rules that are not counted by the call, and what each of them measures."""
    return tuple([(place, line.measure) for place, line in enumerate(lines) if line.measure is not None])
