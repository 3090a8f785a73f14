"""How many calls an upstream takes at once, learnt from its answers.

How long a call takes says how much a model wrote, not how busy its provider is: a limiter that follows it turns away
a third of the calls that a provider with room to spare could serve (`tests/reliability` simulates one). So the limit
follows two other signals. A refusal (429, 503, 529, a refused connection) is proof that there was no room. The time to
the first byte does not depend on what is written after it, so its growth means that calls wait in the upstream; but it
may also mean longer prompts, so it is believed only as far as giving way helps.
"""

from collections import deque
from dataclasses import dataclass
from math import inf
from statistics import median

from aibridge.overload.concurrency import ConcurrencyLimiter, Permit
from aibridge.overload.outcome import Outcome, Rejection

ROUND = 11
LONGEST_ROUND = 255
"""First bytes per median, at least and at most: enough that chance seldom moves it far, no more than it takes."""

ROUNDS = 64
"""Medians remembered; the least of them is what a first byte takes when nothing waits.

Those of a limit in use are remembered only if they are earlier than all others. Where callers always wait, the upstream
has something waiting, too: that would become what is usual, and rounds would be slow only from twice as much on.
"""

USED = 0.8
"""The share of the limit that must have been in flight for it to grow: a limit nobody needs proves nothing."""

SLOW_START = 2.0
"""The factor of growth in each window below the threshold, where it is fast."""

VAIN = 0.5
"""Giving way to this share of the limit without seeing earlier first bytes shows that the load is not the reason."""


@dataclass(slots=True, frozen=True)
class AdaptiveRule:
    """What adaptive limiters of one kind have in common. A value that is not allowed is a ValueError.

    The limit begins at `initial`, which should be less than the upstream surely takes, or the first round of first
    bytes tells nothing; it stays between `minimum` and `maximum` calls. In each `window` seconds it grows at most once
    and is cut at most once. A refusal or a slow round of first bytes leaves `backoff` of it. While it is used and
    nothing speaks against it, it grows by `growth`, then by twice that, three times and so on, until it is cut: bold
    after a long calm, careful at the edge. Where refusals have cut it several times in a row, it first doubles, up to
    what the first of these cuts left. A round is slow if its median is above `tolerance` times the usual one plus
    `slack` seconds.
    """

    initial: int = 20
    minimum: int = 1
    maximum: int = 1000
    window: float = 1.0
    growth: float = 1.0
    backoff: float = 0.95
    tolerance: float = 2.0
    slack: float = 0.1

    def __post_init__(self) -> None:
        for field, allowed, what in (
            ("minimum", self.minimum >= 1, "at least 1"),
            ("initial", self.minimum <= self.initial <= self.maximum, "between minimum and maximum"),
            ("window", 0.0 < self.window < inf, "a positive number of seconds"),
            ("growth", 0.0 < self.growth < inf, "a positive number of calls"),
            ("backoff", 0.0 < self.backoff < 1.0, "a share between 0 and 1"),
            ("tolerance", 1.0 <= self.tolerance < inf, "a factor of 1 or more"),
            ("slack", 0.0 <= self.slack < inf, "0 or more seconds"),
        ):
            if not allowed:
                raise ValueError(f"{field} must be {what}, not {getattr(self, field)}")


