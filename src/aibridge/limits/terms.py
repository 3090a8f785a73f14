"""On which terms a caller is admitted: the rules that its calls fall under, and what one of them asks of each.

They depend on the caller and the model alone, and on a size only what is weighed: worked out once, they are good for
all calls of a connection, until other rules are in force.
"""

from collections.abc import Iterable, Mapping

from aibridge.limits.counts import Ask, Memo
from aibridge.limits.estimate import Measure, Size
from aibridge.limits.line import Line
from aibridge.limits.room import Room
from aibridge.limits.scope import Caller, name_of
from aibridge.overload.retry import Policy


class Terms:
    """What calls of one caller to one model ask, by the rules `in_force`; without a model, what needs no body.

    `lines` and `asks` go together; `weighed` are the places in them of those that ask for as much as a call weighs,
    and their measures. `queues` are those of the lines where a call may wait.
    """

    __slots__ = ("_least", "_needs_body", "_rooms", "asks", "in_force", "lines", "memo", "model", "queues", "weighed")

    def __init__(  # noqa: PLR0913 (all of them)
        self,
        *,
        in_force: Mapping[int, Line],
        model: str | None,
        lines: tuple[Line, ...],
        asks: tuple[Ask, ...],
        weighed: tuple[tuple[int, Measure], ...],
        queues: tuple[Line, ...],
    ) -> None:
        self.in_force = in_force
        self.model = model
        self.lines = lines
        self.asks = asks
        self.weighed = weighed
        self.queues = queues
        self.memo = Memo()
        self._needs_body = any(line.rule.needs_body for line in lines)
        self._least: Terms | None = None
        self._rooms: dict[int, Room] = {}

    @property
    def least(self) -> "Terms":
        """On which terms each of the caller's calls is, whatever its model and its size: by what needs no body."""
        if not self._needs_body:
            return self
        least = self._least
        if least is None:
            those = [(line, ask) for line, ask in zip(self.lines, self.asks, strict=True) if not line.rule.needs_body]
            least = _terms(None, [line for line, _ in those], [ask for _, ask in those], self.in_force)
            self._least = least
        return least

    def room(self, line: Line, caller: Caller) -> Room:
        """What one of the rules, over what is held, says when it is full."""
        room = self._rooms.get(line.index)
        if room is None:
            room = self._rooms[line.index] = Room(line.rule, name_of(line.rule, caller), policies_of(line, self.lines))
        return room

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
    for line in lines:
        key = line.key(caller)
        if key is not None:
            concerned.append(line)
            asks.append(Ask(line.index, key))
    return _terms(model, concerned, asks, in_force)


def _terms(model: str | None, lines: list[Line], asks: list[Ask], in_force: Mapping[int, Line]) -> Terms:
    return Terms(
        in_force=in_force,
        model=model,
        lines=tuple(lines),
        asks=tuple(asks),
        weighed=weighed_of(lines),
        queues=tuple([line for line in lines if line.queues]),
    )


def policies_of(first: Line, lines: Iterable[Line]) -> tuple[Policy, ...]:
    """What a refused call is told of the limits that it fell under, beginning with the one that said no."""
    return (first.policy, *[line.policy for line in lines if line.enforced and line is not first])


def weighed_of(lines: Iterable[Line]) -> tuple[tuple[int, Measure], ...]:
    """The places of the rules that are not counted by the call, and what each of them measures."""
    return tuple([(place, line.measure) for place, line in enumerate(lines) if line.measure is not None])
