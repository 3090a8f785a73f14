"""How many at once: permits, and an estimate of when the next one is free."""

from dataclasses import dataclass
from math import inf
from typing import Final

from aibridge.overload.outcome import Outcome, Rejection

HORIZON: Final = 60.0
"""Seconds: no promise is made further ahead."""

_IGNORED: Final = Outcome.IGNORED
_NEVER: Final = -inf
"""One object for all limiters: each minus before `inf` makes another."""
_WEIGHT: Final = 1 / 16
"""How much the newest hold counts in the average: a dozen or two calls are remembered."""


@dataclass(slots=True, eq=False)
class Permit:
    """The right to be in flight. `limiter` gave it and gets it back; None once it did."""

    limiter: "ConcurrencyLimiter | None"
    entered_at: float


class ConcurrencyLimiter:
    """At most `maximum` permits are held at any time.

    A refused caller is told when to come back by a virtual queue: each is promised a later instant than the one
    before, `mean_hold / maximum` apart, which is the pace at which permits come free. So those refused together return
    one by one. The mean hold is the larger of the average of past holds and the mean age of the permits now held: a
    permit kept by an endless stream lengthens the hint without ever having come back.
    """

    __slots__ = ("_average_hold", "_entered_sum", "_in_flight", "_promised", "maximum", "name")

    def __init__(self, maximum: int, name: str) -> None:
        if maximum < 1:
            raise ValueError(f"maximum must be at least 1, not {maximum}")
        self.maximum = maximum
        self.name = name
        self._in_flight = 0
        self._entered_sum = 0.0  # of the instants at which the held permits were given
        self._average_hold = 0.0
        self._promised = _NEVER  # the instant promised last

    @property
    def in_flight(self) -> int:
        """How many permits are held."""
        return self._in_flight

    @property
    def full(self) -> bool:
        """Whether `enter` would refuse."""
        return self._in_flight >= self.maximum

    def used(self, _: float) -> float:
        """How many permits are held, as the limiters of a rate tell their use."""
        return self._in_flight

    def idle(self, _: float) -> bool:
        """Whether forgetting this limiter would change no later decision: only how long a permit is held is lost."""
        return not self._in_flight

    def enter(self, now: float) -> Permit | Rejection:
        """Give a permit, or an estimate of the wait for one."""
        rejection = self.take(now)
        return Permit(self, now) if rejection is None else rejection

    def admits(self, _now: float, _cost: float = 1.0) -> bool:
        """Whether `take` would admit a call; each holds one, whatever its cost."""
        return self._in_flight < self.maximum

    def take(self, now: float, _cost: float = 1.0) -> Rejection | None:
        """Let a call in, for those who keep account of it without a permit, or give an estimate of the wait."""
        if self._in_flight >= self.maximum:
            return Rejection(self.name, self.maximum, 0.0, self.wait(now))
        self._in_flight += 1
        self._entered_sum += now
        return None

    def wait(self, now: float, _cost: float = 1.0) -> float:
        """About how long until a permit is free for one more of those refused by now; 0.0 while one is left.

        Asking is a promise: who asks next is told a later instant.
        """
        if self._in_flight < self.maximum:
            return 0.0
        self._promised = min(max(self._promised, now) + self.step(now), now + HORIZON)
        return self._promised - now

    def step(self, now: float) -> float:
        """About how long from one permit that comes free to the next, while all are held, in seconds."""
        mean_age = now - self._entered_sum / self._in_flight
        return max(self._average_hold, mean_age) / self.maximum

    def leave(self, permit: Permit, outcome: Outcome, now: float) -> None:
        """Take a permit back. Only calls that did their work teach how long one is held.

        A permit that this limiter did not give, or that came back already, is a RuntimeError: it would free the
        permit of somebody else.
        """
        if permit.limiter is not self:
            raise RuntimeError(f"{self.name}: this permit is not held")
        permit.limiter = None
        self.give_back(permit.entered_at, outcome, now)

    def give_back(self, taken_at: float, outcome: Outcome, now: float) -> None:
        """Let out a call that was let in at `taken_at`; once for each that was."""
        self._in_flight -= 1
        self._entered_sum -= taken_at
        if outcome is not _IGNORED:
            hold = now - taken_at if now > taken_at else 0.0
            self._average_hold += (hold - self._average_hold) * _WEIGHT if self._average_hold else hold
        if not self._in_flight:
            self._entered_sum = 0.0  # what rounding left behind
            self._promised = _NEVER  # an empty house owes nobody
