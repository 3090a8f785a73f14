"""Guessing passwords, slowed down: a wait that doubles with each failure, by whom and on whom.

Three things are counted, and the longest wait counts:

* an account tried from one group of addresses: what somebody does who has forgotten a password, or guesses one;
* a group of addresses, whatever accounts it tries: one password tried on everybody;
* an account, wherever it is tried from: many addresses against one person.

Nobody can lock another out for ever. The wait of an account has a short bound of its own (`ACCOUNT_MOST`), and it does
not hold where that account has signed in before within `REMEMBERED`: its owner's office or home goes on while strangers
wait. Sessions, tokens and OpenID Connect know nothing of any of this.

An attempt counts as failed from its first moment on, so that a hundred at once are a hundred; `succeeded` takes it
back. Counts live in the process: after a restart, and in each of several workers, they begin afresh.
"""

from math import inf, nextafter

from aibridge.overload.caller import address_group
from aibridge.overload.keyed import Keyed
from aibridge.overload.outcome import Rejection

FORGOTTEN = 3600.0
"""Seconds without an attempt after which failures no longer count."""
REMEMBERED = 30 * 86400.0
"""Seconds for which it is known where an account has signed in."""
ACCOUNT_MOST = 60.0
_MOST = 900.0
"""Seconds that a wait lasts at most, an account's and the others'."""
_FREE_AT_ONE, _FREE_OF_GROUP, _FREE_OF_ACCOUNT = 3, 20, 10
"""Failures without a wait. People behind one address share its count, so it has more."""
_KEYS = 10_000
_LONGEST_ACCOUNT = 320
"""Characters of the longest email address: 64 before the @ and 255 after it (RFC 5321, 4.5.3.1)."""


class _Failures:
    """The failures of one key, and when it may try again: 1 s after the first that is not free, then twice as long."""

    __slots__ = ("count", "free", "last", "most")

    def __init__(self, free: int, most: float) -> None:
        self.free = free
        self.most = most
        self.count = 0
        self.last = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next attempt; who comes back after exactly that long is let through."""
        over = self.count - self.free
        if over < 0 or self.idle(now):
            return 0.0
        # The power is bounded before it is taken: 2.0 to the thousand is an error.
        free_at = self.last + min(self.most, 2.0 ** min(over, 20))
        if now >= free_at:
            return 0.0
        wait = free_at - now
        return wait if now + wait >= free_at else nextafter(wait, inf)  # rounding must not cost another attempt

    def add(self, now: float) -> None:
        """Count an attempt."""
        self.count = 1 if self.idle(now) else self.count + 1
        self.last = now

    def take_back(self) -> None:
        """An attempt that was counted was no failure."""
        self.count = max(0, self.count - 1)

    def idle(self, now: float) -> bool:
        """Whether there is nothing to remember."""
        return self.count == 0 or now - self.last >= FORGOTTEN


class _Home:
    """Where an account has signed in: when it last did, and its failures there, which no flood of names crowds out."""

    __slots__ = ("at", "failures")

    def __init__(self) -> None:
        self.at = -inf
        self.failures = _Failures(_FREE_AT_ONE, _MOST)

    def idle(self, now: float) -> bool:
        """Whether it is too long ago."""
        return now - self.at >= REMEMBERED


class Throttle:
    """Failures to sign in, for at most `maximum` keys of each kind. `now` is in seconds of a steady clock.

    `account` is the user's id where there is such a user, so that a name and an email address count as one; otherwise
    what was typed. Ask for both in the same way: whether there is a user is nobody's business.
    """

    def __init__(self, maximum: int = _KEYS) -> None:
        self._at_one = _table(_FREE_AT_ONE, _MOST, maximum)
        self._of_group = _table(_FREE_OF_GROUP, _MOST, maximum)
        self._of_account = _table(_FREE_OF_ACCOUNT, ACCOUNT_MOST, maximum)
        self._homes: Keyed[object, _Home] = Keyed(_Home, _Home.idle, maximum)

    def attempt(self, address: str, account: str, now: float) -> Rejection | None:
        """Count an attempt as failed, or refuse it, count nothing and say how long to wait."""
        counted = self._counted(*_keys(address, account), now)
        name, slowest = max(counted.items(), key=lambda item: item[1].wait(now))
        wait = slowest.wait(now)
        if wait > 0.0:
            return Rejection(name, slowest.free, FORGOTTEN, wait)
        for failures in counted.values():
            failures.add(now)
        return None

    def succeeded(self, address: str, account: str, now: float) -> None:
        """The attempt was no failure, and from there this account signs in.

        What others failed at stays counted: an account of one's own is no way to go on guessing at others.
        """
        self.unused(address, account, now)
        home = self._homes.get(_keys(address, account), now)
        home.at = now  # where many had to share a place, it is nobody's home: it is not found by `known`
        home.failures.count = 0

    def unused(self, address: str, account: str, now: float) -> None:
        """The attempt came to nothing, for reasons of our own: nobody learned whether the password was right."""
        for failures in self._counted(*_keys(address, account), now).values():
            failures.take_back()

    def _counted(self, group: str, account: str, now: float) -> dict[str, _Failures]:
        """What an attempt counts towards, by the name of the limit."""
        pair = (group, account)
        everyone, home = self._of_group.get(group, now), self._homes.known(pair)
        if home is None or home.idle(now):
            return {
                "sign-in": self._at_one.get(pair, now),
                "sign-in-address": everyone,
                "sign-in-account": self._of_account.get(account, now),
            }
        # A flood of addresses shares one count with all that have no place. Who signs in here is not part of it.
        shared = self._of_group.known(group) is None
        return {"sign-in": home.failures} if shared else {"sign-in": home.failures, "sign-in-address": everyone}


def _table(free: int, most: float, maximum: int) -> Keyed[object, _Failures]:
    return Keyed(lambda: _Failures(free, most), _Failures.idle, maximum)


def _keys(address: str, account: str) -> tuple[str, str]:
    return address_group(address), account.casefold()[:_LONGEST_ACCOUNT]
