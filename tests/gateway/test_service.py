"""When concluding a call goes wrong: nobody else's turn is disturbed, and no client waits for ever."""

import asyncio
from typing import Any

import pytest
from gateway_world import gateway, run
from vendor_samples import CHAT

from aibridge.wire.openai_chat import _OpenAIChat

pytestmark = pytest.mark.interpreted  # what is compiled is not replaced from without


def test_a_call_that_cannot_be_concluded_is_cut_off_and_the_next_one_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> bytes:
        raise RuntimeError("a dialect with a fault")

    async def test() -> None:
        async with gateway() as world:
            world.complaints.expected = "could not be concluded"
            client = await world.client()
            with monkeypatch.context() as patch:
                patch.setattr(_OpenAIChat, "render", broken)
                await client.send(world.request(CHAT).replace(b'"model"', b'"ledom"'))
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await client.answer()
            assert (await world.call(world.request(CHAT))).status == 200

    run(test())
