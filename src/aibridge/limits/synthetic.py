"""A day in the life of a team, made up: something to try limits on before there is a ledger.

People work in the office hours with a break at noon, in bursts of calls as coding agents make them; one service runs
wild for an hour and a half in the afternoon; and a nightly batch goes through its list at an even pace.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from heapq import merge
from operator import attrgetter

import msgspec

from aibridge.limits.arrivals import Arrival

DAY = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
"""Midnight of the Monday that is made up."""

PEOPLE = 20
"""How many people there are, in two organizations."""

ELEPHANT = "elephant"
NIGHTLY = "nightly-batch"

_HOUR = 3600.0
_AT_THEIR_DESKS = 0.2
"""How many of those who would call between twelve and one do."""
_CALLS_IN_A_BURST = 25
_BETWEEN_CALLS = 8.0
"""Seconds an agent's tools take before its next call, on average."""
_DIFFERENT_CALLS = 1000
"""Of one caller: as many sizes are drawn, and then these again and again, which takes half the time."""
_SHARE_OF_PEOPLE = 0.6
_SHARE_OF_ELEPHANT = 0.25


def _office_hours(chance: random.Random, count: int) -> list[float]:
    """Bursts of calls that begin between nine and six, few of them at noon."""
    instants: list[float] = []
    while len(instants) < count:
        at = chance.uniform(9 * _HOUR, 18 * _HOUR)
        if 12 * _HOUR < at < 13 * _HOUR and chance.random() > _AT_THEIR_DESKS:
            continue
        for _ in range(min(count - len(instants), 1 + int(chance.expovariate(1 / _CALLS_IN_A_BURST)))):
            instants.append(at)
            at += chance.expovariate(1 / _BETWEEN_CALLS)
    return sorted(instants)


def _afternoon(chance: random.Random, count: int) -> list[float]:
    return sorted(chance.uniform(14 * _HOUR, 15.5 * _HOUR) for _ in range(count))


def _night(_: random.Random, count: int) -> list[float]:
    return [2 * _HOUR + 2 * _HOUR * number / count for number in range(count)]


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of a kind of caller are like: medians of tokens; output tokens come at `pace` a second."""

    models: tuple[tuple[str, str], ...]
    input_tokens: float
    output_tokens: float
    pace: float
    instants: Callable[[random.Random, int], list[float]]
    """When so many calls come: seconds since midnight, in order."""


_PEOPLE = _Kind(
    models=(("anthropic", "claude-sonnet-5"), ("anthropic", "claude-opus-5"), ("openai", "gpt-6")),
    input_tokens=12_000,
    output_tokens=400,
    pace=70,
    instants=_office_hours,
)
_ELEPHANT = _Kind(models=(("openai", "gpt-6"),), input_tokens=3_000, output_tokens=150, pace=90, instants=_afternoon)
_NIGHTLY = _Kind(
    models=(("anthropic", "claude-haiku-5"),), input_tokens=20_000, output_tokens=800, pace=150, instants=_night
)


def synthetic(seed: int, calls: int) -> Iterator[Arrival]:
    """About a team's day of `calls` calls, in the order of time: the same for the same arguments.

    Raises:
        ValueError: `calls` is not positive.
    """
    if calls < 1:
        raise ValueError(f"calls must be at least 1, not {calls}")
    of_people, of_elephant = int(calls * _SHARE_OF_PEOPLE), int(calls * _SHARE_OF_ELEPHANT)
    streams = [
        _calls(seed, ELEPHANT, "platform", _ELEPHANT, of_elephant),
        _calls(seed, NIGHTLY, "platform", _NIGHTLY, calls - of_people - of_elephant),
    ]
    for number in range(PEOPLE):
        name = f"mouse-{number + 1:02}"
        count = of_people * (number + 1) // PEOPLE - of_people * number // PEOPLE
        streams.append(_calls(seed, name, ("web", "mobile")[number % 2], _PEOPLE, count))
    return merge(*streams, key=attrgetter("at"))


def _calls(seed: int, actor: str, organization: str, kind: _Kind, count: int) -> Iterator[Arrival]:
    chance = random.Random(f"{seed}/{actor}")  # noqa: S311 -- wants to be repeated, not to be unguessable
    different = [_call(chance, actor, organization, kind) for _ in range(min(count, _DIFFERENT_CALLS))]
    for seconds in kind.instants(chance, count):
        yield msgspec.structs.replace(chance.choice(different), at=DAY + seconds)


def _call(chance: random.Random, actor: str, organization: str, kind: _Kind) -> Arrival:
    provider, model = kind.models[min(int(chance.expovariate(1.5)), len(kind.models) - 1)]
    output_tokens = int(kind.output_tokens * chance.lognormvariate(0.0, 0.9)) + 1
    return Arrival(
        at=DAY,
        actor=actor,
        organization=organization,
        token=f"{actor}-token",
        provider=provider,
        model=model,
        input_tokens=int(kind.input_tokens * chance.lognormvariate(0.0, 0.8)) + 1,
        output_tokens=output_tokens,
        duration=round(chance.lognormvariate(-0.4, 0.4) + output_tokens / kind.pace, 3),
    )
