"""For tests that await what a call awaits: in a task, which knows no arrivals."""

import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, TypeVar

from aibridge.gateway.arrival import Arrival

T = TypeVar("T")


async def in_task(work: Awaitable[T]) -> T:
    """Await it, with a future in the place of each arrival that it waits for."""
    return await _driven(work)


@types.coroutine
def waited_for(yielded: Any) -> Generator[Any, Any, None]:
    """Wait for what a coroutine yielded."""
    if isinstance(yielded, Arrival):
        yield from yielded.woken().__await__()
    else:
        yield yielded


@types.coroutine
def _driven(work: Awaitable[T]) -> Generator[Any, Any, T]:
    steps = work.__await__()
    resume: Callable[[], Any] = partial(steps.send, None)
    while True:
        try:
            yielded = resume()
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            yield from waited_for(yielded)
        except BaseException as error:  # noqa: BLE001 (whatever it is, it is the work's)
            resume = partial(steps.throw, error)
        else:
            resume = partial(steps.send, None)
