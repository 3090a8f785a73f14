"""What came of a simulated scenario, in numbers that can be compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, inf, nan

from aibridge.overload.simulation.traffic import Call


def percentile(values: Iterable[float], share: float) -> float:
    """The least of the values that at least this share of them does not exceed; not a number where there is none."""
    ranked = sorted(values)
    return ranked[max(0, ceil(share * len(ranked)) - 1)] if ranked else nan


@dataclass(slots=True, frozen=True)
class Part:
    """Some of the calls: by whom and when they were begun."""

    calls: tuple[Call, ...]

    @property
    def offered(self) -> int:
        """How many there are."""
        return len(self.calls)

    @property
    def served(self) -> int:
        """How many were of use to their callers."""
        return sum(call.served for call in self.calls)

    @property
    def share(self) -> float:
        """The served share."""
        return self.served / self.offered if self.offered else nan

    def first_byte(self, share: float) -> float:
        """A percentile, in seconds, of the time from the first try to the first byte, where there was one."""
        return percentile((c.answered_at - c.arrived_at for c in self.calls if c.answered_at is not None), share)

    def time(self, share: float) -> float:
        """A percentile, in seconds, of the time from the first try to the end of those served."""
        return percentile((c.ended_at - c.arrived_at for c in self.calls if c.served and c.ended_at is not None), share)


@dataclass(slots=True, frozen=True)
class Report:
    """What came of a scenario. Calls begun before `since` or not before `until` are left out, unless asked for.

    `capacity` is the provider's, in calls per second. The rest is of the whole run: when callers came to the gateway
    (`gateway_calls`, with their own retries) and the gateway to the provider (`requests`); how many were `turned_away`
    by the gateway itself, its `retries`, the provider's `refusals`, and `late` requests for calls that had begun to
    answer. `limit` is the gateway's at the end.
    """

    calls: tuple[Call, ...]
    since: float
    until: float
    capacity: float
    gateway_calls: tuple[float, ...]
    turned_away: int
    retries: int
    requests: tuple[float, ...]
    refusals: int
    late: int
    limit: int

    def part(self, flow: str | None = None, since: float | None = None, until: float | None = None) -> Part:
        """The calls of a flow, or of all, begun in a stretch of time, or in all that counts."""
        since = self.since if since is None else since
        until = self.until if until is None else until
        return Part(
            tuple(c for c in self.calls if since <= c.arrived_at < until and (flow is None or c.flow.name == flow))
        )

    @property
    def goodput(self) -> float:
        """Calls served, of those offered or of those that the capacity is good for, whichever are fewer."""
        part = self.part()
        return part.served / min(part.offered, self.capacity * (self.until - self.since))

    @property
    def rate(self) -> float:
        """Calls served per second."""
        return self.part().served / (self.until - self.since)

    def amplification(self, since: float = 0.0, until: float = inf) -> float:
        """Requests that the provider saw for each call that the gateway saw, in a stretch of time."""
        requests, calls = (sum(since <= at < until for at in seen) for seen in (self.requests, self.gateway_calls))
        return requests / calls

    def recovery(self, after: float, share: float, stretch: float = 5.0) -> float:
        """Seconds until, of the calls begun in the next `stretch` seconds, at least this share is served.

        Counted from the instant `after`; infinity if that never happens.
        """
        seconds = 0.0
        while after + seconds + stretch <= self.until:
            if self.part(since=after + seconds, until=after + seconds + stretch).share >= share:
                return seconds
            seconds += 1.0
        return inf
