"""For tests that await what a call awaits: in a task, which knows no arrivals."""

import contextlib
import types
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
from typing import Any

from aibridge.gateway.arrival import Arrival

Cut = Callable[[], None] | Exception


async def in_task(work: Awaitable[None]) -> None:
    """Await it, with a future in the place of each arrival that it waits for."""
    await Stepper(work, {}).run()


class Stepper:
    """Runs what can be awaited, in a task, and does something, or raises it, at each of the given suspensions."""

    def __init__(self, work: Awaitable[None], cuts: Mapping[int, Cut]) -> None:
        self._work = work.__await__()
        self._cuts = cuts
        self.awaits = 0

    @types.coroutine
    def run(self) -> Generator[Any, Any, None]:
        work = self._work
        resume: Callable[[], Any] = partial(work.send, None)
        with contextlib.suppress(StopIteration):
            while True:
                yielded = resume()
                self.awaits += 1
                cut = self._cuts.get(self.awaits)
                if isinstance(cut, Exception):
                    resume = partial(work.throw, cut)
                    continue
                if cut is not None:
                    cut()
                try:
                    if isinstance(yielded, Arrival):
                        yield from yielded.woken().__await__()
                    else:
                        yield yielded
                except BaseException as error:  # noqa: BLE001 (whatever it is, it is the work's)
                    resume = partial(work.throw, error)
                else:
                    resume = partial(work.send, None)
