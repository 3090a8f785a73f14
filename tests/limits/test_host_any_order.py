"""Workers that take, give back, lose patience and die in any order: never too much is held, and nothing stays."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop
from host_world import Host, host
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Ask, Held, Place
from aibridge.limits.host import HostCounts
from aibridge.overload.outcome import Outcome

MOST = 3
RULE = Rule(name="queue", unit=Unit.CONCURRENT, amount=MOST, queue_timeout=60.0, queue_size=5)

Step = tuple[str, int]
"""What happens, and to whom."""
steps = st.lists(
    st.tuples(st.sampled_from(["take", "settle", "cancel", "kill", "turn"]), st.integers(0, 99)), max_size=60
)


@dataclass
class Walk:
    """One order of events."""

    made: Host
    held: list[tuple[HostCounts, Held]] = field(default_factory=list)
    calls: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def alive(self) -> list[HostCounts]:
        return [worker for worker in self.made.workers if worker.healthy]

    async def take(self, which: int) -> None:
        worker = self.alive[which % len(self.alive)]
        place = Place(flow=str(which % 4)) if which % 2 else None

        async def call() -> None:
            answer = await worker.take((Ask(0, ""),), place)
            if isinstance(answer, Held):
                self.held.append((worker, answer))

        self.calls.append(asyncio.create_task(call()))

    async def settle(self, which: int) -> None:
        if self.held:
            worker, taken = self.held.pop(which % len(self.held))
            worker.settle(taken, (1.0,), Outcome.SUCCESS)

    async def cancel(self, which: int) -> None:
        if self.calls:
            self.calls.pop(which % len(self.calls)).cancel()

    async def kill(self, which: int) -> None:
        self.made.kill(self.made.workers.index(self.alive[which % len(self.alive)]))
        await self.made.hire()

    async def turn(self, which: int) -> None:
        await asyncio.sleep(0.001 if which % 2 else 0)

    async def end(self) -> None:
        """Everybody loses patience, and gives back what there is; then all that was said was heard."""
        for task in self.calls:
            task.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        while self.held:
            await self.settle(0)
        for worker in self.alive:
            await worker.present(1)


@settings(deadline=None, max_examples=150)
@given(steps=steps)
def test_never_more_is_held_than_there_is_and_nothing_stays(steps: Sequence[Step]) -> None:
    async def walk() -> tuple[float, float, int]:
        most = 0.0
        async with host(RULE, workers=3) as made:
            way = Walk(made)
            for what, which in steps:
                await getattr(way, what)(which)
                most = max(most, await made.used())
            await way.end()
            return most, await made.used(), made.memory.waiting

    most, left, waiting = uvloop.run(walk())

    assert most <= MOST
    assert (left, waiting) == (0.0, 0)
