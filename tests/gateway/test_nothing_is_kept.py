"""What a call leaves behind: nothing that would wait for the collector, however it ends."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gateway_world import gateway, run
from scripted_upstream import Incoming, Script, answering
from vendor_samples import CHAT, framed, streamed

from aibridge.gateway.call import Call

pytestmark = pytest.mark.interpreted  # the collector knows the objects of interpreted classes by their types


@contextmanager
def no_call_kept() -> Iterator[None]:
    """Without the collector, there are no more calls afterwards than before."""
    gc.collect()
    gc.disable()
    before = calls()
    try:
        yield
        assert calls() == before
    finally:
        gc.enable()


def calls() -> int:
    return sum(type(thing) is Call for thing in gc.get_objects())


async def hang_up(incoming: Incoming) -> None:
    """Break off without an answer."""
    incoming.reset()


SCRIPTS: dict[str, tuple[Script, int]] = {
    "whole": (answering(framed(CHAT.answer)), 200),
    "stream": (answering(*streamed(CHAT)), 200),
    "broken off": (hang_up, 502),
}


@pytest.mark.parametrize(("script", "status"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_nothing_is_kept_of_a_call(script: Script, status: int) -> None:
    async def test() -> None:
        async with gateway(script) as world:
            client = await world.client()
            with no_call_kept():
                for _ in range(5):
                    assert (await client.call(world.request())).status == status
                await world.settled()
                await asyncio.sleep(0)

    run(test())


def test_nothing_is_kept_of_a_call_whose_provider_cannot_be_reached() -> None:
    async def test() -> None:
        async with gateway() as world:
            await world.upstream.close()
            client = await world.client()
            with no_call_kept():
                for _ in range(5):
                    assert (await client.call(world.request())).status == 502
                await world.settled()
                await asyncio.sleep(0)

    run(test())
