"""The same by hand: a call is cut, or fails, at its first await, at its second, and so on until it ends by itself."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import cast

import pytest
from gateway_world import World, gateway, run, until
from in_task import Cut, Stepper
from layer_cases import Transport
from scripted_upstream import Incoming, Script, answering
from vendor_samples import CHAT, LAST_CHUNK, STREAM_HEAD, chunk, framed, streamed

from aibridge.gateway.call import Call, Handler, RequestBody
from aibridge.gateway.head import Head
from aibridge.gateway.reply import Reply

MOST_AWAITS = 30


def cancel() -> None:
    """As `connection_lost` does: from outside, while the call waits."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


class SurpriseError(Exception):
    """No error that anything expects."""


def a_call(world: World, content: bytes) -> tuple[Call, Reply, Transport]:
    """A call as the protocol makes it; its body comes a moment later."""
    path = CHAT.path
    found = world.plane.gateway.routes.find(b"POST", path)
    assert found is not None
    headers = [(b"authorization", b"Bearer " + world.token.encode())]
    body = RequestBody(1 << 20)
    call = Call(
        id="01900000-0000-7000-8000-000000000000",
        head=Head(
            route=found.route,
            method=b"POST",
            upstream_path=found.upstream_path,
            query=b"",
            headers=headers,
            fields=dict(headers),
            address="127.0.0.1",
        ),
        body=body,
        started=monotonic(),
        started_at=1,
    )
    loop = asyncio.get_running_loop()

    def arrive() -> None:
        body.feed(content)
        body.finish()

    loop.call_soon(loop.call_soon, arrive)  # one turn later than the call begins
    transport = Transport()
    return call, Reply(cast("asyncio.WriteTransport", transport), keep_alive=True), transport


async def swept(world: World, cuts: Mapping[int, Cut]) -> tuple[int, BaseException | None, Transport]:
    """One call with these cuts: how many awaits it had, how it ended, and what its client got."""
    call, reply, transport = a_call(world, CHAT.streaming_body)
    way = world.plane.gateway.interception
    assert way.enter(call) is None
    stepper = Stepper(way.handle(call, reply), cuts)

    async def work() -> None:
        await stepper.run()

    task = asyncio.create_task(work())
    await asyncio.wait([task])
    ended = asyncio.CancelledError() if task.cancelled() else task.exception()
    return stepper.awaits, ended, transport


async def nothing_left(world: World) -> None:
    """Nothing is held, no task but the provider's own runs, and only idle connections are open."""
    await world.settled()
    lines = world.upstream.lines
    own = {line._at_work for line in lines}
    await until(lambda: asyncio.all_tasks() - own == {asyncio.current_task()}, asyncio.all_tasks)
    await until(lambda: sum(not line.lost.is_set() for line in lines) == world.gauge("upstream_connections"))


SCRIPTS: dict[str, Script] = {
    "whole": answering(framed(CHAT.answer)),
    "stream": answering(*streamed(CHAT), pause=0.001),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
@pytest.mark.parametrize("again", [0, 1, 2], ids=["once", "twice at once", "twice in turn"])
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
def test_a_cancellation_at_any_await_leaves_nothing_held(script: Script, again: int, *, kept: bool) -> None:
    async def test() -> None:
        for at in range(1, MOST_AWAITS):
            async with gateway(script) as world:
                if kept:
                    assert (await world.call(world.request())).status == 200
                    world.journal.begun.clear()
                    world.journal.ended.clear()
                cuts = {at: cancel} if again == 0 else {at: twice} if again == 1 else {at: cancel, at + 1: cancel}
                awaits, ended, transport = await swept(world, cuts)
                await nothing_left(world)
                if awaits < at:
                    assert ended is None
                    assert at > (2 if kept else 3)
                    return
                assert isinstance(ended, asyncio.CancelledError)
                assert LAST_CHUNK not in transport.written
                assert {ending.status for ending in world.journal.ended} <= {"cancelled"}
                assert (await world.call(world.request())).status == 200
        pytest.fail("a call with so many awaits")

    run(test())


def twice() -> None:
    cancel()
    cancel()


def test_an_exception_at_any_await_leaves_nothing_held() -> None:
    async def test() -> None:
        for at in range(1, MOST_AWAITS):
            async with gateway(SCRIPTS["stream"]) as world:
                world.complaints.expected = "CancelledError()"  # uvloop's connecting is not prepared for a surprise
                awaits, ended, _ = await swept(world, {at: SurpriseError()})
                await nothing_left(world)
                if awaits < at:
                    assert ended is None
                    assert at > 3
                    return
                assert isinstance(ended, SurpriseError)
                assert {(end.status, end.error) for end in world.journal.ended} <= {("failed", "internal_error")}
                assert (await world.call(world.request())).status == 200
        pytest.fail("a call with so many awaits")

    run(test())


def stepped(handle: Handler, cuts: Mapping[int, Cut], steppers: list[Stepper]) -> Handler:
    """The same handler, with cuts."""

    async def handled(call: Call, reply: Reply) -> None:
        steppers.append(Stepper(handle(call, reply), cuts))
        await steppers[-1].run()

    return handled


def test_a_client_that_vanishes_at_any_await_leaves_nothing_held() -> None:
    async def slow(incoming: Incoming) -> None:
        await answering(STREAM_HEAD, *map(chunk, CHAT.events), pause=0.001)(incoming)
        await asyncio.sleep(0.005)
        incoming.send(LAST_CHUNK)

    async def test() -> None:
        for at in range(1, MOST_AWAITS):
            async with gateway(slow) as world:
                client = await world.client()
                steppers: list[Stepper] = []
                way = world.plane.gateway.interception
                world.plane.gateway.interception = way._replace(
                    handle=stepped(way.handle, {at: client.reset}, steppers)
                )
                await client.send(world.request(streaming=True))
                await until(lambda steps=steppers: bool(steps))  # type: ignore[misc]
                await until(lambda world=world: not world.held())  # type: ignore[misc]
                await nothing_left(world)
                if steppers[0].awaits < at:
                    assert at > 2
                    assert world.journal.ending.status == "completed"
                    return
                assert {ending.status for ending in world.journal.ended} <= {"cancelled"}
        pytest.fail("a call with so many awaits")

    run(test())
