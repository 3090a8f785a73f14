"""`capacity`, `pace` and `drain`, each alone."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from layer_cases import MIA, Inside, a_call, a_reply, finished, raising

from aibridge.domain.actor import Actor
from aibridge.domain.errors import AtCapacity, BadRequest, Draining, InternalError, RateLimited, UpstreamBroke
from aibridge.gateway.call import Clock
from aibridge.gateway.capacity import capacity
from aibridge.gateway.drain import drain, stopping
from aibridge.gateway.pace import pace
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.keyed import Keyed
from aibridge.overload.outcome import Rejection
from aibridge.overload.rate import ExactWindow, RateLimiter

ENDINGS = {
    "refused": BadRequest("no"),
    "upstream failed": UpstreamBroke("broke"),
    "our error": InternalError("oops"),
    "our bug": ZeroDivisionError(),
    "cancelled": asyncio.CancelledError(),
    "killed": KeyboardInterrupt(),
}


def ticking(*instants: float) -> Clock:
    steps: Iterator[float] = iter(instants)
    return lambda: next(steps)


def test_a_permit_is_held_while_the_call_lasts_and_no_longer() -> None:
    limiter = ConcurrencyLimiter(2, "concurrency")
    inside = Inside(seeing=lambda: limiter.in_flight)
    layer = capacity(limiter, lambda: 1.0)(inside)
    for _ in range(5):
        finished(layer(a_call(), a_reply()[0]))
    assert inside.seen == [1] * 5
    assert limiter.in_flight == 0


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_permit_comes_back_on_every_ending(ending: BaseException) -> None:
    limiter = ConcurrencyLimiter(1, "concurrency")
    layer = capacity(limiter, lambda: 1.0)(raising(ending))
    for _ in range(3):
        with pytest.raises(type(ending)) as caught:
            finished(layer(a_call(), a_reply()[0]))
        assert caught.value is ending
        assert limiter.in_flight == 0


def test_a_permit_comes_back_when_the_call_is_cancelled_or_abandoned_while_it_waits() -> None:
    limiter = ConcurrencyLimiter(1, "concurrency")

    async def waiting(*_: object) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        work = asyncio.ensure_future(capacity(limiter, lambda: 1.0)(waiting)(a_call(), a_reply()[0]))
        await asyncio.sleep(0)
        assert limiter.in_flight == 1
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert limiter.in_flight == 0

    asyncio.run(test())


def test_over_the_maximum_a_call_is_refused_with_the_wait_and_goes_no_further() -> None:
    limiter = ConcurrencyLimiter(1, "concurrency")
    held = limiter.enter(0.0)
    inside = Inside()
    with pytest.raises(AtCapacity) as caught:
        finished(capacity(limiter, lambda: 4.0)(inside)(a_call(), a_reply()[0]))
    refusal = caught.value
    assert refusal.message == "AI Bridge is currently at capacity. Please try again later."
    assert "1 AI requests are in progress" in refusal.detail
    assert isinstance(refusal.rejection, Rejection)
    assert refusal.rejection.limit == "concurrency"
    assert refusal.retry_after == refusal.rejection.retry_after == 4.0
    assert inside.calls == []
    assert limiter.in_flight == 1
    assert not isinstance(held, Rejection)


@pytest.mark.parametrize(
    ("ending", "learned"),
    [(None, True), (UpstreamBroke("x"), True), (BadRequest("x"), False), (asyncio.CancelledError(), False)],
    ids=["success", "upstream failed", "refused", "cancelled"],
)
def test_only_calls_that_did_their_work_teach_how_long_one_takes(ending: BaseException | None, learned: bool) -> None:
    limiter = ConcurrencyLimiter(1, "concurrency")
    layer = capacity(limiter, ticking(0.0, 8.0))(Inside(ending))
    with contextlib.nullcontext() if ending is None else pytest.raises(type(ending)):
        finished(layer(a_call(), a_reply()[0]))
    limiter.enter(8.0)
    rejection = limiter.enter(8.0)
    assert isinstance(rejection, Rejection)
    assert (rejection.retry_after == 8.0) is learned


def keyed(limit: int) -> Keyed[str, RateLimiter]:
    return Keyed(lambda: ExactWindow(limit, 1.0, "token"), lambda limiter, now: limiter.idle(now), 100)


def test_a_token_is_admitted_as_often_as_its_rate_allows_in_any_window() -> None:
    now = [0.0]
    inside = Inside()
    layer = pace(keyed(3), lambda: now[0])(inside)
    admitted = []
    for now[0] in [0.0, 0.125, 0.25, 0.375, 0.999, 1.0, 1.0625, 1.125, 1.25, 1.5]:
        try:
            finished(layer(a_call(actor=MIA), a_reply()[0]))
            admitted.append(now[0])
        except RateLimited:
            pass
    assert admitted == [0.0, 0.125, 0.25, 1.0, 1.125, 1.25]
    assert len(inside.calls) == 6


def test_the_rate_is_each_tokens_own_whoever_holds_it() -> None:
    layer = pace(keyed(1), lambda: 0.0)(Inside())
    finished(layer(a_call(actor=MIA), a_reply()[0]))
    other_token = Actor(id=MIA.id, username=MIA.username, token_id="another")
    finished(layer(a_call(actor=other_token), a_reply()[0]))
    with pytest.raises(RateLimited):
        finished(layer(a_call(actor=other_token), a_reply()[0]))


def test_a_refusal_for_the_rate_carries_the_limiters_word_and_the_true_wait() -> None:
    now = [0.0]
    layer = pace(keyed(1), lambda: now[0])(Inside())
    finished(layer(a_call(actor=MIA), a_reply()[0]))
    now[0] = 0.25
    with pytest.raises(RateLimited) as caught:
        finished(layer(a_call(actor=MIA), a_reply()[0]))
    refusal = caught.value
    assert refusal.message == "You've been rate limited. Please try again later."
    assert "0.750 s" in refusal.detail
    assert refusal.rejection == Rejection("token", 1, 1.0, 0.75)
    assert refusal.retry_after == 0.75


def test_while_draining_nothing_new_is_taken_and_the_connection_is_given_up() -> None:
    draining = [False]
    inside = Inside()
    layer = drain(lambda: draining[0])(inside)
    finished(layer(a_call(), a_reply()[0]))
    draining[0] = True
    reply, _ = a_reply()
    with pytest.raises(Draining) as caught:
        finished(layer(a_call(), reply))
    assert len(inside.calls) == 1
    assert reply.keep_alive is False
    assert caught.value.retry_after == stopping().retry_after == 2.0
    assert caught.value.status == 503
