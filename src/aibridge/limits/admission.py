"""What a call holds while it is in progress."""

from aibridge.domain.usage import Usage
from aibridge.limits.counts import Held
from aibridge.limits.estimate import Measure, Size
from aibridge.limits.line import Line


class Admission:
    """From `admit` to `close`; `held` is None where no rule applies.

    `lines` are the rules it was admitted by, one for each of the asks that are held: it is closed by these, whatever
    they have become. `size` is by what those at the places of `weighed` were; None where none was.
    """

    __slots__ = ("held", "lines", "size", "weighed")

    def __init__(
        self,
        held: Held | None,
        lines: tuple[Line, ...] = (),
        size: Size | None = None,
        weighed: tuple[tuple[int, Measure], ...] = (),
    ) -> None:
        self.held = held
        self.lines = lines
        self.size = size
        self.weighed = weighed

    def costs(self, usage: Usage, model: str) -> tuple[float, ...]:
        """What a call used of each rule that it is held by."""
        costs = [1.0] * len(self.lines)
        for place, measure in self.weighed:
            costs[place] = measure.of(usage, model)
        return tuple(costs)
