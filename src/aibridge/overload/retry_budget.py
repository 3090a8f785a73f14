"""How many retries a gateway may add to the load, as a share of its calls.

Retries help against a failure here and there, and finish off a provider that fails because it has too much to do: three
attempts of a gateway for each of three of a client are nine calls where one was too many. A budget tells the two
apart. Single failures are always paid for; when most calls fail, no more is added than a share of them.
"""

from math import inf


class RetryBudget:
    """In any stretch of W seconds with n calls, at most `ratio * n + floor * W + cap` retries.

    A call earns `ratio` of a retry, and each second `floor` of one, so that a gateway with few calls may retry at all.
    Not more than `cap` retries are saved up, so that a quiet hour does not pay for a storm; a budget begins with as
    many. The default pays for 94 % of the retries where one call in twenty fails and failures come in fives; with a
    cap of 2, for 35 %. A ratio of 0 switches retries off. What is not allowed is a ValueError.

    A clock that steps back is taken for one that stands still.
    """

    __slots__ = ("_at", "_balance", "_floor", "_most", "_ratio")

    def __init__(self, ratio: float = 0.1, *, floor: float = 0.1, cap: float = 10.0) -> None:
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"ratio must be 0 (off) or a share up to 1, not {ratio}")
        if not 0.0 <= floor < inf:
            raise ValueError(f"floor must be 0 (off) or a positive number of retries per second, not {floor}")
        if not 1.0 <= cap < inf:
            raise ValueError(f"cap must be at least 1 retry, not {cap}")
        self._ratio = ratio
        self._floor = floor
        self._most = cap if ratio else 0.0
        self._balance = self._most
        self._at = -inf

    def deposit(self, now: float) -> None:
        """A call came in. A retry is not a call."""
        self._earn(now, self._ratio)

    def withdraw(self, now: float) -> bool:
        """Whether one retry may be made now; it is paid for if so."""
        self._earn(now, 0.0)
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True

    def _earn(self, now: float, share: float) -> None:
        if self._floor and now > self._at:
            share += self._floor * (now - self._at)
            self._at = now
        self._balance = min(self._balance + share, self._most)
