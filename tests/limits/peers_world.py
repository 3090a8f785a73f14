"""Processes that share counts, each with an engine of its own, and learn of other rules at different moments."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import strategies as st

from aibridge.domain.actor import Actor
from aibridge.domain.errors import Refused
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.domain.usage import Usage
from aibridge.limits.counts import Counts
from aibridge.limits.engine import Admission, Caller, Limits, Size
from aibridge.overload.outcome import Outcome

OWN = Rule(name="own", unit=Unit.CONCURRENT, amount=5)
SIZE = Size(model="m", body_bytes=40, max_output_tokens=90)


def held_rule(name: str, amount: int = 1, **fields: object) -> Rule:
    return Rule(name=name, unit=Unit.CONCURRENT, amount=amount, **fields)  # type: ignore[arg-type]


def queued_rule(name: str, amount: int = 1, timeout: float = 30.0, **fields: object) -> Rule:
    return held_rule(name, amount, queue_timeout=timeout, queue_size=9, **fields)


def caller(name: str = "ada") -> Caller:
    return Caller(actor=Actor(id=name, username=name, token_id=name), address="", provider="openai")


_held = st.builds(
    Rule,
    name=st.sampled_from("ab"),
    unit=st.just(Unit.CONCURRENT),
    amount=st.integers(1, 3),
    subject=st.sampled_from([Subject.EVERYONE, Subject.USER]),
    mode=st.sampled_from(Mode),
    queue_timeout=st.sampled_from([0.0, 30.0, 60.0]),
    queue_size=st.integers(1, 4),
)
_spent = st.builds(
    Rule,
    name=st.sampled_from("ac"),
    unit=st.sampled_from([Unit.REQUESTS, Unit.TOTAL_TOKENS]),
    amount=st.integers(1, 400),
    window=st.just(60.0),
    burst=st.sampled_from([None, 200]),
)
rule_sets = st.lists(_held | _spent, max_size=3, unique_by=lambda rule: rule.name)
steps = st.lists(
    st.tuples(st.sampled_from(["admit", "admit", "close", "cancel", "turn"]), st.integers(0, 99))
    | st.tuples(st.just("replace"), st.tuples(st.integers(0, 99), rule_sets)),
    max_size=30,
)
Step = tuple[str, int | tuple[int, list[Rule]]]


@dataclass
class Peers:
    """The engines, and what is in progress in each."""

    engines: list[Limits]
    open: list[tuple[Limits, Admission]] = field(default_factory=list)
    calls: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    def over(cls, places: Sequence[Counts]) -> "Peers":
        return cls([Limits([OWN], counts) for counts in places])

    async def walk(self, steps: Sequence[Step]) -> None:
        """Do all this, and then end everything."""
        for what, argument in steps:
            await getattr(self, what)(argument)
        for task in self.calls:
            task.cancel()
        for ended in await asyncio.gather(*self.calls, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError), ended
        while self.open:
            await self.close(0)
        for engine in self.engines:
            assert {*engine.in_progress.values()} == {0}
            assert not any(depth for _, depth in engine.waiting)

    async def admit(self, which: int) -> None:
        engine = self.engines[which % len(self.engines)]

        async def call() -> None:
            with suppress(Refused):
                self.open.append((engine, await engine.admit(caller(f"u{which % 3}"), SIZE)))

        self.calls.append(asyncio.create_task(call()))

    async def close(self, which: int) -> None:
        if self.open:
            engine, admission = self.open.pop(which % len(self.open))
            engine.close(admission, Usage(output_tokens=which), Outcome.SUCCESS)

    async def cancel(self, which: int) -> None:
        if self.calls:
            self.calls[which % len(self.calls)].cancel()

    async def turn(self, which: int) -> None:
        await asyncio.sleep(0.002 if which % 2 else 0)

    async def replace(self, change: tuple[int, list[Rule]]) -> None:
        which, rules = change
        self.engines[which % len(self.engines)].replace((OWN, *rules))
