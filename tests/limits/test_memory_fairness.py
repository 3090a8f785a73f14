"""`Memory` under many who lean on it at once, on a virtual clock: fair, bounded, and empty in the end."""

import asyncio
import random
from dataclasses import dataclass, field
from statistics import quantiles

import pytest
from virtual_time import run

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Ask, Held, Place, Refusal
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome

ASKS = (Ask(0, ""),)


@dataclass
class Seen:
    """What the callers of one flow saw."""

    served: int = 0
    refused: int = 0
    latencies: list[float] = field(default_factory=list)


async def one_call(memory: Memory, place: Place, service: float, seen: Seen) -> Refusal | None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await memory.take(ASKS, place)
    if isinstance(answer, Refusal):
        seen.refused += 1
        return answer
    await asyncio.sleep(service)
    memory.settle(answer, (1.0,), Outcome.SUCCESS)
    seen.served += 1
    seen.latencies.append(loop.time() - began)
    return None


@pytest.mark.parametrize(("size", "timeout"), [(100, 5.0), (16, 1.0)])
def test_one_hog_with_forty_clients_cannot_hurt_a_light_user(size: int, timeout: float) -> None:
    rule = Rule(name="slots", unit=Unit.CONCURRENT, amount=8, queue_timeout=timeout, queue_size=size)
    hog, light, seconds = Seen(), Seen(), 60.0

    async def scenario() -> None:
        memory = Memory([rule], asyncio.get_running_loop().time)

        async def client() -> None:
            while True:
                answer = await one_call(memory, Place("hog"), 0.2, hog)
                if answer is not None:
                    await asyncio.sleep(max(1.0, answer.retry_after))

        clients = [asyncio.create_task(client()) for _ in range(40)]
        calls = []
        for _ in range(int(seconds * 2)):
            await asyncio.sleep(0.5)
            calls.append(asyncio.create_task(one_call(memory, Place("light"), 0.2, light)))
        for task in clients:
            task.cancel()
        await asyncio.gather(*calls)

    run(scenario())
    assert light.served >= 0.99 * seconds * 2
    assert quantiles(light.latencies, n=20)[-1] <= 0.45
    assert hog.served + light.served >= 38 * seconds


def test_two_floods_share_equally_though_one_has_ten_times_the_clients() -> None:
    rule = Rule(name="slots", unit=Unit.CONCURRENT, amount=4, queue_timeout=20.0, queue_size=200)
    few, many = Seen(), Seen()

    async def scenario() -> None:
        memory = Memory([rule], asyncio.get_running_loop().time)

        async def client(flow: str, seen: Seen) -> None:
            while True:
                await one_call(memory, Place(flow), 0.1, seen)

        clients = [asyncio.create_task(client("few", few)) for _ in range(6)]
        clients += [asyncio.create_task(client("many", many)) for _ in range(60)]
        await asyncio.sleep(60.0)
        for task in clients:
            task.cancel()

    run(scenario())
    assert few.served + many.served >= 0.99 * 4 / 0.1 * 60
    assert few.served == pytest.approx(many.served, rel=0.02)


@pytest.mark.parametrize("seed", range(8))
def test_no_interleaving_loses_a_permit_or_gives_one_too_many(seed: int) -> None:
    chance = random.Random(seed)
    rules = [
        Rule(name="all", unit=Unit.CONCURRENT, amount=4, queue_timeout=0.5, queue_size=6),
        Rule(name="own", unit=Unit.CONCURRENT, amount=2, queue_timeout=0.2, queue_size=3),
        Rule(name="rate", unit=Unit.REQUESTS, amount=60, window=1.0),
    ]
    running, most = [0, 0], [0, 0]
    endings = {"served": 0, "refused": 0, "cancelled": 0}

    async def call(memory: Memory, asks: tuple[Ask, ...], place: Place, service: float) -> None:
        try:
            answer = await memory.take(asks, place)
            if not isinstance(answer, Held):
                endings["refused"] += 1
                return
            places = [ask.rule for ask in asks if ask.rule < 2]
            for rule in places:
                running[rule] += 1
                most[rule] = max(most[rule], running[rule])
            try:
                await asyncio.sleep(service)
                endings["served"] += 1
            finally:
                for rule in places:
                    running[rule] -= 1
                memory.settle(answer, tuple(float(chance.random() < 0.8) for _ in asks), Outcome.SUCCESS)
        except asyncio.CancelledError:
            endings["cancelled"] += 1
            raise

    async def scenario() -> None:
        memory = Memory(rules, asyncio.get_running_loop().time)
        tasks = []
        for _ in range(1500):
            asks = tuple(Ask(rule, "") for rule in range(3) if chance.random() < 0.7)
            place = Place(chance.choice("abc"), chance.choice("xy"), batch=chance.random() < 0.2)
            tasks.append(asyncio.create_task(call(memory, asks, place, chance.choice((0.0, 0.05, 0.1)))))
            for task in chance.sample(tasks[-12:], k=min(len(tasks), chance.choice((0, 0, 0, 1, 2)))):
                task.cancel()
            if chance.random() < 0.6:
                await asyncio.sleep(chance.choice((0.0, 0.0, 0.01, 0.05)))
        await asyncio.wait(tasks)
        assert memory.waiting == 0
        now = asyncio.get_running_loop().time()
        assert [memory._counters[rule].limiters.get("", now).used(now) for rule in range(2)] == [0, 0]

    run(scenario())
    assert (most[0], most[1]) == (4, 2)
    assert min(endings.values()) >= 50
