"""A hog of one server does not hurt a light user of another, though both wait for the same slots."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic

import pytest
import uvloop
from conftest import Told
from redis_world import acquainted, give_back
from valkey_server import ValkeyServer, be_patient, running

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Ask, Held, Place
from aibridge.limits.redis import Redis

SLOTS = Rule(name="slots", unit=Unit.CONCURRENT, amount=8, queue_timeout=2.0, queue_size=1000)
SERVICE = 0.2
HOGS = 40
EVERY = 0.25
SECONDS = 5.0
LED_IN = 0.5
MOST_TRIES = 3


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A server that is waited for on a busy machine, too."""
    be_patient(monkeypatch)
    with running() as server:
        yield server


@dataclass(slots=True)
class Seen:
    """How long those calls took that were served, and how many were not."""

    served: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def share(self) -> float:
        return len(self.served) / (len(self.served) + self.refused)

    @property
    def p95(self) -> float:
        return sorted(self.served)[int(len(self.served) * 0.95)]


async def call(counts: Redis, who: str, seen: Seen) -> None:
    began = monotonic()
    answer = await counts.take((Ask(0, ""),), Place(who))
    if not isinstance(answer, Held):
        seen.refused += 1
        return
    await asyncio.sleep(random.uniform(0.5, 1.5) * SERVICE)
    give_back(counts, answer)
    seen.served.append(monotonic() - began)


async def contended(server: ValkeyServer, hogs_at: tuple[int, ...]) -> tuple[Seen, float]:
    """What became of the light user's calls, and how many calls a second were served, the hog's among them."""
    async with acquainted(server, SLOTS) as made:
        hog, light = Seen(), Seen()

        async def hogging(counts: Redis) -> None:
            while True:
                await call(counts, "hog", hog)

        hogs = [asyncio.create_task(hogging(made[hogs_at[number % len(hogs_at)]])) for number in range(HOGS)]
        await asyncio.sleep(LED_IN)
        before, began = len(hog.served), monotonic()
        async with asyncio.TaskGroup() as calls:
            while monotonic() < began + SECONDS:
                calls.create_task(call(made[1], "light", light))
                await asyncio.sleep(EVERY)
        rate = (len(hog.served) - before + len(light.served)) / (monotonic() - began)
        assert all(counts.healthy for counts in made)
        for task in hogs:
            task.cancel()
        await asyncio.wait(hogs)
        return light, rate


@pytest.mark.parametrize("hogs_at", [(0,), (0, 1)], ids=["hog elsewhere", "hog everywhere"])
def test_a_hog_of_one_server_does_not_hurt_a_light_user_of_another(
    server: ValkeyServer, hogs_at: tuple[int, ...], scorecard: Told
) -> None:
    light, rate = Seen(), 0.0
    for _ in range(MOST_TRIES):
        light, rate = uvloop.run(contended(server, hogs_at))
        assert light.share >= 0.99
        if light.p95 <= 0.45 and rate >= 38.0:
            break
    scorecard(
        17,
        f"two servers, {SLOTS.amount} slots, hog of {HOGS} clients at {len(hogs_at)} of them: light user "
        f"{light.share:.0%} served (>= 99 %), p95 {light.p95 * 1000:.0f} ms (<= 450); {rate:.1f} calls/s (>= 38 of 40)",
    )
    assert light.p95 <= 0.45
    assert rate >= 38.0
