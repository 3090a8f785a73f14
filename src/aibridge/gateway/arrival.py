"""What a call waits for, and goes on with at once when it is here: the end of an answer, the rest of a body."""

from asyncio import Future, get_running_loop
from collections.abc import Callable, Generator
from functools import partial


class Arrival:
    """Comes once, or fails to; one coroutine waits for it.

    It is itself what the coroutine yields: whoever drives that (`run`) is told through `then`, inside `come`. A task,
    which understands futures only, waits by `woken`.
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

    def __await__(self) -> Generator["Arrival", None, None]:
        """Wait until it comes, and raise what kept it from that."""
        if not self._here:
            yield self
        if self._error is not None:
            raise self._error

    async def woken(self) -> None:
        """Wait in a task until it has come, or failed to, which is not told."""
        if not self._here:
            woken: Future[None] = get_running_loop().create_future()
            self.then = partial(_wake, woken)
            await woken


def _wake(waiting: Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
