"""Sending an answer that needs time or goes wrong: latency, a rate of tokens, and the faults."""

import asyncio
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from aibridge.demo.answer import Script
from aibridge.demo.exchange import Plan
from aibridge.demo.framing import GARBAGE, LAST_CHUNK, chunk

_IN_THE_MIDDLE = frozenset({"stall", "truncate", "reset"})


class Outlet(Protocol):
    """The way to the client."""

    def write(self, data: bytes) -> None:
        """Hand over some bytes."""
        ...

    async def drained(self) -> None:
        """Wait until the client reads again, if it fell behind."""
        ...

    def finish(self) -> None:
        """Send what was handed over, then a FIN."""
        ...

    def reset(self) -> None:
        """Send an RST."""
        ...


async def play(plan: Plan, out: Outlet) -> bool:
    """Send an answer; True when it was handed over whole, False when a fault cut it short.

    A stall has no end of its own: it lasts until the client leaves or the server stops, which cancel it.
    """
    if plan.behaviour.fault == "stall_before":
        return await _stall()
    if plan.delay:
        await asyncio.sleep(plan.delay)
    if plan.behaviour.fault == "garbage":
        out.write(GARBAGE)
        out.finish()
        return False
    if isinstance(plan.body, Script):
        return await _play_script(plan, plan.body, out)
    if plan.behaviour.fault in _IN_THE_MIDDLE:
        out.write(plan.head + plan.body[: len(plan.body) // 2])
        return await _cut(plan, out)
    out.write(plan.head + plan.body)
    return True


async def _play_script(plan: Plan, script: Script, out: Outlet) -> bool:
    behaviour = plan.behaviour
    is_cut, is_failed = behaviour.fault in _IN_THE_MIDDLE, behaviour.fault == "error_event"
    out.write(plan.head)
    await _send(plan, script.opening, out)
    deltas = islice(script.deltas, behaviour.after) if is_cut or is_failed else script.deltas
    sent = await _send(plan, deltas, out, behaviour.rate)
    if is_cut:
        return await _cut(plan, out)
    await _send(plan, script.failure(sent) if is_failed else script.closing, out)
    if plan.chunked:
        out.write(LAST_CHUNK)
    return True


async def _send(plan: Plan, events: Iterable[bytes], out: Outlet, rate: float = 0.0) -> int:
    """Send events, `rate` a second or else one in every round of the event loop, so that each is a write of its own.

    The schedule is absolute: what one event is late does not delay the next.
    """
    loop = asyncio.get_running_loop()
    due, sent = loop.time(), 0
    for event in events:
        out.write(chunk(event) if plan.chunked else event)
        await out.drained()
        sent += 1
        if rate:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
        elif not plan.behaviour.burst:
            await asyncio.sleep(0)
    return sent


async def _cut(plan: Plan, out: Outlet) -> bool:
    match plan.behaviour.fault:
        case "truncate":
            out.finish()
        case "reset":
            out.reset()
        case _:
            return await _stall()
    return False


async def _stall() -> bool:
    stalled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    return await stalled
