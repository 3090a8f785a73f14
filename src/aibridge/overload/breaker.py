"""Whether to call at all: what keeps failing is left alone for a while, and then asked again with care.

A breaker is closed (calls go), open (none goes) or half-open (a few go, as probes). It knows nothing of HTTP: who uses
it says of each call whether it failed. Three ideas make it safe. *Generations* (as in gobreaker): each change of state
begins one, and a result from an earlier one has no say. *Places*: in half-open a call goes only if it gets one of
`max_requests` places, whatever the concurrency. *Leases* (as in Polly): a probe that never reports cannot keep its
place, so nothing that hangs or dies can wedge it.

Places may be shared with breakers of the same name elsewhere. Who does so asks there about each `Probe` that is let go
here, and tells the breaker by `turn_away` if there was none, by `trip` and `reset` what became of the others' probes.
"""

import enum
from dataclasses import dataclass
from math import inf, nextafter

from aibridge.overload.outcome import Outcome, Rejection
from aibridge.overload.tally import Tally, TallyWindow

LEAST_WAIT = 1.0
"""Seconds: the shortest wait asked for while all probes are out, and the precision of Retry-After."""

BRIEFLY = 0.01
"""Seconds for which places elsewhere that were all taken are believed to be so, unless a probe ends here."""


class State(enum.Enum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True, frozen=True)
class BreakerRule:
    """What breakers of one kind have in common. A value that is not allowed is a ValueError.

    A closed breaker opens on a call that fails or is slow, if then, among the calls that ended in the last `interval`
    seconds, the newest `failure_threshold` have all failed; or, among at least `minimum_calls`, a share of
    `failure_ratio` failed or a share of `slow_ratio` was slow. Slow is what succeeded with a first byte after more than
    `slow_first_byte` seconds. 0 switches each of these off.

    It stays open for `timeout` seconds. Then `max_requests` probes may be out at one time; as many successes close it,
    and the first that fails or is slow opens it again.

    A probe that has not reported for `lease` seconds is lost and its place is free. That is no failure: a worker that
    died says nothing about the provider, and half a minute of silence may be a long stream. So what it reports later
    in the same generation still counts; else calls longer than a lease could never close a breaker.
    """

    failure_threshold: int = 5
    interval: float = 10.0
    timeout: float = 30.0
    max_requests: int = 3
    failure_ratio: float = 0.5
    slow_first_byte: float = 0.0
    slow_ratio: float = 0.8
    minimum_calls: int = 20
    lease: float = 30.0

    def __post_init__(self) -> None:
        for field, allowed, what in (
            ("failure_threshold", self.failure_threshold >= 0, "0 (off) or more"),
            ("interval", 0.0 < self.interval < inf, "a positive number of seconds"),
            ("timeout", 0.0 < self.timeout < inf, "a positive number of seconds"),
            ("max_requests", self.max_requests >= 1, "at least 1"),
            ("failure_ratio", 0.0 <= self.failure_ratio <= 1.0, "0 (off) or a share up to 1"),
            ("slow_first_byte", 0.0 <= self.slow_first_byte < inf, "0 (off) or a positive number of seconds"),
            ("slow_ratio", 0.0 <= self.slow_ratio <= 1.0, "0 (off) or a share up to 1"),
            ("minimum_calls", self.minimum_calls >= 1, "at least 1"),
            ("lease", 0.0 < self.lease < inf, "a positive number of seconds"),
        ):
            if not allowed:
                raise ValueError(f"{field} must be {what}, not {getattr(self, field)}")

    def slow(self, first_byte: float) -> bool:
        """Whether a first byte after so many seconds is a slow one."""
        return 0.0 < self.slow_first_byte < first_byte and self.slow_ratio > 0.0


@dataclass(slots=True, eq=False)
class Ticket:
    """The right to make one call. `breaker` gave it and is told how it ended; None once it was."""

    breaker: "Breaker | None"
    generation: int


@dataclass(slots=True, eq=False)
class Probe(Ticket):
    """The ticket of a call let go in half-open. `number` is its shared place, where it has one; others set it.

    `closed` is set where its success has closed the breaker.
    """

    number: int | None = None
    closed: bool = False


