"""Half-open: exactly so many probes whatever the concurrency, and none that can wedge the breaker."""

import asyncio
from collections.abc import Callable
from math import inf

import pytest
import uvloop

from aibridge.overload.breaker import Breaker, BreakerRule, State, Ticket
from aibridge.overload.outcome import Outcome

CALLERS = 1000
RULE = BreakerRule(max_requests=3, timeout=30.0, lease=30.0)
HALF_OPEN_AT = 1000.0 + RULE.timeout


def half_open(rule: BreakerRule = RULE) -> Breaker:
    """A breaker that its own calls opened, and whose break is over at `HALF_OPEN_AT`."""
    breaker = Breaker("openai", rule)
    for _ in range(rule.failure_threshold):
        ticket = breaker.enter(1000.0)
        assert isinstance(ticket, Ticket)
        breaker.leave(ticket, Outcome.FAILURE, 1000.0)
    assert breaker.state(1000.0) is State.OPEN
    assert breaker.state(HALF_OPEN_AT) is State.HALF_OPEN
    return breaker


class Upstream:
    """Answers when it is told to, and counts who is waiting."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers = asyncio.Event()

    async def call(self) -> None:
        self.calls += 1
        await self.answers.wait()


async def guarded(breaker: Breaker, upstream: Upstream, outcome: Outcome = Outcome.SUCCESS) -> bool:
    """One call through the breaker, as a gateway makes it; whether it was let through."""
    ticket = breaker.enter(HALF_OPEN_AT)
    if not isinstance(ticket, Ticket):
        return False
    ended = Outcome.IGNORED
    try:
        await upstream.call()
        ended = outcome
    finally:
        breaker.leave(ticket, ended, HALF_OPEN_AT)
    return True


@pytest.mark.parametrize("places", [1, 3, 10])
def test_a_thousand_callers_at_once_are_as_many_probes_as_there_are_places(
    places: int, scorecard: Callable[[int, str], None]
) -> None:
    async def scenario() -> tuple[int, int]:
        breaker, upstream = half_open(BreakerRule(max_requests=places)), Upstream()
        calls = [asyncio.create_task(guarded(breaker, upstream)) for _ in range(CALLERS)]
        await asyncio.sleep(0)  # all of them come as far as they can
        assert sum(call.done() for call in calls) == CALLERS - places
        reached = upstream.calls
        upstream.answers.set()
        assert sum(await asyncio.gather(*calls)) == places
        assert breaker.state(HALF_OPEN_AT) is State.CLOSED
        assert breaker.rejections == CALLERS - places
        return reached, upstream.calls

    reached, ever = uvloop.run(scenario())
    scorecard(19, f"{CALLERS} callers at a half-open breaker of {places}: {reached} reach the upstream (= {places})")
    assert reached == ever == places


def test_callers_that_leave_make_room_for_as_many_and_never_for_more() -> None:
    async def scenario() -> None:
        breaker, upstream = half_open(), Upstream()
        for round_ in range(1, 101):
            calls = [asyncio.create_task(guarded(breaker, upstream)) for _ in range(10)]
            await asyncio.sleep(0)
            assert upstream.calls == round_ * RULE.max_requests
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert breaker.state(HALF_OPEN_AT) is State.HALF_OPEN

    uvloop.run(scenario())


def hangs(breaker: Breaker, tickets: list[Ticket]) -> None:
    """The upstream accepted and is silent: the tickets stay out."""


def is_cancelled(breaker: Breaker, tickets: list[Ticket]) -> None:
    """Their clients left."""
    for ticket in tickets:
        breaker.leave(ticket, Outcome.IGNORED, HALF_OPEN_AT)


def is_killed(breaker: Breaker, tickets: list[Ticket]) -> None:
    """Nobody has the tickets any more."""
    tickets.clear()


@pytest.mark.parametrize("fate", [hangs, is_cancelled, is_killed])
def test_the_next_probe_goes_within_a_lease_and_a_second(
    fate: Callable[[Breaker, list[Ticket]], None], scorecard: Callable[[int, str], None]
) -> None:
    breaker = half_open()
    tickets = list[Ticket]()
    while isinstance(answer := breaker.enter(HALF_OPEN_AT), Ticket):
        tickets.append(answer)
    assert len(tickets) == RULE.max_requests
    fate(breaker, tickets)
    waited = inf
    for tenth in range(10 * int(RULE.lease + 10.0)):  # a caller who never gives up
        if isinstance(breaker.enter(HALF_OPEN_AT + tenth / 10), Ticket):
            waited = tenth / 10
            break
    name = fate.__name__.replace("_", " ")
    scorecard(
        20, f"after a probe that {name}, the next goes after {waited:g} s (<= lease + 1 s = {RULE.lease + 1:g} s)"
    )
    assert waited <= RULE.lease + 1.0


def test_a_caller_who_obeys_each_hint_is_let_through_within_a_lease_and_a_second() -> None:
    breaker, now, hints = half_open(), HALF_OPEN_AT, list[float]()
    while isinstance(breaker.enter(now), Ticket):
        pass
    while not isinstance(answer := breaker.enter(now), Ticket):
        hints.append(answer.retry_after)
        now += answer.retry_after
    assert now - HALF_OPEN_AT <= RULE.lease + 1.0
    assert hints == [1.0, 1.0, 2.0, 4.0, 8.0, 14.0]
