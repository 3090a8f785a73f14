"""One lazy timer per connection, however many deadlines it lives through."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from time import monotonic


class Watchdog:
    """Calls `look` no later than asked, and as seldom as that allows.

    Arming and cancelling a timer for every call costs more than the call's limits do. Deadlines mostly move later, so
    the timer is left to fire at the earliest instant ever asked for; `look(now)` then does what is due and answers when
    to look again, or None for never. All instants are seconds of the monotonic clock.
    """

    __slots__ = ("_at", "_handle", "_look", "_loop")

    def __init__(self, loop: AbstractEventLoop, look: Callable[[float], float | None]) -> None:
        self._loop = loop
        self._look = look
        self._handle: TimerHandle | None = None
        self._at = 0.0

    def by(self, instant: float) -> None:
        """Look at `instant` at the latest."""
        if self._handle is not None:
            if self._at <= instant:
                return
            self._handle.cancel()
        self._at = instant
        self._handle = self._loop.call_later(max(0.0, instant - monotonic()), self._fire)

    def stop(self) -> None:
        """Look no more. What is watched is gone."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        now = monotonic()
        again = self._look(max(now, self._at))  # a timer may fire a clock tick early; what was due then is due now
        if again is not None:
            self.by(max(again, now))
