"""A replica in a process of its own, which takes as fast as it is let.

    replica.py MODE URL SKEW SECONDS RULES

RULES are JSON. It prints "ready", waits for a line, and prints JSON when it is done. `spend` tells the instants at
which calls were admitted, `hold` from when to when each was held; both on the clock that all processes of a host share,
while the counts are given one that is SKEW seconds off. `keep` takes all there is to hold, says so, and keeps it.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import uvloop

from aibridge.domain.rule import Rule
from aibridge.limits import redis_server
from aibridge.limits.counts import Ask, Held
from aibridge.limits.redis import Redis
from aibridge.overload.outcome import Outcome

WORKERS = 16
ASKS = (Ask(0, ""),)

_monotonic = time.monotonic
_time = time.time


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def spend(counts: Redis, until: float) -> list[float]:
    admitted = []
    while (now := _monotonic()) < until:
        answer = await counts.take(ASKS)
        if isinstance(answer, Held):
            admitted.append(_monotonic())
            counts.settle(answer, (1.0,), Outcome.SUCCESS)
        else:
            await asyncio.sleep(min(answer.retry_after, until - now))
    return admitted


async def hold(counts: Redis, until: float) -> list[tuple[float, float]]:
    held = []
    while _monotonic() < until:
        answer = await counts.take(ASKS)
        if isinstance(answer, Held):
            since = _monotonic()
            await asyncio.sleep(random.uniform(0.001, 0.02))
            held.append((since, _monotonic()))
            counts.settle(answer, (1.0,), Outcome.SUCCESS)
        else:
            await asyncio.sleep(0.002)
    return held


async def keep(counts: Redis, most: int) -> None:
    answers = await asyncio.gather(*(counts.take(ASKS) for _ in range(most)))
    assert all(isinstance(answer, Held) for answer in answers)
    say("kept")
    await asyncio.sleep(120.0)


async def main(mode: str, url: str, skew: float, seconds: float, rules: list[Rule]) -> None:
    redis_server.PATIENCE = 2.0  # on a busy machine an answer is late, and is waited for
    time.monotonic = lambda: _monotonic() + skew
    time.time = lambda: _time() + skew
    counts = await Redis.connect(url, rules, clock=time.monotonic)
    assert counts.healthy
    say("ready")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if mode == "keep":
        await keep(counts, rules[0].amount)
    work: Callable[[Redis, float], Awaitable[Sequence[object]]] = spend if mode == "spend" else hold
    until = _monotonic() + seconds
    told = [one for worker in await asyncio.gather(*(work(counts, until) for _ in range(WORKERS))) for one in worker]
    healthy = counts.healthy
    await counts.close()
    say(msgspec.json.encode({"healthy": healthy, "told": told}).decode())


if __name__ == "__main__":
    _, mode_, url_, skew_, seconds_, rules_ = sys.argv
    uvloop.run(main(mode_, url_, float(skew_), float(seconds_), msgspec.json.decode(rules_, type=list[Rule])))
