"""What opens a breaker and what does not, through a real gateway: the provider's failures, and nobody else's."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from conftest import Told
from gateway_world import World, gateway, run, until
from scripted_upstream import Incoming, Script, answering, silence
from vendor_samples import CHAT, STREAM_HEAD, chunk, framed

from aibridge.gateway.guards import CENTRAL, OWN
from aibridge.overload.breaker import State

FAILURES = 3
Deed = Callable[[World], Awaitable[None]]


async def one_call(world: World) -> None:
    await world.call(world.request())


async def one_stream(world: World) -> None:
    await world.call(world.request(streaming=True))


async def one_with_own_key(world: World) -> None:
    token = b"x-coder-ai-governance-token: %b" % world.token.encode()
    await world.call(world.request(CHAT, token, b"authorization: Bearer sk-own", token=None))


async def one_that_leaves(world: World) -> None:
    client = await world.client()
    await client.send(world.request())
    await until(lambda: world.permits == 1)
    client.reset()
    await until(lambda: world.permits == 0)


def saying(status: bytes, error: bytes = b"x") -> Script:
    return answering(framed(b'{"error":{"type":"%b","message":"x"}}' % error, status=status))


async def dying_in_the_stream(incoming: Incoming) -> None:
    await answering(STREAM_HEAD, chunk(CHAT.events[0]))(incoming)
    incoming.reset()


async def failing_in_the_stream(incoming: Incoming) -> None:
    event = b'data: {"error":{"type":"server_error","message":"x"}}\n\n'
    await answering(STREAM_HEAD, chunk(event), b"0\r\n\r\n")(incoming)


async def slow(incoming: Incoming) -> None:
    await asyncio.sleep(0.06)
    incoming.send(framed(CHAT.answer))


async def hanging_up(incoming: Incoming) -> None:
    incoming.hang_up()


OPENS: dict[str, tuple[Script | None, Deed]] = {
    "connection refused": (None, one_call),
    "no answer": (hanging_up, one_call),
    "no first byte in time": (silence, one_call),
    "500": (saying(b"500 x"), one_call),
    "502": (saying(b"502 x"), one_call),
    "503": (saying(b"503 x"), one_call),
    "504": (saying(b"504 x"), one_call),
    "529": (saying(b"529 x", b"overloaded_error"), one_call),
    "a stream that dies after 200": (dying_in_the_stream, one_stream),
    "an error in a stream after 200": (failing_in_the_stream, one_stream),
    "slow first bytes": (slow, one_call),
}
LEAVES_CLOSED: dict[str, tuple[Script | None, Deed]] = {
    "success": (answering(framed(CHAT.answer)), one_call),
    "400": (saying(b"400 x", b"invalid_request_error"), one_call),
    "404": (saying(b"404 x", b"not_found_error"), one_call),
    "413": (saying(b"413 x", b"request_too_large"), one_call),
    "422": (saying(b"422 x", b"invalid_request_error"), one_call),
    "429": (saying(b"429 x", b"rate_limit_error"), one_call),
    "one person's own key, 429": (saying(b"429 x", b"rate_limit_error"), one_with_own_key),
    "one person's own key, 401": (saying(b"401 x", b"authentication_error"), one_with_own_key),
    "clients that leave": (silence, one_that_leaves),
}


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def state_after(script: Script | None, deed: Deed, *, patient: bool) -> dict[str, State]:
    """The state of each credential's breaker after three such calls."""
    async with gateway(
        script,
        upstream_port=None if script is not None else closed_port(),
        first_byte_timeout=5.0 if patient else 0.15,
        circuit_breaker_enabled=True,
        circuit_breaker_failure_threshold=FAILURES,
        circuit_breaker_slow_first_byte=0.05,
        circuit_breaker_minimum_calls=FAILURES,
    ) as world:
        for _ in range(FAILURES):
            await deed(world)
        await until(lambda: not world.held(), world.held)
        guards = world.plane.guards
        assert guards is not None
        return {
            place.credential: place.breaker.state(asyncio.get_running_loop().time())
            for place in guards.places
            if place.provider == "openai" and place.breaker is not None
        }


@pytest.mark.parametrize("name", [*OPENS, *LEAVES_CLOSED])
def test_the_verdict_is_right(name: str, scorecard: Told) -> None:
    opens = name in OPENS
    script, deed = OPENS[name] if opens else LEAVES_CLOSED[name]
    states = run(state_after(script, deed, patient=not opens))
    expected = State.OPEN if opens else State.CLOSED
    scorecard(21, f"{name}: {states[CENTRAL].value} (target: {expected.value})")
    assert states[CENTRAL] is expected
    assert states[OWN] is State.CLOSED
