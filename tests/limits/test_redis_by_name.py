"""Redis itself, where it is installed, does as Valkey in all other tests: the script, leases, news of breakers."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from redis_world import CALLS, HELD, LEASES, TOKENS, give_back, held, refused, replicas, used
from valkey_server import ValkeyServer, be_patient, running, until

from aibridge.limits.counts import Ask

FOUND = shutil.which("redis-server")

pytestmark = pytest.mark.skipif(FOUND is None, reason="needs redis-server (Debian: apt-get install redis-server)")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A server that is waited for on a busy machine, too."""
    be_patient(monkeypatch)
    assert FOUND is not None
    with running(Path(FOUND)) as server:
        yield server


def test_redis_counts_for_all_replicas_takes_all_or_nothing_and_passes_breaker_news_on(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, TOKENS, CALLS, HELD, number=2) as (here, there):
            news: list[tuple[str, float]] = []
            there.listen(lambda breaker, seconds: news.append((breaker, seconds)))
            asks = Ask(0, "", 10.0), Ask(1, "ann"), Ask(2, "")
            first, _second = await held(here, *asks), await held(there, *asks)
            refusal = await refused(there, *asks)
            assert (refusal.rule, refusal.key, refusal.used) == (2, "", 2.0)
            assert await used(here) == {(0, ""): pytest.approx(20.0, abs=0.1), (1, "ann"): 2.0, (2, ""): 2.0}
            give_back(here, first)
            await until(lambda: server.number("ZCARD", LEASES % "held") == 1, within=5.0)
            await held(there, *asks)
            assert (await refused(here, *asks)).rule == 1
            here.tripped("openai", 30.0)
            await until(lambda: bool(news), within=5.0)
            ((breaker, seconds),) = news
            assert breaker == "openai"
            assert seconds == pytest.approx(30.0, abs=1.0)

    uvloop.run(scenario())


def test_leases_are_renewed_while_their_replica_lives_and_run_out_after_it(server: ValkeyServer) -> None:
    async def scenario() -> None:
        async with replicas(server, HELD, lease=0.9) as (counts,):
            for lease in ("gone:1", "gone:2"):
                server.say("ZADD", LEASES % "held", "1", lease)  # microseconds since 1970
            for _ in range(2):
                await held(counts, Ask(0, ""))
            await asyncio.sleep(1.2)
            assert (await refused(counts, Ask(0, ""))).used == 2.0

    uvloop.run(scenario())
