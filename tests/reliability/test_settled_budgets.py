"""What is charged is what the ledger says, through a real gateway, whatever becomes of the calls."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from conftest import Told
from gateway_world import MemoryJournal, World, gateway, run, until
from scripted_upstream import Incoming, Script
from sqlalchemy import func, select
from vendor_samples import CHAT, LAST_CHUNK, MESSAGES, STREAM_HEAD, Sample, chunk, framed

from aibridge.domain.interception import Ending, Interception
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Shipper
from aibridge.store import schema
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink

STREAMS = 10_000
AT_ONCE = 50
TOKENS = Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=10**12, window=3600.0, subject=Subject.USER)


class Shipped(MemoryJournal):
    """A journal on disk, beside the one in memory that the world looks into, and the database that it is shipped to."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._disk = Journal.open(directory / "journal", now=1)

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> bool:
        return super().write(started, ended) and self._disk.write(started, ended)

    def ledger(self) -> tuple[int, int]:
        """How many calls the ledger knows, and the tokens that they used, once all has been shipped."""
        assert self._disk.close()
        database = Database.open(f"sqlite:///{self._directory}/ledger.db")
        try:
            shipper = Shipper(self._directory / "journal", LedgerSink(database))
            while shipper.ship():
                pass
            use = schema.token_usages.c
            tokens = use.input_tokens + use.output_tokens + use.cache_read_input_tokens + use.cache_write_input_tokens
            with database.reading() as connection:
                calls = connection.execute(select(func.count()).select_from(schema.interceptions)).scalar_one()
                return calls, connection.execute(select(func.sum(tokens))).scalar_one()
        finally:
            database.close()


def any_fate(chance: random.Random) -> Script:
    """A provider that streams, answers, refuses or dies, as chance will have it."""

    async def script(incoming: Incoming) -> None:
        fate = chance.random()
        sample = MESSAGES if b"messages" in incoming.target else CHAT
        if fate < 0.1:
            incoming.send(framed(b'{"error":{"type":"server_error","message":"x"}}', status=b"500 Oops"))
            return
        incoming.send(STREAM_HEAD)
        for event in sample.events:
            incoming.send(chunk(event))
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            if fate > 0.98:
                incoming.reset()
                return
        incoming.send(LAST_CHUNK)

    return script


async def one(world: World, chance: random.Random, sample: Sample) -> None:
    """One stream, read to its end or left at a moment of chance."""
    client = await world.client()
    await client.send(world.request(sample, streaming=True))
    if chance.random() < 0.5:
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            client.reset()
        else:
            client.writer.close()
    else:
        await client.answer()
        client.writer.close()


def test_counter_and_ledger_agree_after_ten_thousand_streams(tmp_path: Path, scorecard: Told) -> None:
    chance, journal = random.Random(9), Shipped(tmp_path)

    async def test() -> None:
        # The counter's clock stands still, so that nothing flows off while the test runs.
        async with gateway(
            any_fate(chance), limits=(TOKENS,), max_concurrency=0, counts_clock=lambda: 0.0, journal=journal
        ) as world:

            async def many(number: int) -> None:
                for _ in range(number):
                    await one(world, chance, CHAT if chance.random() < 0.5 else MESSAGES)

            await asyncio.gather(*(many(STREAMS // AT_ONCE) for _ in range(AT_ONCE)))
            await until(lambda: not world.held(), world.held, within=5.0)
            charged = sum(one.used for one in await world.counts.present(10))
            recorded, ledger = journal.ledger()
            cancelled = sum(ending.status == "cancelled" for ending in journal.ended)
            scorecard(
                9,
                f"{STREAMS} streams, {recorded} recorded, {cancelled} cancelled: "
                f"counter {charged:.0f}, ledger {ledger} (target: equal)",
            )
            assert charged == ledger > 0
            assert recorded == len(journal.ended)
            assert cancelled > STREAMS // 20
            assert recorded > STREAMS * 0.6

    run(test(), within=100.0)
