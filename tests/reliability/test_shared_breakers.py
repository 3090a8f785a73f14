"""A breaker that opens in one replica is open in all."""

import asyncio
import time
from collections.abc import Iterator

import pytest
import uvloop
from conftest import Told
from redis_world import HELD, replicas
from valkey_server import ValkeyServer, be_patient, running, until

from aibridge.limits.counts import Ask, Held
from aibridge.limits.redis import Redis


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A server that is waited for on a busy machine, too."""
    be_patient(monkeypatch)
    with running() as server:
        yield server


def listening(counts: Redis) -> list[tuple[str, float]]:
    """What a replica hears of others from now on."""
    heard: list[tuple[str, float]] = []
    counts.listen(lambda breaker, seconds: heard.append((breaker, seconds)))
    return heard


def test_a_breaker_that_opens_here_opens_there(server: ValkeyServer, scorecard: Told) -> None:
    async def scenario() -> tuple[float, float]:
        async with replicas(server, HELD, number=2) as (here, there):
            heard = {here: listening(here), there: listening(there)}
            here.tripped("openai:gpt", 30.0)
            idle = await until(lambda: bool(heard[there]), within=2.0)
            here.tripped("anthropic", 20.0)
            began = time.monotonic()
            await asyncio.sleep(0.005)
            assert isinstance(await there.take((Ask(0, ""),)), Held)
            busy = time.monotonic() - began
            assert [breaker for breaker, _ in heard[there]] == ["openai:gpt", "anthropic"], "known before the call goes"
            assert heard[there][0][1] == pytest.approx(30.0, abs=0.7)
            there.tripped("openai:gpt", 0.0)
            await until(lambda: heard[here] == [("openai:gpt", 0.0)], within=1.0)
            async with replicas(server, HELD, number=1) as (newcomer,):
                ((breaker, seconds),) = listening(newcomer)
                assert breaker == "anthropic", "it is told what was open before it came"
                assert 15.0 < seconds < 20.0
            server.say("FLUSHALL")
            await asyncio.sleep(0.6)
            assert len(heard[there]) == 2
            server.stop()
            here.tripped("anthropic", 40.0)
            await until(lambda: not here.healthy, within=1.0)
            assert len(heard[there]) == 2
            server.start()
            await until(lambda: len(heard[there]) == 3, within=3.0)
            assert heard[there][2][0] == "anthropic"
            return idle, busy

    idle, busy = uvloop.run(scenario())
    scorecard(
        22, f"a trip on A is known on B after {idle:.2f} s, with its next call after {busy * 1000:.0f} ms (<= 1 s)"
    )
    assert max(idle, busy) <= 1.0
