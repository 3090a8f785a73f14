"""Who waits for a permit, and who goes next: smallest recent use first, so that one hog cannot hurt the others.

A bounded queue of flows (callers) in groups (their organizations). What a flow used lately decides when it goes, not
how many of its calls stand in line: whoever called little goes at once, and flows that ask for the same get the same.
When the queue is full, the longest flow pays for a newcomer, so a flood pushes out itself.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

from aibridge.overload.recent_use import RecentUse

W = TypeVar("W", bound=Hashable)
Q = TypeVar("Q")

_Entry = tuple[float, int, Q]
"""A queue's entry in a ranking, which is a sorted list of them: no two have the same second number.

To move some thousand pointers costs less than what a heap would have to remember of those who left it.
"""


@dataclass(slots=True, eq=False)
class _Place(Generic[W]):
    """Where a waiter stands. `number` counts who joined: the smaller, the longer it waits."""

    number: int
    waiter: W
    deadline: float
    group: str
    flow: str
    weight: float
    lane: "_Lane[W]"


@dataclass(slots=True, eq=False)
class _Flow(Generic[W]):
    """The places of a flow, longest waiting first, and its entries in the rankings it stands in."""

    places: OrderedDict[int, _Place[W]] = field(default_factory=OrderedDict)
    turn: "_Entry[_Flow[W]] | None" = None
    length: "_Entry[_Flow[W]] | None" = None


@dataclass(slots=True, eq=False)
class _Group(Generic[W]):
    """The places of a group, longest waiting first, its flows, and these in the order of their turns."""

    places: OrderedDict[int, _Place[W]] = field(default_factory=OrderedDict)
    turn: "_Entry[_Group[W]] | None" = None
    flows: dict[str, _Flow[W]] = field(default_factory=dict)
    turns: "list[_Entry[_Flow[W]]]" = field(default_factory=list)


class _Lane(Generic[W]):
    """Those who wait with the same priority."""

    __slots__ = ("_groups", "_lengths", "_turns", "_uses")

    def __init__(self, uses: RecentUse[tuple[str, ...]]) -> None:
        self._uses = uses
        self._groups: dict[str, _Group[W]] = {}
        self._turns: list[_Entry[_Group[W]]] = []
        self._lengths: list[_Entry[_Flow[W]]] = []

    def __bool__(self) -> bool:
        return bool(self._groups)

    def first(self) -> _Place[W]:
        """Who goes next: of the group whose turn it is, of the flow whose turn it is, who waits longest."""
        flow = self._turns[0][2].turns[0][2]
        return next(iter(flow.places.values()))

    def newest_of_longest(self) -> _Place[W]:
        """The newest waiter of the longest flow; where several are as long, the newest of them all."""
        flow = self._lengths[-1][2]
        return next(reversed(flow.places.values()))

    def add(self, place: _Place[W]) -> None:
        group = self._groups.get(place.group)
        if group is None:
            group = self._groups[place.group] = _Group()
        flow = group.flows.get(place.flow)
        if flow is None:
            flow = group.flows[place.flow] = _Flow()
        number = place.number
        group.places[number] = flow.places[number] = place
        if len(flow.places) == 1:
            self.rank(place.flow, place.group)
        else:  # whose turn it is depends on who waits longest, which is not this one
            flow.length = _moved(self._lengths, flow.length, (len(flow.places), number, flow))

    def remove(self, place: _Place[W]) -> None:
        group = self._groups[place.group]
        flow = group.flows[place.flow]
        del group.places[place.number], flow.places[place.number]
        self.rank(place.flow, place.group)
        if not flow.places:
            del group.flows[place.flow]
        if not group.places:
            del self._groups[place.group]

    def rank(self, flow_name: str, group_name: str) -> None:
        """Put a flow and its group where they belong now, if anybody waits there."""
        group = self._groups.get(group_name)
        if group is None:
            return
        longest = next(iter(group.places), None)
        turn = None if longest is None else (self._uses.level((group_name,)), longest, group)
        group.turn = _moved(self._turns, group.turn, turn)
        flow = group.flows.get(flow_name)
        if flow is None:
            return
        longest = next(iter(flow.places), None)
        if longest is None:
            flow.turn = _moved(group.turns, flow.turn, None)
            flow.length = _moved(self._lengths, flow.length, None)
        else:
            level, newest = self._uses.level((group_name, flow_name)), next(reversed(flow.places))
            flow.turn = _moved(group.turns, flow.turn, (level, longest, flow))
            flow.length = _moved(self._lengths, flow.length, (len(flow.places), newest, flow))


def _moved(ranking: list[_Entry[Q]], before: _Entry[Q] | None, after: _Entry[Q] | None) -> _Entry[Q] | None:
    """Replace an entry of a ranking; None stands for no entry."""
    if before != after:
        if before is not None:
            del ranking[bisect_left(ranking, before)]
        if after is not None:
            insort(ranking, after)
    return after


class Backlog(Generic[W]):
    """A bounded fair queue: who waits for a permit, and who goes next.

    At most `size` wait. A call costs O(log n) comparisons for n waiters: some microseconds with thousands of them.

    Recent use is halved every `half_life` seconds: hours of idleness count for no more than a few half-lives, and a
    flood is forgotten as soon. A flow that comes anew beside one of the same demand goes first until it has caught up,
    which takes at most one half-life. A clock that steps back is taken for one that stands still.
    """

    __slots__ = ("_batch", "_deadlines", "_interactive", "_joined", "_now", "_overdue", "_places", "_size", "_uses")

    def __init__(self, size: int, *, half_life: float = 10.0) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self._size = size
        self._uses = RecentUse[tuple[str, ...]](half_life)
        self._interactive: _Lane[W] = _Lane(self._uses)
        self._batch: _Lane[W] = _Lane(self._uses)
        self._places: dict[W, _Place[W]] = {}
        self._deadlines: list[_Entry[_Place[W]]] = []  # sorted
        self._overdue: dict[W, float] = {}  # those out of the line whose deadline has passed, until they are told
        self._joined = 0
        self._now = -inf

    def join(  # noqa: PLR0913 - they say how one waits, by keyword only
        self,
        waiter: W,
        now: float,
        *,
        flow: str,
        group: str = "",
        deadline: float,
        weight: float = 1.0,
        batch: bool = False,
    ) -> W | None:
        """Stand in line until `deadline`. Returns who lost its place for it: nobody, or a waiter, perhaps this one.

        When all places are taken, that is one whose deadline has passed, else the newest waiter of the longest flow,
        of those in batch as long as there are any. A waiter that stands here already is a ValueError.
        """
        if waiter in self._places or waiter in self._overdue:
            raise ValueError("this waiter stands in line already")
        self._retire(now)
        self._joined += 1
        lane = self._batch if batch else self._interactive
        place = _Place(self._joined, waiter, deadline, group, flow, weight, lane)
        self._places[waiter] = place
        insort(self._deadlines, (deadline, place.number, place))
        lane.add(place)
        if len(self) <= self._size:
            return None
        crowded = self._batch or self._interactive
        lost = next(iter(self._overdue)) if self._overdue else crowded.newest_of_longest().waiter
        self.leave(lost)
        return lost

    def next(self, now: float) -> W | None:
        """Who goes now. It is out of the line, and its weight is charged to its flow and its group.

        Interactive calls go before batch ones; then the group that used least lately, in it the flow that did (ties:
        who waits longest), in it who waits longest. Those past their deadline are left for `expire`.
        """
        self._retire(now)
        lane = self._interactive or self._batch
        if not lane:
            return None
        place = lane.first()
        self._use(place.flow, place.group, place.weight, now)
        self._remove(place)
        (self._batch if lane is self._interactive else self._interactive).rank(place.flow, place.group)
        return place.waiter

    def leave(self, waiter: W) -> None:
        """Give up the place of a waiter, if it has one."""
        place = self._places.get(waiter)
        if place is not None:
            self._remove(place)
        else:
            self._overdue.pop(waiter, None)

    def expire(self, now: float) -> list[W]:
        """Remove those whose deadline has passed, and say who they are, earliest first."""
        self._retire(now)
        expired = list(self._overdue)
        self._overdue.clear()
        return expired

    def charge(self, flow: str, group: str, amount: float, now: float) -> None:
        """Add to the recent use, as calls do that go without waiting. An amount of 0 or less adds nothing."""
        self._use(flow, group, amount, now)
        self._interactive.rank(flow, group)
        self._batch.rank(flow, group)

    @property
    def first_deadline(self) -> float:
        """The earliest deadline of those in line; infinity when nobody is."""
        first = self._deadlines[0][0] if self._deadlines else inf
        return min(first, next(iter(self._overdue.values()))) if self._overdue else first

    def idle(self, now: float) -> bool:
        """Whether nobody waits and no recent use is worth remembering."""
        return not len(self) and self._uses.idle(now)

    def __len__(self) -> int:
        return len(self._places) + len(self._overdue)

    def _use(self, flow: str, group: str, amount: float, now: float) -> None:
        if amount > 0.0:
            self._now = now = max(now, self._now)
            self._uses.add((group,), amount, now)
            self._uses.add((group, flow), amount, now)

    def _retire(self, now: float) -> None:
        """Take those out of the line whose deadline has passed."""
        self._now = max(self._now, now)
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= self._now:
            place = deadlines[0][2]
            self._remove(place)
            self._overdue[place.waiter] = place.deadline

    def _remove(self, place: _Place[W]) -> None:
        del self._places[place.waiter]
        del self._deadlines[bisect_left(self._deadlines, (place.deadline, place.number, place))]
        place.lane.remove(place)
