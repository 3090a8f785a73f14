"""`drain`, `capacity`, `pace` and `admit`, each alone, over counts in memory."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from unittest.mock import Mock

import pytest
from layer_cases import BODY, MIA, Inside, a_call, a_reply, finished, raising, request_body

from aibridge.domain.actor import Actor
from aibridge.domain.errors import (
    AtCapacity,
    BadRequest,
    CallError,
    CircuitOpen,
    Draining,
    InternalError,
    RateLimited,
    UpstreamBroke,
)
from aibridge.domain.priority import Priority
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.domain.usage import Usage
from aibridge.gateway.admit import admit, capacity, pace
from aibridge.gateway.body import body
from aibridge.gateway.call import Call, Handler, RequestBody
from aibridge.gateway.drain import drain, stopping
from aibridge.gateway.reply import Reply
from aibridge.limits.engine import Admission, Limits, Size
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome
from aibridge.wire.dialect import View

ENDINGS = {
    "refused": BadRequest("no"),
    "upstream failed": UpstreamBroke("broke"),
    "our error": InternalError("oops"),
    "our bug": ZeroDivisionError(),
    "cancelled": asyncio.CancelledError(),
    "killed": KeyboardInterrupt(),
}
ONE_AT_A_TIME = Rule(name="concurrency", unit=Unit.CONCURRENT, amount=1)
THREE_A_SECOND = Rule(name="token", unit=Unit.REQUESTS, amount=3, window=1.0, subject=Subject.TOKEN)
ONE_A_SECOND = Rule(name="token", unit=Unit.REQUESTS, amount=1, window=1.0, subject=Subject.TOKEN)
TOKENS = Rule(name="team", unit=Unit.TOTAL_TOKENS, amount=10_000, window=100.0, subject=Subject.USER)


def finished_admission(admission: Coroutine[Any, Any, Admission]) -> None:
    with suppress(StopIteration):
        admission.send(None)


class Door:
    """The two looks and the decision, over rules, at a time that the test says."""

    def __init__(self, *rules: Rule) -> None:
        self.now = 100.0
        self.counts = Memory(rules, lambda: self.now)
        self.limits = Limits(rules, self.counts, clock=lambda: self.now)
        self.look = capacity(self.limits)
        self._pace = pace(self.limits)

    def pace(self, call: Call) -> CallError | None:
        call.started = self.now
        return self._pace(call)

    def call(self, handle: Handler, actor: Actor = MIA, *, view: View | None = None, look: bool = True) -> Call:
        call = a_call(actor=actor)
        if view is not None:
            call.view, call.content = view, b"x" * 400
        for check in (self.look, self.pace) if look else (self.pace,):
            refusal = check(call)
            if refusal is not None:
                raise refusal
        finished(admit(self.limits)(handle)(call, a_reply()[0]))
        return call

    def used(self, place: int = 0) -> float:
        return sum(one.used for one in asyncio.run(self.counts.present(10)) if one.rule == place)


def test_a_permit_is_held_while_the_call_lasts_and_no_longer() -> None:
    door = Door(ONE_AT_A_TIME)
    inside = Inside(seeing=lambda: door.counts.full(0, "") is not None)
    for _ in range(5):
        door.call(inside)
    assert inside.seen == [True] * 5
    assert door.counts.full(0, "") is None


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_permit_comes_back_on_every_ending(ending: BaseException) -> None:
    door = Door(ONE_AT_A_TIME)
    for _ in range(3):
        with pytest.raises(type(ending)) as caught:
            door.call(raising(ending))
        assert caught.value is ending
        assert door.counts.full(0, "") is None


def test_a_permit_comes_back_when_the_call_is_cancelled_while_it_waits() -> None:
    door = Door(ONE_AT_A_TIME)
    call = a_call(actor=MIA)
    assert door.pace(call) is None

    async def waiting(*_: object) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        work = asyncio.ensure_future(admit(door.limits)(waiting)(call, a_reply()[0]))
        await asyncio.sleep(0)
        assert door.counts.full(0, "") is not None
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert door.counts.full(0, "") is None

    asyncio.run(test())


@pytest.mark.parametrize("look", [True, False], ids=["at the door", "at the decision"])
def test_over_the_maximum_a_call_is_refused_and_goes_no_further(look: bool) -> None:
    door = Door(ONE_AT_A_TIME)
    inside = Inside()

    async def second(*_: object) -> None:
        with pytest.raises(AtCapacity) as caught:
            door.call(inside, look=look)
        assert caught.value.message == "AI Bridge is currently at capacity. Please try again later."
        assert "1 AI requests are in progress" in caught.value.detail
        assert caught.value.rejection is not None
        assert caught.value.rejection.limit == "concurrency"

    door.call(second)
    assert inside.calls == []
    assert door.counts.full(0, "") is None


def test_a_token_is_admitted_as_often_as_its_rate_allows_in_any_window() -> None:
    door = Door(THREE_A_SECOND)
    admitted = []
    for instant in [0.0, 0.125, 0.25, 0.375, 0.999, 1.0, 1.0625, 1.125, 1.25, 1.5]:
        door.now = 100.0 + instant
        try:
            door.call(Inside())
            admitted.append(instant)
        except RateLimited:
            pass
    assert admitted == [0.0, 0.125, 0.25, 1.0, 1.125, 1.25]


def test_the_rate_is_each_tokens_own_whoever_holds_it() -> None:
    door = Door(ONE_A_SECOND)
    other_token = Actor(id=MIA.id, username=MIA.username, token_id="another")
    door.call(Inside())
    door.call(Inside(), other_token)
    with pytest.raises(RateLimited):
        door.call(Inside(), other_token)


def test_a_refusal_for_the_rate_carries_the_true_wait_also_when_it_is_repeated_at_the_door() -> None:
    door = Door(ONE_A_SECOND)
    door.call(Inside())
    for after, wait in ((0.25, 0.75), (0.5, 0.5)):
        door.now = 100.0 + after
        with pytest.raises(RateLimited) as caught:
            door.call(Inside())
        assert caught.value.message == "You've been rate limited. Please try again later."
        assert "the next one is admitted at 20" in caught.value.detail
        assert caught.value.retry_after == wait
    door.now = 101.0
    door.call(Inside())


@pytest.mark.parametrize(
    ("ending", "counts"),
    [
        (UpstreamBroke("x"), True),
        (BadRequest("x"), True),
        (CircuitOpen.caller("x", 1.0), False),
        (AtCapacity.caller("x"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_call_that_is_refused_for_nobodys_fault_counts_for_nothing(ending: CallError, counts: bool) -> None:
    door = Door(ONE_A_SECOND)
    with pytest.raises(type(ending)):
        door.call(raising(ending))
    assert (door.used() == 1.0) is counts


def test_a_call_that_was_sent_counts_also_when_it_is_then_refused_another_attempt() -> None:
    async def sent(call: Call, _: Reply) -> None:
        call.asked = True
        raise CircuitOpen.caller("x", 1.0)

    door = Door(ONE_A_SECOND)
    with pytest.raises(CircuitOpen):
        door.call(sent)
    assert door.used() == 1.0


def test_a_weighed_call_takes_its_estimate_and_settles_to_what_the_ledger_says() -> None:
    door = Door(TOKENS)
    view = View(model="m", max_output_tokens=900)
    seen = []

    async def inside(call: Call, _: Reply) -> None:
        seen.append(door.used())
        call.usage = Usage(input_tokens=7, output_tokens=5)

    door.call(inside, view=view)
    assert seen == [1000.0]
    assert door.used() == 12.0


def test_a_weighed_call_of_which_the_ledger_knows_nothing_costs_nothing() -> None:
    door = Door(TOKENS)
    with pytest.raises(UpstreamBroke):
        door.call(raising(UpstreamBroke("x")), view=View(model="m", max_output_tokens=900))
    assert door.used() == 0.0


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [(None, Outcome.SUCCESS), (UpstreamBroke("x"), Outcome.FAILURE), (BadRequest("x"), Outcome.IGNORED)],
    ids=str,
)
def test_only_calls_that_did_their_work_teach_how_long_one_takes(
    ending: CallError | None, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(ONE_AT_A_TIME)
    counts = Mock(wraps=door.counts)
    monkeypatch.setattr(door.limits, "_counts", counts)
    try:
        door.call(Inside(ending))
    except CallError:
        assert ending is not None
    assert [call.args[2] for call in counts.settle.call_args_list] == [outcome]


@pytest.mark.parametrize(
    ("priority", "header", "batch"),
    [(Priority.BATCH, None, True), (Priority.INTERACTIVE, b"batch", False), (Priority.CHOSEN, b"batch", True)],
)
def test_a_call_is_a_batch_by_its_token_or_by_a_trusted_tokens_word(
    priority: Priority, header: bytes | None, batch: bool
) -> None:
    door = Door()
    actor = Actor(id="x", username="x", token_id="x", priority=priority)
    call = a_call(*([(b"x-ai-bridge-priority", header)] if header else []), actor=actor)
    assert door.pace(call) is None
    assert call.caller is not None
    assert call.caller.batch is batch


def test_who_calls_with_a_known_head_is_who_its_token_is_of_now() -> None:
    door = Door()
    call = a_call(actor=Actor(id="x", username="x", token_id="x"))
    assert door.pace(call) is None
    call.actor = changed = Actor(id="x", username="x", token_id="x", priority=Priority.BATCH)
    assert door.pace(call) is None
    assert call.caller is not None
    assert call.caller.actor is changed
    assert call.caller.batch


def test_who_was_refused_is_looked_at_with_the_body_if_that_is_here() -> None:
    a_model = Rule(name="m", unit=Unit.REQUESTS, amount=1, window=9.0, model="gpt-5", subject=Subject.USER)
    door = Door(a_model)
    head = a_call(actor=MIA).head

    def call(content: bytes, *, here: bool = True) -> Call:
        coming = request_body(content) if here else RequestBody(1000)
        return Call("1", head, coming, 100.0, 0)

    def handled(call: Call) -> None:
        call.actor = MIA
        assert door.pace(call) is None
        finished(body()(admit(door.limits)(Inside()))(call, a_reply()[0]))

    handled(call(BODY))
    with pytest.raises(RateLimited):
        handled(call(BODY))
    again = call(BODY)
    again.actor = MIA
    refusal = door.pace(again)
    assert isinstance(refusal, RateLimited)
    assert refusal.rejection is not None
    assert (refusal.rejection.limit, again.content) == ("m", BODY)
    for unknown in (call(BODY, here=False), call(b'{"model":"gpt-4"}')):
        unknown.actor = MIA
        assert door.pace(unknown) is None
    handled(call(b'{"model":"gpt-4"}'))
    door.now += 1.0
    other = call(BODY)
    other.actor = MIA
    assert door.pace(other) is None, "none was refused lately"
    assert other.view is None


def test_the_body_of_what_passes_through_is_not_looked_at() -> None:
    queue = Rule(name="queue", unit=Unit.CONCURRENT, amount=9, queue_timeout=1.0, queue_size=1)
    door = Door(ONE_A_SECOND, TOKENS, queue)
    head = a_call(path=b"/openai/v1/models", method=b"GET").head
    for look in range(3):
        call = Call("1", head, request_body(b"whatever"), 100.0, 0)
        call.actor = MIA
        refusal = door.pace(call)
        assert call.body.content() == b"whatever"
        if look < 2:
            assert refusal is None
            with suppress(RateLimited):
                finished(admit(door.limits)(Inside())(call, a_reply()[0]))
    assert isinstance(refusal, RateLimited)


def test_a_bad_body_that_is_looked_at_early_is_a_bad_body() -> None:
    door = Door(TOKENS)
    used_up = a_call(actor=MIA)
    assert door.pace(used_up) is None
    assert used_up.caller is not None
    large = Size(model="m", body_bytes=0, max_output_tokens=9999)
    for _ in range(2):
        with suppress(RateLimited):
            finished_admission(door.limits.admit(used_up.caller, large))
    bad = Call("1", used_up.head, request_body(b"{"), 100.0, 0)
    bad.actor = MIA
    with pytest.raises(BadRequest):
        door.pace(bad)


@pytest.mark.parametrize(("path", "passes"), [(b"/openai/v1/chat/completions", False), (b"/openai/v1/models", True)])
def test_what_passes_through_is_paced_apart(path: bytes, passes: bool) -> None:
    call = a_call(path=path, method=b"GET" if passes else b"POST", actor=MIA)
    assert Door().pace(call) is None
    assert call.caller is not None
    assert call.caller.passes_through is passes


def test_while_draining_nothing_new_is_taken() -> None:
    draining = [False]
    check = drain(lambda: draining[0])
    assert check(a_call()) is None
    draining[0] = True
    refusal = check(a_call())
    assert isinstance(refusal, Draining)
    assert refusal.retry_after == stopping().retry_after == 2.0
    assert refusal.status == 503
