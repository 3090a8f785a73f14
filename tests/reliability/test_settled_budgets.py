"""What is charged is what the ledger says, through a real gateway, whatever becomes of the calls."""

import asyncio
import random

from conftest import Told
from gateway_world import World, gateway, run, until
from scripted_upstream import Incoming, Script
from vendor_samples import CHAT, LAST_CHUNK, MESSAGES, STREAM_HEAD, Sample, chunk, framed

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.domain.usage import Usage

STREAMS = 10_000
AT_ONCE = 50
TOKENS = Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=10**12, window=3600.0, subject=Subject.USER)


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


def tokens_of(usage: Usage | None) -> int:
    if usage is None:
        return 0
    return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens + usage.output_tokens


def test_counter_and_ledger_agree_after_ten_thousand_streams(scorecard: Told) -> None:
    chance = random.Random(9)

    async def test() -> None:
        # The counter's clock stands still, so that nothing flows off while the test runs.
        async with gateway(any_fate(chance), limits=(TOKENS,), max_concurrency=0, counts_clock=lambda: 0.0) as world:

            async def many(number: int) -> None:
                for _ in range(number):
                    await one(world, chance, CHAT if chance.random() < 0.5 else MESSAGES)

            await asyncio.gather(*(many(STREAMS // AT_ONCE) for _ in range(AT_ONCE)))
            await until(lambda: not world.held(), world.held, within=5.0)
            charged = sum(one.used for one in await world.counts.present(10))
            ledger = sum(tokens_of(ending.usage) for ending in world.journal.ended)
            cancelled = sum(ending.status == "cancelled" for ending in world.journal.ended)
            recorded = len(world.journal.ended)
            scorecard(
                9,
                f"{STREAMS} streams, {recorded} recorded, {cancelled} cancelled: "
                f"counter {charged:.0f}, ledger {ledger} (target: equal)",
            )
            assert charged == ledger > 0
            assert cancelled > STREAMS // 20
            assert recorded > STREAMS * 0.6

    run(test(), within=100.0)
