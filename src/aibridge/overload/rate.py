"""How often: two limiters of a rate, for one caller each.

`ExactWindow` counts calls and is exact. `Gcra` weighs them: calls have a cost, perhaps known only afterwards, and a
burst is set apart from the rate. Both decide in constant time, know the wait to the last bit, and take a clock that
steps back for one that stands still, so a bad clock never admits too many.
"""

import functools
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import chain, islice, repeat
from math import inf, nextafter
from typing import Final, Protocol

from aibridge.overload.outcome import Rejection

PLACES = 4096
"""How many instants an `ExactWindow` decides by at most: 32 KiB. It may keep a sixteenth more of those before."""

_NEVER: Final = -inf
"""One object for all limiters: each minus before `inf` makes another."""


class RateLimiter(Protocol):
    """What every limiter of a rate can do."""

    def take(self, now: float, cost: float = 1.0) -> Rejection | None:
        """Admit a call of this cost at `now` and remember it, or refuse it and remember nothing."""
        ...

    def admits(self, now: float, cost: float = 1.0) -> bool:
        """Whether `take` would admit a call of this cost at `now`."""
        ...

    def wait(self, now: float, cost: float = 1.0) -> float:
        """How long until a call of this cost is admitted if no other comes: 0.0 if `take` would admit it at `now`."""
        ...

    def used(self, now: float) -> float:
        """How much of what is allowed is taken."""
        ...

    def idle(self, now: float) -> bool:
        """Whether forgetting this limiter at `now` would change no later decision."""
        ...


@dataclass(slots=True, frozen=True)
class _Rule:
    """What all callers under one limit have in common, kept once. It was changed at `since`, if ever.

    `group` calls share a place. The newest group is apart; of those before it, as many decide as there are `places`.
    What is kept beyond is dropped `surplus` at a time: moving the others up then costs next to nothing a call.
    """

    name: str
    limit: int
    window: float
    group: int
    places: int
    surplus: int
    since: float


