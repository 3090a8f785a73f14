"""The rate limit of the API: so many requests a minute for each user, or address, and endpoint.

An owner's program that has to do more says so: the header `X-Coder-Bypass-Ratelimit: true` is believed from owners and
is an error from everybody else, since whoever sends it counts on it.
"""

from time import monotonic

from aibridge.control.caller import Caller
from aibridge.control.errors import BypassRefused
from aibridge.domain.errors import RateLimited
from aibridge.domain.roles import OWNER
from aibridge.overload.caller import address_group
from aibridge.overload.keyed import Keyed
from aibridge.overload.rate import ExactWindow, RateLimiter

WINDOW = 60.0
"""Seconds."""
NAME = "api"
_MOST_KEYS = 100_000
_TRUE = frozenset(("1", "t", "T", "true", "True", "TRUE"))
"""What Go's strconv.ParseBool takes for true, and so do the clients that send this header."""


class RateLimit:
    """At most `amount` requests in any minute by one user or address to one endpoint; 0 is no limit."""

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._limiters: Keyed[tuple[str, str], RateLimiter] = Keyed(
            lambda: ExactWindow(max(amount, 1), WINDOW, NAME), lambda limiter, now: limiter.idle(now), _MOST_KEYS
        )

    def take(self, operation: str, caller: Caller | None, address: str, bypass: str | None) -> None:
        """Count a request. `bypass` is the value of the header, None without one.

        Raises:
            BypassRefused: the header says true, and it is no owner's.
            RateLimited: there were too many, with the true wait.
        """
        if bypass is not None and bypass.strip() in _TRUE:
            if caller is None or OWNER.identifier not in caller.subject.roles:
                raise BypassRefused
            return
        if not self._amount:
            return
        who = f"user {caller.id}" if caller is not None else f"address {address_group(address)}"
        now = monotonic()
        rejection = self._limiters.get((who, operation), now).take(now)
        if rejection is not None:
            raise RateLimited(
                f"You've been rate limited for sending more than {self._amount} requests in {WINDOW:g}s.",
                "The limit is --api-rate-limit, for each user and endpoint.",
                rejection=rejection,
            )