class Breaker:
    """Stops calls to what keeps failing, by a `BreakerRule`. For one event loop, or one thread.

    `trips` counts the times its own calls opened it, and not those it was told of, so that a sum over processes counts
    each once. `rejections` counts the calls it refused.

    A clock that steps back shortens no break, and lengthens one by no more than its own length.
    """

    __slots__ = (
        "_failures_in_a_row",
        "_full_at",
        "_full_for",
        "_generation",
        "_opened_at",
        "_probes",
        "_state",
        "_successes",
        "_until",
        "_window",
        "name",
        "rejections",
        "rule",
        "trips",
    )

    def __init__(self, name: str, rule: BreakerRule) -> None:
        self.name = name
        self.rule = rule
        self.trips = 0
        self.rejections = 0
        self._state = State.CLOSED
        self._generation = 0
        self._window = TallyWindow(rule.interval)
        self._failures_in_a_row = 0
        self._opened_at = self._until = -inf
        self._probes: dict[Ticket, float] = {}  # who has a place and since when, the oldest first
        self._successes = 0  # of probes
        self._full_at, self._full_for = -inf, 0.0  # when there was no shared place, and for how long that was said

    def enter(self, now: float) -> Ticket | Rejection:
        """Let a call go, or say when to come back.

        The wait is exact while it is open. In half-open a place is free when a probe ends, which nobody knows: the
        estimate is that the oldest needs as long again as it has taken, and the end of its lease is the latest.
        """
        if self._state is State.CLOSED:
            return Ticket(self, self._generation)
        if self.state(now) is State.OPEN:
            return self._refuse(0, self.time_left(now))
        if self._full_at <= now < self._full_at + BRIEFLY:
            return self._refuse(self.rule.max_requests, self._full_for)
        probes = self._probes
        if len(probes) >= self.rule.max_requests:
            oldest, since = next(iter(probes.items()))
            if now < since:  # the clock stepped back: the lease starts again
                since = probes[oldest] = now
            left = _left(now, since + self.rule.lease)
            if left:
                return self._refuse(self.rule.max_requests, min(left, max(now - since, LEAST_WAIT)))
            del probes[oldest]
        probe = Probe(self, self._generation)
        probes[probe] = now
        return probe

    def turn_away(self, probe: Probe, wait: float, now: float) -> Rejection:
        """Take back a probe for which there was no shared place, and refuse the call; it may come back after `wait`.

        For `BRIEFLY` the next callers are told the same.
        """
        self.leave(probe, Outcome.IGNORED, now)
        self._full_at, self._full_for = now, wait
        return self._refuse(self.rule.max_requests, wait)

    def has_a_say(self, ticket: Ticket) -> bool:
        """Whether a ticket is of this generation."""
        return ticket.generation == self._generation

    def leave(self, ticket: Ticket, outcome: Outcome, now: float, first_byte: float | None = None) -> bool:
        """Learn how a call ended; true if that opened the breaker.

        `first_byte` is how many seconds the first byte took, None where there was none or nobody knows. IGNORED frees
        the place of a probe and teaches nothing. A ticket that this breaker did not give, or that came back already,
        is a RuntimeError.
        """
        if ticket.breaker is not self:
            raise RuntimeError(f"{self.name}: this ticket is not out")
        ticket.breaker = None
        if ticket.generation != self._generation:
            return False
        closed = self._state is State.CLOSED
        if not closed:
            self._probes.pop(ticket, None)  # it has no place if its lease ended
            self._full_at = -inf
        if outcome is Outcome.IGNORED:
            return False
        failed = outcome is Outcome.FAILURE
        slow = first_byte is not None and self.rule.slow(first_byte)
        if closed:
            opens = self._counted(now, failed=failed, slow=slow)
        else:
            opens = failed or slow
            if not opens and isinstance(ticket, Probe):
                self._probed(ticket, now)
        if opens:
            self.trips += 1
            self._open(now, self.rule.timeout)
        return opens

    def trip(self, now: float, seconds: float) -> None:
        """Open it for so many seconds, because another process saw what opens it. A longer break stays as it is."""
        if not 0.0 < seconds < inf:
            raise ValueError(f"seconds must be a positive number, not {seconds}")
        if self.time_left(now) < seconds:
            self._open(now, seconds)

    def reset(self, now: float) -> None:  # noqa: ARG002 - every verb here takes the time
        """Close it, because an operator says so, and start afresh."""
        self._state = State.CLOSED
        self._generation += 1
        self._window.clear()

    def state(self, now: float) -> State:
        """What it does with a call at `now`."""
        if self._state is State.OPEN and not self.time_left(now):
            self._state = State.HALF_OPEN  # for good: no clock that steps back opens it again
        return self._state

    def time_left(self, now: float) -> float:
        """Seconds until probes are let through; 0.0 unless it is open."""
        if self._state is not State.OPEN:
            return 0.0
        if now < self._opened_at:  # the clock stepped back: the break starts again
            self._until += now - self._opened_at
            self._opened_at = now
        return _left(now, self._until)

    def window(self, now: float) -> Tally:
        """What it has counted lately, probes apart. While it is open: what opened it, until that leaves the window."""
        tally = self._window.at(now)
        return Tally(tally.calls, tally.failures, tally.slow)

    def idle(self, now: float) -> bool:
        """Whether it may be forgotten: it is closed and has counted nothing lately."""
        return self._state is State.CLOSED and not self._window.at(now).calls

    def _counted(self, now: float, *, failed: bool, slow: bool) -> bool:
        """Count a call that ended while it was closed, and say whether that opens it."""
        tally = self._window.add(now, failed=failed, slow=slow)
        self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
        if not (failed or slow):
            return False
        rule = self.rule
        # Of the failures in a row, those within the window are the lesser of the two numbers.
        if 0 < rule.failure_threshold <= min(self._failures_in_a_row, tally.failures):
            return True
        if tally.calls < rule.minimum_calls:
            return False
        return (
            0.0 < rule.failure_ratio <= tally.failures / tally.calls
            or 0.0 < rule.slow_ratio <= tally.slow / tally.calls
        )

    def _probed(self, probe: Probe, now: float) -> None:
        """Take note of a probe that succeeded."""
        self._successes += 1
        if self._successes >= self.rule.max_requests:
            self.reset(now)
            probe.closed = True

    def _open(self, now: float, seconds: float) -> None:
        self._state = State.OPEN
        self._generation += 1
        self._opened_at = now
        self._until = now + seconds
        self._probes.clear()
        self._successes = 0

    def _refuse(self, allowed: int, wait: float) -> Rejection:
        self.rejections += 1
        return Rejection(self.name, allowed, 0.0, wait)


def _left(now: float, until: float) -> float:
    """The seconds left, such that a caller who waits for them is not early by a rounding; see `rate`."""
    if now >= until:
        return 0.0
    left = until - now
    return left if now + left >= until else nextafter(left, inf)
