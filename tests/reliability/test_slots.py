"""Permits through a real gateway: none leaks, whatever becomes of the calls, and none is given back early."""

import asyncio
import random
from typing import Any

from conftest import Told
from gateway_world import World, gateway, run, until
from scripted_upstream import Incoming, Script, silence
from vendor_samples import CHAT, LAST_CHUNK, STREAM_HEAD, chunk, framed

from aibridge.domain.rule import Rule, Subject, Unit

CALLS = 5_000
AT_ONCE = 50
EACH = Rule(name="each", unit=Unit.CONCURRENT, amount=5, subject=Subject.USER, queue_timeout=0.01, queue_size=2)


def any_fate(chance: random.Random) -> Script:
    """A provider that answers, streams or dies, as chance will have it."""

    async def fate(incoming: Incoming) -> None:
        draw = chance.random()
        if draw < 0.3:
            incoming.send(framed(CHAT.answer))
        elif draw < 0.4:
            incoming.hang_up()
        elif draw < 0.5:
            incoming.reset()
        else:
            incoming.send(STREAM_HEAD)
            for event in CHAT.events:
                incoming.send(chunk(event))
                await asyncio.sleep(0.001)
            if draw < 0.9:
                incoming.send(LAST_CHUNK)
            else:
                incoming.reset()

    return fate


async def any_call(world: World, chance: random.Random) -> None:
    """A client that waits for its answer, or leaves at any moment, politely or not, before or after it has asked."""
    client = await world.client()
    request = world.request(streaming=chance.random() < 0.5)
    cut = chance.random()
    await client.send(request[: chance.randrange(len(request))] if cut < 0.1 else request)
    if cut >= 0.6:
        await client.answer()
    else:
        for _ in range(chance.randrange(15)):
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            client.reset()
    client.writer.close()


def decided(world: World, outcome: str) -> int:
    return sum(number for (_, _, decision), number in world.plane.limits.decisions.items() if decision == outcome)


def test_no_slot_leaks_over_thousands_of_mixed_endings(scorecard: Told) -> None:
    chance = random.Random(11)
    everything_on: dict[str, Any] = {
        "limits": (EACH,),
        "max_concurrency": 10,
        "queue_timeout": 0.05,
        "max_retries": 1,
        "adaptive_concurrency": True,
        "circuit_breaker_enabled": True,
        "circuit_breaker_timeout": 0.01,
    }

    async def test() -> None:
        async with gateway(any_fate(chance), **everything_on) as world:

            async def many() -> None:
                for _ in range(CALLS // AT_ONCE):
                    await any_call(world, chance)

            await asyncio.gather(*(many() for _ in range(AT_ONCE)))
            await until(lambda: not world.held(), world.held)
            left = sum(one.used for one in await world.counts.present(10))
            refused, waited = decided(world, "refused"), decided(world, "queued")
            scorecard(
                11,
                f"{CALLS} mixed endings ({refused} refused, {waited} waited): "
                f"{left:.0f} permits held after 1 s (target 0)",
            )
            assert left == 0
            assert world.counts.waiting == 0
            assert waited > 0
            assert refused > 0

    run(test(), within=100.0)


def test_a_stream_holds_its_slot_to_the_last_byte(scorecard: Told) -> None:
    async def test() -> None:
        async with gateway(silence, max_concurrency=1) as world:
            await (await world.client()).send(world.request(streaming=True))
            incoming = await world.upstream.request()
            incoming.send(STREAM_HEAD + chunk(CHAT.events[0]))
            await until(lambda: world.permits == 1)
            statuses = []
            for event in CHAT.events[1:]:
                incoming.send(chunk(event))
                await asyncio.sleep(0.002)
                statuses.append((await world.call(world.request())).status)
            incoming.send(LAST_CHUNK)
            await until(lambda: world.permits == 0)
            scorecard(14, f"held through {len(statuses)} events, free after the last byte: yes")
            assert set(statuses) == {503}

    run(test())
