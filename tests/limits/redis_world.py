"""Replicas over a real server, and what tests ask of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.counts import Ask, Counts, Held, Place, Refusal
from aibridge.limits.redis import LEASE, Redis
from aibridge.overload.outcome import Outcome

HELD = Rule(name="held", unit=Unit.CONCURRENT, amount=2)
CALLS = Rule(name="calls", unit=Unit.REQUESTS, amount=3, window=60.0, subject=Subject.USER)
TOKENS = Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=1000, window=3600.0)
QUEUED = Rule(name="queued", unit=Unit.CONCURRENT, amount=1, queue_timeout=2.0, queue_size=10)
LEASES = "{aibridge}:concurrent:held:%s:"


class Reachable(Protocol):
    """A server, or what leads to one."""

    @property
    def url(self) -> str: ...


@asynccontextmanager
async def replicas(
    server: Reachable, *rules: Rule, number: int = 1, lease: float = LEASE
) -> AsyncIterator[list[Redis]]:
    made = [await Redis.connect(server.url, rules, lease=lease) for _ in range(number)]
    try:
        yield made
    finally:
        for counts in made:
            await counts.close()


@asynccontextmanager
async def acquainted(server: Reachable, *rules: Rule, number: int = 2) -> AsyncIterator[list[Redis]]:
    """Replicas, each of which has counted the others."""
    async with replicas(server, *rules, number=number) as made:
        await asyncio.sleep(0.6)
        yield made


async def held(counts: Counts, *asks: Ask, place: Place | None = None) -> Held:
    answer = await counts.take(asks, place)
    assert isinstance(answer, Held), answer
    return answer


async def refused(counts: Counts, *asks: Ask, place: Place | None = None) -> Refusal:
    answer = await counts.take(asks, place)
    assert isinstance(answer, Refusal), answer
    return answer


def give_back(counts: Counts, one: Held, *costs: float) -> None:
    counts.settle(one, costs or (1.0,) * len(one.asks), Outcome.SUCCESS)


async def used(counts: Counts) -> dict[tuple[int, str], float]:
    return {(present.rule, present.key): present.used for present in await counts.present(100)}
