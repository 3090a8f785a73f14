"""What happens to shared limits when the primary dies and its replica takes over, behind an address that stays."""

import asyncio
import time
from collections.abc import Iterator
from math import ceil

import pytest
import uvloop
from conftest import Told
from failover import Nodes, address, nodes
from redis_world import acquainted
from valkey_server import be_patient, until

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Ask, Held
from aibridge.limits.redis import Redis
from aibridge.limits.redis_script import DIGEST

WINDOW = Rule(name="window", unit=Unit.REQUESTS, amount=100, window=1.0)
PACE = Rule(name="pace", unit=Unit.REQUESTS, amount=100, window=1.0, burst=50)
"""The burst is more than what a share has in one `BEAT`: so long one replica may be back, and the other not yet."""
BUDGET = Rule(name="budget", unit=Unit.REQUESTS, amount=700, window=600.0)
HELD = Rule(name="held", unit=Unit.CONCURRENT, amount=20)
RULES = (WINDOW, PACE, BUDGET, HELD)
HELD_KEY = "{aibridge}:concurrent:held:held:"
KEYS = ("ann", "bob")
HOLD = Ask(3, "")
SPEND = Ask(2, "ann")


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Servers that are waited for on a busy machine, too: here they die, and do not fall silent."""
    be_patient(monkeypatch)
    with nodes() as made:
        yield made


class Load:
    """Callers of both replicas that try all the time, for each key and each rate: when they were admitted."""

    def __init__(self, made: list[Redis]) -> None:
        self.admitted: dict[Ask, list[float]] = {Ask(rule, key): [] for rule in range(3) for key in KEYS}
        self.began = self.ended = time.monotonic()
        self._tasks = [asyncio.create_task(self._try(counts, ask)) for counts in made for ask in self.admitted]

    async def _try(self, counts: Redis, ask: Ask) -> None:
        while True:
            if isinstance(await counts.take((ask,)), Held):
                self.admitted[ask].append(time.monotonic())
            await asyncio.sleep(0.008)

    async def end(self) -> None:
        self.ended = time.monotonic()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def beyond(self) -> float:
        """The most that any key had beyond its limit, in bursts: over all the time, and within any second of it."""
        seconds = self.ended - self.began
        return max(
            (most_within(length, instants) - fair(RULES[ask.rule], length))
            / (RULES[ask.rule].burst or RULES[ask.rule].amount)
            for ask, instants in self.admitted.items()
            for length in (1.0, seconds)
        )


def most_within(length: float, instants: list[float]) -> int:
    return max(sum(since <= at < since + length for at in instants) for since in instants)


def fair(rule: Rule, length: float) -> float:
    """How many a rule admits within so many seconds."""
    if rule.burst is None:
        return rule.amount * ceil(length / rule.window)
    return rule.burst + rule.amount * length / rule.window


async def all_held(counts: Redis, most: int, ask: Ask = HOLD) -> list[Held]:
    """Take until refused."""
    held = [await counts.take((ask,)) for _ in range(most)]
    return [one for one in held if isinstance(one, Held)]


async def healthy(made: list[Redis], *, within: float) -> float:
    return await until(lambda: all(counts.healthy for counts in made), within=within)


def test_a_sentinel_promotes_the_replica_of_a_killed_primary(house: Nodes, scorecard: Told) -> None:
    async def scenario() -> tuple[Load, float, float]:
        primary = await house.server()
        replica = await house.replica(primary)
        sentinel = await house.sentinel(primary)
        async with address(primary) as place, acquainted(place, *RULES) as made:
            load = Load(made)
            held = await all_held(made[0], 9) + await all_held(made[1], 8)
            await asyncio.sleep(1.5)
            assert all(counts.healthy for counts in made)
            primary.kill()
            killed = time.monotonic()
            await sentinel.until_it_says(str(replica.port), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "counts")
            assert not any(counts.healthy for counts in made)
            place.primary = replica
            took = time.monotonic() - killed
            healed = await healthy(made, within=5.0)
            await asyncio.sleep(1.5)
            assert len(held) == await replica.number("ZCARD", HELD_KEY) == 17
            assert len(await all_held(made[1], 20)) == 3
            await load.end()
            return load, took, healed

    load, took, healed = uvloop.run(scenario())
    beyond = load.beyond()
    scorecard(
        33,
        f"Redis killed, its replica promoted by a sentinel after {took:.1f} s: {beyond:.2f} bursts beyond the limit of "
        f"any of {len(load.admitted)} counts (<= 1), shared again after {healed:.2f} s (<= 2 s)",
    )
    assert beyond <= 1.0
    assert healed <= 2.0
    assert all(len(instants) > 200 for instants in load.admitted.values())


def test_a_primary_that_was_demoted_is_left_for_the_new_one(house: Nodes, scorecard: Told) -> None:
    """As when a service is upgraded: the address leads elsewhere, too early at first, then with no connection ended."""

    async def scenario() -> tuple[Load, list[float]]:
        first = await house.server()
        second = await house.replica(first)
        async with address(first) as place, acquainted(place, *RULES) as made:
            load = Load(made)
            held = await all_held(made[0], 9) + await all_held(made[1], 8)
            await asyncio.sleep(0.5)
            assert await second.says("SCRIPT", "EXISTS", DIGEST) == "*1\r\n:0\r\n"
            place.primary = second
            place.hang_up()
            await until(lambda: not any(counts.healthy for counts in made), within=2.0)
            await asyncio.sleep(0.6)
            assert not any(counts.healthy for counts in made), "it may be read and not written to"
            await second.lead()
            healed = [await healthy(made, within=5.0)]
            await first.follow(second)
            await asyncio.sleep(0.5)
            assert all(counts.healthy for counts in made)
            await second.hand_over(first)
            await until(lambda: not any(counts.healthy for counts in made), within=2.0)
            place.primary = first
            healed.append(await healthy(made, within=5.0))
            await asyncio.sleep(0.5)
            assert len(held) == await first.number("ZCARD", HELD_KEY) == 17
            await load.end()
            return load, healed

    load, healed = uvloop.run(scenario())
    beyond = load.beyond()
    scorecard(
        33,
        f"Redis moved to a replica and back: {beyond:.2f} bursts beyond (<= 1), shared again after "
        f"{' and '.join(f'{took:.2f}' for took in healed)} s (<= 2 s)",
    )
    assert beyond <= 1.0
    assert max(healed) <= 2.0


def test_what_the_replica_never_heard_of_costs_one_burst(house: Nodes, scorecard: Told) -> None:
    """Replication is told late; here nothing at all was heard."""

    async def scenario() -> tuple[int, float]:
        primary = await house.server()
        replica = await house.replica(primary)
        async with address(primary) as place, acquainted(place, *RULES) as made:
            await replica.lead()
            held = await all_held(made[0], 9) + await all_held(made[1], 8)
            spent = [len(await all_held(counts, 800, SPEND)) for counts in made]
            assert spent == [700, 0]
            primary.kill()
            place.primary = replica
            await until(lambda: not any(counts.healthy for counts in made), within=2.0)
            healed = await healthy(made, within=5.0)
            spent += [len(await all_held(counts, 800, SPEND)) for counts in made]
            await asyncio.sleep(0.1)
            assert len(held) == await replica.number("ZCARD", HELD_KEY) == 17
            return sum(spent), healed

    spent, healed = uvloop.run(scenario())
    scorecard(
        33,
        f"Redis lost with all that it knew: {spent / BUDGET.amount - 1.0:.2f} bursts beyond (<= 1), shared again after "
        f"{healed:.2f} s (<= 2 s)",
    )
    assert spent <= 2 * BUDGET.amount
    assert healed <= 2.0
