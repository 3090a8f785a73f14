"""Row 7: what a decision costs that replicas share: one script for all rules of a call, at 5000 calls a second."""

import asyncio
import gc
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest
import uvloop
from conftest import Told
from five_limits import RULES, TRUE_COSTS, asks_of
from redis_world import held, replicas
from valkey_server import ValkeyServer, be_patient, running

from aibridge.limits.counts import Held
from aibridge.limits.redis import Redis
from aibridge.limits.redis_exchange import BEAT
from aibridge.overload.outcome import Outcome

REPLICAS = 4
"""In this process, each with a connection of its own: with the server, they fill two cores at most."""

RATE = 5000
"""Calls a second, of all replicas together."""
EVERY = 0.001
"""Seconds between two arrivals of as many calls as the rate demands: timers of the loop are no finer."""
SECONDS = 0.3
MOST_ROUNDS = 40
P99 = 0.005
CORES = 2

ONE_BY_ONE = 1000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A server that is waited for on a busy machine, too: what it costs is measured, not cut short."""
    be_patient(monkeypatch)
    with running() as server:
        yield server


def requests_heard(server: ValkeyServer) -> int:
    """How many times the script ran."""
    return int(server.say("INFO", "commandstats").split(b"cmdstat_evalsha:calls=")[1].split(b",")[0])


def processors(server: ValkeyServer) -> tuple[float, float]:
    """Seconds for which this process and the server ran, and for which others ran in their place."""
    pids = os.getpid(), int(server.say("INFO", "server").split(b"process_id:")[1].split()[0])
    told = [Path(f"/proc/{pid}/schedstat").read_text().split() for pid in pids]
    ran, waited = (sum(int(one[place]) for one in told) / 1e9 for place in (0, 1))
    return ran, waited


async def decisions(made: Sequence[Redis], seconds: float) -> list[float]:
    """How long each took, in order, from when its call was due: a loop that is late delays no arrival."""
    took: list[float] = []

    async def call(number: int, due: float) -> None:
        counts = made[number % len(made)]
        answer = await counts.take(asks_of(number))
        took.append(monotonic() - due)
        assert isinstance(answer, Held)
        counts.settle(answer, TRUE_COSTS, Outcome.SUCCESS)

    each = int(RATE * EVERY)
    began = monotonic()
    async with asyncio.TaskGroup() as calls:
        for arrival in range(int(seconds / EVERY)):
            due = began + arrival * EVERY
            await asyncio.sleep(due - monotonic())
            for number in range(arrival * each, (arrival + 1) * each):
                calls.create_task(call(number, due))
    return sorted(took)


@dataclass(slots=True, frozen=True)
class Round:
    """How long decisions took, sorted; meanwhile, what `processors` tells; and how much was said."""

    took: list[float]
    ran: float
    waited: float
    requests: int

    def share(self, share: float) -> float:
        return self.took[int(len(self.took) * share)]

    @property
    def p99(self) -> float:
        return self.share(0.99)


async def a_round(server: ValkeyServer, made: Sequence[Redis]) -> Round:
    gc.collect()
    requests, (ran, waited) = requests_heard(server), processors(server)
    took = await decisions(made, SECONDS)
    assert len(took) == RATE * SECONDS
    ran_then, waited_then = processors(server)
    return Round(took, ran_then - ran, waited_then - waited, requests_heard(server) - requests)


def test_a_shared_decision_over_all_limits_takes_milliseconds(server: ValkeyServer, scorecard: Told) -> None:
    """As soon as one round has shown it: other processes disturb the rest.

    Where they disturb all of them, the calmest is judged, with what they took of it allowed besides: nobody in a line
    waits longer by more. With two free cores, that is a few milliseconds.
    """

    async def scenario() -> list[Round]:
        async with replicas(server, *RULES, number=REPLICAS) as made:
            rounds = [await a_round(server, made)]
            while rounds[-1].p99 > P99 and len(rounds) < MOST_ROUNDS:
                rounds.append(await a_round(server, made))
            assert all(counts.healthy for counts in made)
            return rounds

    rounds = uvloop.run(scenario())
    best = min(rounds, key=lambda one: one.p99)
    calmest = min(rounds, key=lambda one: one.waited)
    requests, ran = best.requests / len(best.took), best.ran / len(best.took)
    scorecard(
        7,
        f"shared decision over {len(RULES)} limits, {RATE}/s by {REPLICAS} replicas, the best of {len(rounds)} rounds: "
        f"p50 {best.share(0.5) * 1000:.1f} ms, p99 {best.p99 * 1000:.1f} ms (<= 5); {ran * 1e6:.0f} us of CPU "
        f"(<= {CORES / RATE * 1e6:.0f}) and {requests:.2f} requests for each, with corrections (<= 1); p99 of the "
        f"calmest {calmest.p99 * 1000:.1f} ms, {calmest.waited * 1000:.0f} ms of which others ran",
    )
    assert best.p99 <= P99 or calmest.p99 <= P99 + calmest.waited
    assert min(one.share(0.5) for one in rounds) <= P99, "half of them hold it beside any other process"
    assert ran <= CORES / RATE
    assert requests <= 1.0


def test_a_shared_decision_is_one_round_trip(server: ValkeyServer, scorecard: Told) -> None:
    async def scenario() -> tuple[int, float]:
        async with replicas(server, *RULES) as (counts,):
            before, began = requests_heard(server), monotonic()
            for number in range(ONE_BY_ONE):
                await held(counts, *asks_of(number))
            return requests_heard(server) - before, monotonic() - began

    requests, seconds = uvloop.run(scenario())
    beats = int(seconds / BEAT) + 1  # a sign of life is a request of its own where nobody asks anything
    scorecard(
        7,
        f"{ONE_BY_ONE} decisions over {len(RULES)} limits, one after another: {requests} requests (1 each), "
        f"{seconds / ONE_BY_ONE * 1000:.2f} ms each",
    )
    assert ONE_BY_ONE <= requests <= ONE_BY_ONE + beats
