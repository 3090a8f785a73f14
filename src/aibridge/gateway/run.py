"""A call's coroutine, driven where its events are, and by a task only when it waits for something out of the ordinary.

Most calls wait for two things, the rest of their body and their provider's answer, and both are noticed here. To go on
right there saves a task and two turns of the event loop (docs/decisions/0022).
"""

from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Coroutine, Generator
from typing import Any, Final

from aibridge.gateway.arrival import Arrival

_OVER: Final = object()
"""Stands for what a coroutine waits for that has ended."""


class Run:
    """Runs `work`, once. A subclass says what becomes of it then (`ended`).

    It begins in `start` and runs until it waits. Where that is for an `Arrival`, it goes on when that comes, inside
    `come`. For whatever else it first waits, from there on it runs in a task, and may do there what needs one.
    """

    __slots__ = ("_arrival", "_cancelled", "_loop", "_steps", "_task")

    def __init__(self, work: Coroutine[Any, Any, None], loop: AbstractEventLoop) -> None:
        self._steps = _steps_of(work)
        self._loop = loop
        self._arrival: Arrival | None = None
        self._task: Task[None] | None = None
        self._cancelled = False

    def ended(self, reason: BaseException | None) -> None:
        """The work is done; or ended by what it raised, or by the CancelledError of `cancel`."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin. It may be over when this returns."""
        self._go_on(None)

    def cancel(self) -> None:
        """Raise CancelledError where it waits; if it is running just now, where it waits next."""
        arrival, self._arrival = self._arrival, None
        if self._task is not None:
            self._task.cancel()
        elif arrival is not None:
            arrival.then = None
            self._go_on(CancelledError())
        else:
            self._cancelled = True

    def _arrived(self) -> None:
        self._arrival = None
        self._go_on(None)

    def _go_on(self, error: BaseException | None) -> None:
        """Run until it waits, with `error` raised where it waited."""
        waits_for = self._advance(error)
        while self._cancelled and isinstance(waits_for, Arrival):
            self._cancelled = False
            waits_for = self._advance(CancelledError())
        if waits_for is _OVER:
            return
        if isinstance(waits_for, Arrival):
            self._arrival = waits_for
            waits_for.then = self._arrived
            return
        rest = self._rest(waits_for)
        rest.send(None)  # so that it has begun: else a cancellation of the task might come before that, and be lost
        self._task = Task(rest, loop=self._loop)
        if self._cancelled:
            self._task.cancel()

    async def _rest(self, waits_for: Any) -> None:  # noqa: ANN401 (whatever a coroutine may yield)
        """What is left of it, for a task: first that it `waits_for` something."""
        following, waits_for = waits_for, None
        while waits_for is not _OVER:
            try:
                if isinstance(waits_for, Arrival):
                    await waits_for.woken()
                else:
                    await _Yielded(waits_for)
            except BaseException as error:  # noqa: BLE001 (whatever it is, it is meant for the work)
                if following is not None:  # as a task does with what it waits for
                    following.cancel()
                waits_for = self._advance(error)
            else:
                waits_for = following if following is not None else self._advance(None)
            following = None

    def _advance(self, error: BaseException | None) -> Any:  # noqa: ANN401 (as above)
        """Go one step; answer what the work waits for."""
        try:
            waits_for = self._steps.send(None) if error is None else self._steps.throw(error)
        except (Exception, CancelledError) as reason:  # noqa: BLE001 (`ended` decides)
            self.ended(reason)
            reason.__traceback__ = None  # it leads to who told of it, and holds it: a circle, with the whole call in it
            return _OVER
        if waits_for is _OVER:
            self.ended(None)
        return waits_for


def _steps_of(work: Coroutine[Any, Any, None]) -> Generator[Any, None, None]:
    """What it waits for, each in its turn, and at last that it is over: for a return there would be an exception."""
    yield from work.__await__()
    yield _OVER


class _Yielded:
    """Yields something to whoever drives a coroutine."""

    __slots__ = ("_thing",)

    def __init__(self, thing: object) -> None:
        self._thing = thing

    def __await__(self) -> Generator[Any, Any, None]:
        yield self._thing