@functools.lru_cache(maxsize=1024)
def _rule(limit: int, window: float, name: str, since: float = -inf) -> _Rule:
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if not 0.0 < window < inf:
        raise ValueError(f"window must be a positive number of seconds, not {window}")
    group = -(-limit // PLACES)
    places = limit // group - 1
    surplus = 8 + places // 16
    return _Rule(name, limit, window, group, places, surplus, since)


class ExactWindow:
    """Never more than `limit` calls in any half-open window of `window` seconds.

    The first `limit` calls of a quiet caller go at once, and a refused one that waits exactly `retry_after` and is the
    first to come back goes; a millisecond earlier it does not. Calls do not weigh: a cost other than 1 is a ValueError.

    A caller that is seldom seen costs no more than one instant; the others are kept for one that comes back within the
    window, and dropped after a quiet one. Above `PLACES` calls per window, neighbours share a place and leave the
    window together, with the last of them. The bound stays strict and the memory constant; what is admitted falls
    short of `limit` by less than 0.1 %. (A GCRA of that size would promise twice the limit instead.)
    """

    __slots__ = ("_calls", "_expiries", "_newest", "_rule")

    def __init__(self, limit: int, window: float, name: str = "rate") -> None:
        self._rule = _rule(limit, window, name)
        self._newest = _NEVER  # when the newest call leaves the window
        self._calls = 0  # how many are in its group
        self._expiries: array[float] | None = None  # when the groups before leave, in this order; None if there is none

    def take(self, now: float, cost: float = 1.0) -> Rejection | None:
        """Admit a call at `now`, or say when one will be."""
        if cost != 1.0:
            raise _unweighable(cost)
        rule, newest = self._rule, self._newest
        if now >= newest:
            self._expiries = None
            self._calls = 1
            self._newest = _expiry(now, rule.window)
            return None
        if self._calls < rule.group:
            self._calls += 1
        else:
            expiries = self._expiries
            places = rule.places
            kept = 0 if expiries is None else len(expiries)
            if kept >= places:
                free_at = newest if expiries is None else expiries[kept - places]
                if now < free_at:
                    return Rejection(rule.name, rule.limit, rule.window, _wait(now, free_at))
                if expiries is not None and kept - places >= rule.surplus:
                    del expiries[: rule.surplus]
            if expiries is None:
                self._expiries = array("d", (newest,))
            else:
                expiries.append(newest)
            self._calls = 1
        expiry = _expiry(now, rule.window)
        if expiry > newest:
            self._newest = expiry
        return None

    def admits(self, now: float, cost: float = 1.0) -> bool:
        """Whether `take` would admit a call at `now`."""
        if cost != 1.0:
            raise _unweighable(cost)
        return now >= self._free_at()

    def wait(self, now: float, cost: float = 1.0) -> float:
        """How long until a call is admitted: 0.0 if `take` would admit one at `now`, else what it would say."""
        if cost != 1.0:
            raise _unweighable(cost)
        free_at = self._free_at()
        return _wait(now, free_at) if now < free_at else 0.0

    def _free_at(self) -> float:
        """From when on the next call is admitted."""
        rule, expiries = self._rule, self._expiries
        if self._calls < rule.group:
            return _NEVER
        if expiries is None:
            return _NEVER if rule.places else self._newest
        surplus = len(expiries) - rule.places
        return _NEVER if surplus < 0 else expiries[surplus]

    def used(self, now: float) -> float:
        """How many calls are in the window; those that share a place count until the last of them has left."""
        if now >= self._newest:
            return 0.0
        return float(self._before_newest(now) * self._rule.group + self._calls)

    def _before_newest(self, now: float) -> int:
        """How many groups before the newest are in the window."""
        expiries = self._expiries
        if expiries is None:
            return 0
        kept = len(expiries)
        return kept - bisect_right(expiries, now, max(0, kept - self._rule.places))

    def give_back(self, taken_at: float, now: float) -> None:
        """Forget a call that was taken at `taken_at` and turned out not to count.

        One that has left the window already changes nothing. Otherwise the oldest call that is still in the window is
        forgotten in its place: it would have left first. So each remembered call stands for one that counts and is no
        newer than it, and no window holds more than `limit` of those that count. Where calls share a place, nothing is
        given back; nor is a call from before a `resize`, which may be forgotten already.
        """
        rule = self._rule
        leaves_at = _expiry(taken_at, rule.window)
        left_before = self._newest >= _expiry(leaves_at, rule.window)  # by a clock that has stepped back since
        if now >= leaves_at or left_before or rule.group > 1 or taken_at < rule.since:
            return
        expiries, before = self._expiries, self._before_newest(now)
        if expiries is not None and before:
            expiries[-before] = now
        else:
            self._calls = 0  # the newest is the oldest: the next call stands in its place

    def resize(self, now: float, limit: int, window: float) -> None:
        """Allow `limit` calls in `window` seconds from `now` on.

        Calls that were counted leave when they would have left; of more than `limit` of them, the newest count on, so
        a limit that is lowered and raised again within a window has forgotten the others. Where calls share places,
        and another number of them does from now on, none is let go for that: what was one place counts for as many as
        it may need.
        """
        before, expiries = self._rule, self._expiries or array("d")
        left = expiries[len(expiries) - self._before_newest(now) :]
        rule = self._rule = _rule(limit, window, before.name, now)
        if now >= self._newest:
            self._expiries, self._calls = None, 1
            return
        calls, group = self._calls, rule.group
        together = max(1, group // before.group)  # old groups that fit into a new one, and leave with the last of them
        ends = chain(
            repeat(self._newest, max(0, -(-calls // group) - 1)),
            (end for end in left[::-1][::together] for _ in range(-(-before.group // group))),
        )
        kept = array("d", islice(ends, rule.places))
        kept.reverse()
        self._expiries = kept or None
        full = next(ends, None) is not None  # there are no more places: those that there are count as full
        self._calls = group if full else calls and (calls - 1) % group + 1

    def idle(self, now: float) -> bool:
        """Whether every call has left the window."""
        return now >= self._newest


class Gcra:
    """At most `rate * W + burst` of cost in any `W` seconds: the generic cell rate algorithm (ITU-T I.371).

    `rate` is cost per second, `burst` what a quiet caller may spend at once. Kept as a busy period: when it began, and
    what was spent since. The sum of whole costs is exact, so rounding neither takes from a burst nor adds up over
    time; the bound holds to within the resolution of the clock's own floats.

    A cost above `burst` could never pass, and no wait would be true: it is a ValueError, as is a negative one. Who
    takes costs from outside compares them with `burst` first.
    """

    __slots__ = ("_since", "_spent", "burst", "name", "rate")

    def __init__(self, rate: float, burst: float, name: str) -> None:
        if not 0.0 < rate < inf:
            raise ValueError(f"rate must be a positive number per second, not {rate}")
        if not 0.0 < burst < inf:
            raise ValueError(f"burst must be a positive number, not {burst}")
        self.rate = rate
        self.burst = burst
        self.name = name
        self._since = _NEVER
        self._spent = 0.0

    def take(self, now: float, cost: float = 1.0) -> Rejection | None:
        """Spend `cost` at `now`, or say when it may be spent."""
        if not 0.0 <= cost <= self.burst:
            raise _impossible(cost, self.burst)
        if now >= self._since + self._spent / self.rate:  # idle
            self._since = now
            self._spent = cost
            return None
        spent = self._spent + cost
        excess = spent - self.burst
        if excess > 0.0:
            free_at = self._since + excess / self.rate
            if now < free_at:
                return Rejection(self.name, self.burst, self.burst / self.rate, _wait(now, free_at))
        self._spent = spent
        return None

    def admits(self, now: float, cost: float = 1.0) -> bool:
        """Whether `take` would admit `cost` at `now`."""
        if not 0.0 <= cost <= self.burst:
            raise _impossible(cost, self.burst)
        excess = self._spent + cost - self.burst
        return excess <= 0.0 or now >= self._since + excess / self.rate or self.idle(now)

    def wait(self, now: float, cost: float = 1.0) -> float:
        """How long until `cost` may be spent: 0.0 if `take` would admit it at `now`, else what it would say."""
        if not 0.0 <= cost <= self.burst:
            raise _impossible(cost, self.burst)
        excess = self._spent + cost - self.burst
        if excess <= 0.0 or self.idle(now):
            return 0.0
        free_at = self._since + excess / self.rate
        return _wait(now, free_at) if now < free_at else 0.0

    def used(self, now: float) -> float:
        """The cost that was spent and is not yet refilled; more than `burst` where a debt is left."""
        return 0.0 if self.idle(now) else self._spent - max(0.0, now - self._since) * self.rate

    def settle(self, now: float, difference: float) -> None:
        """Correct what was taken by what it turned out to cost: `difference` is the true cost less the taken one.

        A credit never lets more than `burst` be spent at once. A debt may exceed the burst, and delays what follows:
        the bound speaks of what `take` admitted, not of what was found out later.
        """
        if self.idle(now):
            self._since = now
            self._spent = 0.0
        self._spent = max(0.0, self._spent + difference)

    def retune(self, now: float, rate: float, burst: float) -> None:
        """Refill at `rate` and bear `burst` from `now` on. What is spent by now stays so."""
        self._spent = max(0.0, self.used(now))
        self._since = max(now, self._since)
        self.rate = rate
        self.burst = burst

    def idle(self, now: float) -> bool:
        """Whether the whole burst may be spent again."""
        return now >= self._since + self._spent / self.rate


def _unweighable(cost: float) -> ValueError:
    return ValueError(f"an exact window counts calls, it cannot weigh a cost of {cost}")


def _impossible(cost: float, burst: float) -> ValueError:
    return ValueError(f"a cost of {cost} can never pass a burst of {burst}")


def _expiry(now: float, window: float) -> float:
    """The first instant that is at least `window` after `now`, in real numbers and not only after rounding.

    A sum less the larger of its terms is exact (Dekker's Fast2Sum), so whichever that is, one of the two comparisons
    tells whether the sum was rounded down; the other may round, but not below what it is compared with.
    """
    expiry = now + window
    if expiry - now < window or expiry - window < now:
        return nextafter(expiry, inf)
    return expiry


def _wait(now: float, until: float) -> float:
    """A wait for which `now + wait >= until` holds in floating point.

    Where the difference was rounded down, the true one lies between it and the next float. Adding that one gives, in
    real numbers, at least `until`, and rounding never crosses a float.
    """
    wait = until - now
    return wait if now + wait >= until else nextafter(wait, inf)
