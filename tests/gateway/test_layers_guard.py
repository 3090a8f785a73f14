"""`guard` alone: who is let through, and what each ending says of the provider."""

import asyncio
from collections.abc import Callable

import pytest
from layer_cases import Inside, a_call, a_reply, finished

from aibridge.domain.errors import (
    AtCapacity,
    BadRequest,
    CircuitOpen,
    UpstreamBroke,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aibridge.gateway.call import Call
from aibridge.gateway.guard import guard, verdict
from aibridge.gateway.guards import Guards
from aibridge.gateway.reply import Reply
from aibridge.gateway.withheld import Withheld
from aibridge.overload.adaptive import AdaptiveLimiter, AdaptiveRule
from aibridge.overload.breaker import BreakerRule, State
from aibridge.overload.outcome import Outcome, Rejection
from aibridge.wire.dialect import Reading, View


class Elsewhere:
    """Where breakers are shared: what was said there, and what it answers."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float] | tuple[int, bool]] = []
        self.asked: list[tuple[str, int, float]] = []
        self.answer: int | Rejection | None = 7
        self.meanwhile: Callable[[], object] = lambda: None
        """What happens while it is asked."""

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """It has no news."""

    def tripped(self, breaker: str, seconds: float) -> None:
        self.said.append((breaker, seconds))

    async def probe(self, breaker: str, most: int, lease: float) -> int | Rejection | None:
        self.asked.append((breaker, most, lease))
        self.meanwhile()
        return self.answer

    def probed(self, number: int, *, succeeded: bool) -> None:
        self.said.append((number, succeeded))


class Kept:
    """A guarded provider at a time that the test says."""

    def __init__(
        self, *, rule: BreakerRule | None = None, adaptive: AdaptiveRule | None = None, models: tuple[str, ...] = ()
    ) -> None:
        self.now = 100.0
        self.elsewhere = Elsewhere()
        self.told = self.elsewhere.said
        self.guards = Guards(
            ["openai"],
            models,
            rule=rule,
            adaptive=adaptive,
            shared=self.elsewhere,
            clock=lambda: self.now,
        )

    def call(
        self,
        ending: BaseException | None = None,
        *,
        status: int = 200,
        reading: Reading | None = None,
        model: str = "m",
        own: bool = False,
    ) -> None:
        call = a_call()
        call.view = View(model=model)
        if own:
            call.own_credential = [(b"authorization", b"Bearer sk-own")]

        async def handle(_: Call, reply: Reply) -> None:
            reply.begin(status, b"", chunked=False, streaming=False)
            reply.reading = reading
            reply.first_byte_at = self.now
            if ending is not None:
                raise ending

        finished(guard(self.guards, lambda: self.now)(handle)(call, a_reply()[0]))

    def state(self, name: str = "openai:central:*") -> State:
        place = next(place for place in self.guards.places if place.name == name)
        assert place.breaker is not None
        return place.breaker.state(self.now)


TWO = BreakerRule(failure_threshold=2, timeout=30.0)


def failing(kept: Kept, *, own: bool = False) -> None:
    for _ in range(2):
        with pytest.raises(UpstreamBroke):
            kept.call(UpstreamBroke("x"), own=own)


def test_what_keeps_failing_is_left_alone_and_the_caller_told_for_how_long() -> None:
    kept = Kept(rule=TWO)
    failing(kept)
    kept.now += 10.0
    with pytest.raises(CircuitOpen) as caught:
        kept.call()
    assert caught.value.retry_after == 20.0
    assert kept.told == [("openai:central:*", 30.0)]


def test_after_the_break_probes_decide() -> None:
    kept = Kept(rule=BreakerRule(failure_threshold=2, timeout=30.0, max_requests=1))
    failing(kept)
    kept.now += 30.0
    kept.call()
    assert kept.state() is State.CLOSED


@pytest.mark.parametrize(
    ("failure", "counts"),
    [
        (UpstreamUnreachable("x"), True),
        (UpstreamBroke("x"), True),
        (UpstreamTimeout("x"), True),
        (Withheld(503, None, lambda: None), True),
        (asyncio.CancelledError(), False),
        (BadRequest("x"), False),
        (AtCapacity.caller("x"), False),
        (ZeroDivisionError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_are_the_providers_and_nobody_elses(failure: BaseException, counts: bool) -> None:
    kept = Kept(rule=TWO)
    for _ in range(2):
        with pytest.raises(type(failure)):
            kept.call(failure)
    assert (kept.state() is State.OPEN) is counts


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, None, Outcome.SUCCESS),
        (200, "overloaded_error", Outcome.FAILURE),
        (200, "api_error", Outcome.FAILURE),
        (200, "server_error", Outcome.FAILURE),
        (200, "invalid_request_error", Outcome.IGNORED),
        (400, "invalid_request_error", Outcome.IGNORED),
        (401, None, Outcome.IGNORED),
        (404, None, Outcome.IGNORED),
        (429, "rate_limit_error", Outcome.IGNORED),
        (500, None, Outcome.FAILURE),
        (503, None, Outcome.FAILURE),
        (529, "overloaded_error", Outcome.FAILURE),
    ],
)
def test_the_verdict_on_an_answer(status: int, error: str | None, outcome: Outcome) -> None:
    reply, _ = a_reply()
    reply.status, reply.reading = status, Reading(error=error)
    assert verdict(reply) is outcome


def test_one_persons_own_credential_does_not_open_the_breaker_of_all() -> None:
    kept = Kept(rule=TWO)
    failing(kept, own=True)
    kept.call()
    assert kept.state() is State.CLOSED
    assert kept.state("openai:own:*") is State.OPEN


def test_models_that_are_configured_have_a_breaker_each_and_no_model_makes_one() -> None:
    kept = Kept(rule=TWO, models=("gpt-*",))
    before = len(kept.guards.places)
    for model in ("invented-1", "invented-2"):
        with pytest.raises(UpstreamBroke):
            kept.call(UpstreamBroke("x"), model=model)
    kept.call(model="gpt-5")
    with pytest.raises(CircuitOpen):
        kept.call(model="another")
    assert len(kept.guards.places) == before == 4


def test_what_another_process_saw_counts_here_without_being_told_again() -> None:
    kept = Kept(rule=TWO)
    kept.guards.heard("openai:central:*", 5.0)
    with pytest.raises(CircuitOpen) as caught:
        kept.call()
    assert caught.value.retry_after == 5.0
    kept.guards.heard("openai:central:*", 0.0)
    kept.guards.heard("none of ours", 5.0)
    kept.call()
    assert kept.told == []


def test_that_a_breaker_was_closed_elsewhere_changes_nothing_where_it_is_closed() -> None:
    kept = Kept(rule=TWO)
    with pytest.raises(UpstreamBroke):
        kept.call(UpstreamBroke("x"))
    kept.guards.heard("openai:central:*", 0.0)
    with pytest.raises(UpstreamBroke):
        kept.call(UpstreamBroke("x"))
    assert kept.state() is State.OPEN


def half_open(rule: BreakerRule) -> Kept:
    kept = Kept(rule=rule)
    kept.guards.heard("openai:central:*", 5.0)
    kept.now += 5.0
    return kept


def test_a_probe_is_asked_for_elsewhere_and_told_there_and_no_other_call_is() -> None:
    kept = half_open(BreakerRule(max_requests=2, lease=9.0))
    kept.call()
    kept.call(status=429)
    kept.call()
    assert kept.state() is State.CLOSED
    assert kept.elsewhere.asked == [("openai:central:*", 2, 9.0)] * 3
    assert kept.told == [(7, True), (7, False), (7, True)]
    kept.call()
    assert len(kept.elsewhere.asked) == 3


def test_a_breaker_that_closes_while_nobody_can_be_asked_is_told_to_be_closed() -> None:
    kept = half_open(BreakerRule(max_requests=2))
    kept.elsewhere.answer = None
    kept.call()
    assert kept.told == []
    kept.call()
    assert kept.told == [("openai:central:*", 0.0)]


@pytest.mark.parametrize("answer", [7, None], ids=["shared", "nobody to ask"])
def test_a_probe_that_fails_is_told_as_what_opened_the_breaker_before_its_place_comes_back(answer: int | None) -> None:
    kept = half_open(TWO)
    kept.elsewhere.answer = answer
    with pytest.raises(UpstreamBroke):
        kept.call(UpstreamBroke("x"))
    assert kept.told == [("openai:central:*", 30.0), *([(7, False)] if answer else [])]


def test_a_probe_of_a_provider_that_was_replaced_meanwhile_is_no_success_of_the_other() -> None:
    kept = half_open(TWO)

    async def handle(_: Call, reply: Reply) -> None:
        kept.guards.keep(["openai"], {"openai"})
        reply.begin(200, b"", chunked=False, streaming=False)

    call = a_call()
    call.view = View(model="m")
    finished(guard(kept.guards, lambda: kept.now)(handle)(call, a_reply()[0]))
    assert kept.told == [(7, False)]


def test_a_slow_probe_is_no_success_elsewhere() -> None:
    kept = half_open(BreakerRule(slow_first_byte=1.0))

    async def slow(_: Call, reply: Reply) -> None:
        reply.begin(200, b"", chunked=False, streaming=False)
        kept.now += 2.0
        reply.first_byte_at = kept.now

    call = a_call()
    call.view = View(model="m")
    finished(guard(kept.guards, lambda: kept.now)(slow)(call, a_reply()[0]))
    assert kept.told == [("openai:central:*", 30.0), (7, False)]


def test_how_long_others_were_asked_is_no_part_of_the_first_byte() -> None:
    kept = half_open(BreakerRule(slow_first_byte=1.0, max_requests=1))

    def later() -> None:
        kept.now += 2.0

    async def quick(_: Call, reply: Reply) -> None:
        reply.begin(200, b"", chunked=False, streaming=False)
        reply.first_byte_at = kept.now

    kept.elsewhere.meanwhile = later
    call = a_call()
    call.view = View(model="m")
    finished(guard(kept.guards, lambda: kept.now)(quick)(call, a_reply()[0]))
    assert kept.state() is State.CLOSED


def test_a_probe_without_a_place_elsewhere_is_refused_and_counted_as_such() -> None:
    kept = half_open(TWO)
    kept.elsewhere.answer = Rejection("openai:central:*", 3, 0.0, 4.0)
    with pytest.raises(CircuitOpen) as caught:
        kept.call()
    assert caught.value.retry_after == 4.0
    (place,) = [place for place in kept.guards.places if place.name == "openai:central:*"]
    assert place.breaker is not None
    assert place.breaker.rejections == 1
    assert kept.told == []


def test_a_breaker_is_closed_by_hand_everywhere() -> None:
    kept = Kept(rule=TWO)
    failing(kept)
    kept.guards.reset("openai:central:*")
    assert kept.told[-1] == ("openai:central:*", 0.0)
    kept.call()
    with pytest.raises(LookupError):
        kept.guards.reset("no such")


def test_a_slow_first_byte_opens_as_well() -> None:
    kept = Kept(rule=BreakerRule(slow_first_byte=1.0, slow_ratio=0.5, minimum_calls=2))
    inside = Inside()

    async def slow(call: Call, reply: Reply) -> None:
        kept.now += 2.0
        await inside(call, reply)
        reply.begin(200, b"", chunked=False, streaming=False)
        reply.first_byte_at = kept.now

    for _ in range(2):
        call = a_call()
        call.view = View(model="m")
        finished(guard(kept.guards, lambda: kept.now)(slow)(call, a_reply()[0]))
    assert kept.state() is State.OPEN


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_provider_that_has_too_much_to_do_gets_less_at_once(status: int) -> None:
    kept = Kept(adaptive=AdaptiveRule(initial=10))
    place = next(place for place in kept.guards.places if place.credential == "central")
    assert place.limiter is not None
    held = [place.limiter.enter(kept.now) for _ in range(8)]
    kept.call(status=status)
    assert place.limiter.limit < 10
    assert place.limiter.in_flight == len(held)


def test_above_what_it_takes_at_once_a_call_is_refused() -> None:
    kept = Kept(adaptive=AdaptiveRule(initial=1))
    place = next(place for place in kept.guards.places if place.credential == "central")
    assert place.limiter is not None
    place.limiter.enter(kept.now)
    with pytest.raises(AtCapacity) as caught:
        kept.call()
    assert "1 requests to openai are in progress" in caught.value.detail
    assert place.limiter.in_flight == 1
    kept.call(own=True)


def test_a_limit_that_is_found_out_hears_of_the_first_byte_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Kept(adaptive=AdaptiveRule(initial=10))
    place = next(place for place in kept.guards.places if place.credential == "central")
    assert place.limiter is not None
    heard: list[float] = []
    monkeypatch.setattr(
        AdaptiveLimiter, "answered", lambda _limiter, _permit, first_byte, _now: heard.append(first_byte)
    )
    call, (reply, _) = a_call(), a_reply()
    call.view = View(model="m")

    async def streaming(_: Call, reply: Reply) -> None:
        reply.begin(200, b"", chunked=False, streaming=True)
        assert len(heard) == 1
        kept.now += 60.0

    finished(guard(kept.guards, lambda: kept.now)(streaming)(call, reply))
    assert len(heard) == 1
    assert reply.begun is None


@pytest.mark.parametrize(
    ("failure", "says_so"),
    [
        (Withheld(503, None, lambda: None), True),
        (Withheld(502, None, lambda: None), False),
        (UpstreamUnreachable("x"), True),
        (UpstreamBroke("x"), False),
    ],
    ids=["503", "502", "unreachable", "broke"],
)
def test_a_failure_shrinks_an_adaptive_limit_where_it_says_that_there_is_no_room(
    failure: Exception, says_so: bool
) -> None:
    kept = Kept(adaptive=AdaptiveRule(initial=10))
    with pytest.raises(type(failure)):
        kept.call(failure)
    ((_, limit),) = kept.guards.limits()
    assert (limit < 10) is says_so


def test_how_much_a_persons_own_credential_bears_is_not_looked_for() -> None:
    kept = Kept(adaptive=AdaptiveRule(initial=1))
    assert [key for key, _ in kept.guards.limits()] == [("openai", "central", "*")]


def test_a_breaker_of_a_provider_that_was_replaced_meanwhile_tells_nobody_and_refuses_nobody() -> None:
    kept = Kept(rule=TWO)
    with pytest.raises(UpstreamBroke):
        kept.call(UpstreamBroke("x"))
    (before,) = [place for place in kept.guards.places if place.name == "openai:central:*"]
    assert before.breaker is not None

    class Replaced(UpstreamBroke):
        """An ending at which another provider already has the name."""

        def __init__(self) -> None:
            kept.guards.keep(["openai"], {"openai"})
            super().__init__("x")

    call = a_call()
    call.view = View(model="m")

    async def handle(_: Call, reply: Reply) -> None:
        raise Replaced

    with pytest.raises(Replaced):
        finished(guard(kept.guards, lambda: kept.now)(handle)(call, a_reply()[0]))
    assert before.breaker.state(kept.now) is State.OPEN
    assert kept.told == []
    kept.call()
    assert kept.state() is State.CLOSED


def test_a_call_on_a_provider_that_was_removed_meanwhile_is_let_through_and_nothing_kept_of_it() -> None:
    kept = Kept(rule=TWO, adaptive=AdaptiveRule())
    kept.guards.keep([])
    failing(kept)
    kept.call()
    assert (list(kept.guards.places), kept.guards.limits(), kept.told) == ([], [], [])
    with pytest.raises(LookupError):
        kept.guards.reset("openai:central:*")
    kept.guards.heard("openai:central:*", 30.0)
