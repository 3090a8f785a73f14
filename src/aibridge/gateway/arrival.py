"""What a call waits for, and goes on with at once when it is here: the end of an answer, the rest of a body."""

from asyncio import Future, current_task, get_running_loop
from collections.abc import Callable, Generator
from functools import partial
from typing import Any


class Arrival:
    """Comes once, or fails to; one coroutine waits for it.

    In a task that is as ever: it goes on in the next turn of the loop. Without one, the arrival itself is what the
    coroutine yields, and whoever drives it (`run`) is told through `then`, inside `come`.
    """

    __slots__ = ("_error", "_here", "then")

    def __init__(self) -> None:
        self.then: Callable[[], object] | None = None
        """What is called when it comes."""
        self._here = False
        self._error: Exception | None = None

    def come(self, error: Exception | None = None) -> None:
        """It is here; or, with an error, it never will be, and that is raised where it is awaited. Once: not again."""
        if self._here:
            return
        self._here = True
        self._error = error
        then, self.then = self.then, None
        if then is not None:
            then()

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait until it comes, and raise what kept it from that."""
        if not self._here:
            if current_task() is None:
                yield self
            else:
                woken: Future[None] = get_running_loop().create_future()
                self.then = partial(_wake, woken)
                yield from woken
        if self._error is not None:
            raise self._error


def _wake(waiting: Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