class AdaptiveLimiter(ConcurrencyLimiter):
    """A limit of concurrency that moves: additive increase, multiplicative decrease (AIMD), never by total latency.

    Four habits are TCP's. A call that was sent before the last cut has no say: what it met was that cut's reason
    (RFC 6582). A cut starts from what was in flight, not from a limit nobody reached (RFC 5681). The limit grows only
    while it is used (RFC 7661). And it comes back by a slow start, which doubles it below a threshold; of cuts by
    refusals with no growth between, only the first sets that (RFC 5681, section 3.1): how deep a brown-out was says
    nothing of what there is room for after it. A slow round of first bytes lowers both.

    `maximum` is the limit of now, and what refusals say; those in flight may be more for a while after a cut.
    """

    __slots__ = (
        "_busiest",
        "_changed_at",
        "_cut_at",
        "_exact",
        "_first_bytes",
        "_gave_way_from",
        "_grown",
        "_heard_since",
        "_medians",
        "_round_at",
        "_steps",
        "_threshold",
        "rule",
    )

    def __init__(self, rule: AdaptiveRule, name: str) -> None:
        super().__init__(rule.initial, name)
        self.rule = rule
        self._exact = float(rule.initial)  # the limit before rounding down
        self._steps = 0  # of careful growth since the last cut
        self._threshold = 0.0  # of the slow start: what the first of the last cuts in a row left
        self._grown = True  # since the last cut: the next one is the first of a row
        self._cut_at = -inf
        self._changed_at = -inf
        self._busiest = 0  # most in flight since the last change
        self._first_bytes: list[float] = []  # of this round
        self._round_at = -inf  # when it began
        self._heard_since = -inf  # first bytes of calls sent before met another limit
        self._medians: deque[float] = deque(maxlen=ROUNDS)
        self._gave_way_from = 0.0  # the limit at which a spell of slow rounds began; 0.0 when there is none

    @property
    def limit(self) -> int:
        """How many calls may be in flight now."""
        return self.maximum

    def take(self, now: float, _cost: float = 1.0) -> Rejection | None:
        """Let a call in, or give an estimate of the wait."""
        rejection = super().take(now)
        self._busiest = max(self._busiest, self.in_flight)
        return rejection

    def answered(self, permit: Permit, first_byte: float, now: float) -> None:
        """Learn that the first byte of a call came, `first_byte` seconds after the call was sent.

        Tell it when it comes: told at the end of a long stream it is old, and says what was true when that began.
        """
        if not self._sent_since_cut(permit):
            return
        if permit.entered_at > self._heard_since and len(self._first_bytes) < LONGEST_ROUND:
            self._first_bytes.append(first_byte)
        self._close_due_round(now)
        self._grow(now)

    def leave(
        self,
        permit: Permit,
        outcome: Outcome,
        now: float,
        *,
        overloaded: bool = False,
        first_byte: float | None = None,
    ) -> None:
        """Take a permit back and learn how its call ended.

        `overloaded` says that the upstream had no room: it answered 429, 503 or 529, or refused the connection.
        `first_byte` is for those who did not say `answered` before. Errors are RuntimeErrors, as of every permit.
        """
        super().leave(permit, outcome, now)
        if overloaded:
            if self._sent_since_cut(permit):
                self._cut(self.in_flight * self.rule.backoff, self._threshold, now)
        elif first_byte is not None:
            self.answered(permit, first_byte, now)
        elif outcome is Outcome.SUCCESS and self._sent_since_cut(permit):
            self._grow(now)

    def _sent_since_cut(self, permit: Permit) -> bool:
        return permit.entered_at > self._cut_at

    def _close_due_round(self, now: float) -> None:
        if len(self._first_bytes) >= ROUND and now - self._round_at >= self.rule.window:
            self._close_round(now)

    def _close_round(self, now: float) -> None:
        """Compare the first bytes of a round with the usual ones, and give way if they are slow."""
        rule = self.rule
        middle = median(self._first_bytes)
        self._begin_round(now)
        if not self._in_use() or middle < min(self._medians, default=inf):
            self._medians.append(middle)
        if middle <= min(self._medians) * rule.tolerance + rule.slack:
            self._gave_way_from = 0.0
        elif self._gave_way_from and self._exact <= max(rule.minimum, self._gave_way_from * VAIN):
            self._gave_way_from = 0.0
            self._medians.clear()  # what is slow for other reasons is the usual from now on
        else:
            self._gave_way_from = self._gave_way_from or self._exact
            if self._in_use():
                self._cut(self._exact * rule.backoff, self._threshold * rule.backoff, now)

    def _begin_round(self, now: float) -> None:
        self._first_bytes.clear()
        self._round_at = now

    def _hear_anew(self, now: float) -> None:
        """Begin a round of calls that are sent from now on."""
        self._heard_since = now
        self._begin_round(now)

    def _cut(self, limit: float, threshold: float, now: float) -> None:
        """Cut the limit to this, and the threshold, unless the cut is the first of a row."""
        if now - self._cut_at >= self.rule.window:
            self._cut_at = now
            self._steps = 0
            self._hear_anew(now)
            self._move(limit, now)
            self._threshold = self._exact if self._grown else threshold
            self._grown = False

    def _grow(self, now: float) -> None:
        if self._exact < self._threshold:  # each step begins a round anew: first hear the one there is
            self._close_due_round(now)
        if not self._in_use() or self._gave_way_from or now - self._changed_at < self.rule.window:
            return
        self._grown = True
        if self._exact < self._threshold:
            self._hear_anew(now)
            self._move(min(self._exact * SLOW_START, self._threshold), now)
        else:
            self._steps += 1
            self._move(self._exact + self._steps * self.rule.growth, now)

    def _in_use(self) -> bool:
        return self._busiest >= self._exact * USED

    def _move(self, limit: float, now: float) -> None:
        self._exact = min(max(limit, self.rule.minimum), self.rule.maximum)
        self.maximum = int(self._exact)
        self._changed_at = now
        self._busiest = self.in_flight
