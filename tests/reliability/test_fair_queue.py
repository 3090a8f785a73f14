"""One who asks for all cannot have it: a hog and a light user before 8 slots, through a real gateway."""

import asyncio
from dataclasses import dataclass
from time import monotonic

from conftest import Told
from gateway_world import World, gateway, run
from server.asking import question

from aibridge.demo import server as demo

SLOTS = 8
SERVICE = 0.2
HOGS = 40
SECONDS = 8.0
EVERY = 0.5
BODY = question(f"demo?latency={SERVICE}")
MOST_TRIES = 3


@dataclass(slots=True, frozen=True)
class Call:
    """A call that was answered: when it was made and when it ended, and with which status."""

    began: float
    ended: float
    status: int


@dataclass(slots=True, frozen=True)
class Run:
    """What became of the light user's calls, and how many calls a second were served, the hog's among them."""

    share: float
    p95: float
    goodput: float

    @property
    def as_specified(self) -> bool:
        return self.p95 <= 0.45 and self.goodput >= 38


async def hog(world: World, until: float, calls: list[Call]) -> None:
    """A client that asks again as soon as it is answered."""
    client = await world.client()
    while (began := monotonic()) < until:
        status = (await client.call(world.request(body=BODY))).status
        calls.append(Call(began, monotonic(), status))


async def light(world: World, until: float) -> list[Call]:
    """A user of two calls a second, whatever becomes of the ones before."""
    token = world.tokens.new("light")
    calls: list[Call] = []

    async def call(began: float) -> None:
        status = (await world.call(world.request(body=BODY, token=token))).status
        calls.append(Call(began, monotonic(), status))

    async with asyncio.TaskGroup() as group:
        while (began := monotonic()) < until:
            group.create_task(call(began))
            await asyncio.sleep(EVERY)
    return calls


async def contended() -> Run:
    provider = await demo.start("127.0.0.1", 0)
    async with gateway(upstream_port=provider.port, max_concurrency=SLOTS, queue_timeout=5.0) as world:
        until = monotonic() + SECONDS + 0.5
        hogged: list[Call] = []
        hogs = [asyncio.create_task(hog(world, until, hogged)) for _ in range(HOGS)]
        await asyncio.sleep(0.5)  # they have filled the slots and the queue by now
        began = monotonic()
        calls = await light(world, until)
        await asyncio.gather(*hogs)
    await provider.close()
    lasted = sorted(call.ended - call.began for call in calls)
    served = sum(began < call.ended <= until for call in (*hogged, *calls) if call.status == 200)
    return Run(
        share=sum(call.status == 200 for call in calls) / len(calls),
        p95=lasted[int(len(lasted) * 0.95)],
        goodput=served / (until - began),
    )


def test_a_hog_does_not_hurt_a_light_user_and_wastes_no_slot(scorecard: Told) -> None:
    """Whoever is light is served in every try; how fast, and how many in all, in the first that nothing disturbs.

    The demo provider, the clients and the gateway share a process: 50 ms in which the machine does other things are
    all that a call of the light user has to spare.
    """
    runs = [run(contended(), within=30.0)]
    while not runs[-1].as_specified and len(runs) < MOST_TRIES:
        runs.append(run(contended(), within=30.0))
    last = runs[-1]
    scorecard(
        17,
        f"real gateway, {SLOTS} slots of {SERVICE * 1000:.0f} ms, hog of {HOGS} clients, try {len(runs)}: light user "
        f"{last.share:.0%} served (>= 99 %), p95 {last.p95 * 1000:.0f} ms (<= 450); {last.goodput:.1f} calls/s "
        f"(>= 38 of 40)",
    )
    assert min(one.share for one in runs) >= 0.99
    assert last.as_specified
