"""An event loop whose clock moves only when it is told to: what waits for time then waits for no time at all."""

import asyncio
from asyncio import _set_running_loop  # meant for those who write event loops, as asyncio.events says
from collections import deque
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import TypeVarTuple

Arguments = TypeVarTuple("Arguments")
_Call = tuple[Callable[..., object], tuple[object, ...], asyncio.Handle | None]


class _Handle(asyncio.Handle):
    """What was asked for, and may be cancelled; it costs a third of its parent, which could run it as well."""

    __slots__ = ("_is_cancelled",)

    def __init__(self) -> None:
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    def cancelled(self) -> bool:
        return self._is_cancelled


class _TimerHandle(asyncio.TimerHandle):
    """As `_Handle`, for an instant."""

    __slots__ = ("_at", "_is_cancelled")

    def __init__(self, at: float) -> None:
        self._at = at
        self._is_cancelled = False

    def when(self) -> float:
        return self._at

    def cancel(self) -> None:
        self._is_cancelled = True

    def cancelled(self) -> bool:
        return self._is_cancelled


class VirtualLoop(asyncio.BaseEventLoop):
    """Futures and timers, and no input or output. Its seconds are those of whatever clock is played.

    All happens within `advance` and `finish`, in the order of time; at one instant, what was asked for first comes
    first. Contexts of `contextvars` are not kept apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self._instant = -inf
        self._order = count()
        self._timers: list[tuple[float, int, _Call]] = []
        self._soon: deque[_Call] = deque()

    def time(self) -> float:
        """The instant that is played."""
        return self._instant

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,  # noqa: ARG002 (see above)
    ) -> asyncio.Handle:
        """Call it once what happens now is over."""
        handle = _Handle()
        self._soon.append((callback, args, handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call it `delay` seconds from now."""
        return self.call_at(self._instant + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,  # noqa: ARG002 (see above)
    ) -> asyncio.TimerHandle:
        """Call it at an instant."""
        handle = _TimerHandle(when)
        heappush(self._timers, (when, next(self._order), (callback, args, handle)))
        return handle

    def play(self, when: float, callback: Callable[[*Arguments], object], *args: *Arguments) -> None:
        """Call it at an instant, without a way to cancel that."""
        heappush(self._timers, (when, next(self._order), (callback, args, None)))

    def soon(self, callback: Callable[[*Arguments], object], *args: *Arguments) -> None:
        """Call it once what happens now is over, without a way to cancel that."""
        self._soon.append((callback, args, None))

    def enter(self) -> None:
        """Become the loop that code finds running."""
        _set_running_loop(self)

    def leave(self) -> None:
        """Be it no longer, and end."""
        _set_running_loop(None)
        self.close()

    def advance(self, instant: float) -> None:
        """Let happen what happens until an instant, that included."""
        self.settle()
        timers, soon = self._timers, self._soon
        while timers and timers[0][0] <= instant:
            when, _, (callback, args, handle) = heappop(timers)
            self._instant = max(self._instant, when)
            if handle is None or not handle.cancelled():
                callback(*args)
                if soon:
                    self.settle()
        self._instant = max(self._instant, instant)

    def finish(self) -> None:
        """Let happen all that is left to happen."""
        self.settle()
        while self._timers:
            self.advance(self._timers[0][0])

    def settle(self) -> None:
        """Let happen what happens now."""
        while self._soon:
            callback, args, handle = self._soon.popleft()
            if handle is None or not handle.cancelled():
                callback(*args)
