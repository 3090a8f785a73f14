"""`record` alone: what is written down, when, and for every ending."""

import asyncio
from collections.abc import Callable

import pytest
from layer_cases import MIA, Inside, Journal, a_call, a_reply, finished, request_body

from aibridge.domain.actor import Actor
from aibridge.domain.errors import AtCapacity, CallError, LedgerUnavailable, UpstreamBroke, UpstreamTimeout
from aibridge.domain.interception import Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.gateway.body import body
from aibridge.gateway.call import Call, Handler
from aibridge.gateway.record import record
from aibridge.gateway.reply import Reply
from aibridge.limits.engine import Size
from aibridge.telemetry import Telemetry
from aibridge.wire.dialect import Reading

USAGE = Usage(input_tokens=10, output_tokens=5)
AGENT = (b"user-agent", b"claude-cli/2.0")
SESSION = (b"x-claude-code-session-id", b"s-1")


class Recorded:
    """One call through the layer; the clock says 102.5 at its end, which began at 100."""

    def __init__(
        self,
        handle: Handler,
        *,
        raises: type[BaseException] | None = None,
        call: Call | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.journal = Journal()
        self.telemetry = telemetry or Telemetry()
        self.call = call or a_call(AGENT, SESSION, actor=MIA)
        layer = record(self.journal, self.telemetry, clock=lambda: 102.5)
        work = body()(layer(handle))(self.call, a_reply()[0])
        if raises is None:
            finished(work)
        else:
            with pytest.raises(raises):
                finished(work)


def answering(status: int, reading: Reading | None = None, *, sent: bool = True) -> Handler:
    async def handle(call: Call, reply: Reply) -> None:
        reply.begin(status, b"HTTP/1.1 200 OK\r\n\r\n", chunked=False, streaming=False)
        reply.first_byte_at = 100.25
        reply.reading = reading
        if sent:
            reply.write(b"{}")

    return handle


def then(handle: Handler, failure: BaseException, also: Callable[[Call], None] = lambda _: None) -> Handler:
    async def failing(call: Call, reply: Reply) -> None:
        await handle(call, reply)
        also(call)
        raise failure

    return failing


def test_the_beginning_is_written_before_anything_is_asked_and_the_end_after() -> None:
    seen: list[object] = []
    journal = Journal()
    inside = Inside(seeing=lambda: seen.append(list(journal.events)))
    layer = record(journal, Telemetry(), clock=lambda: 0.0)
    call = a_call(actor=MIA)
    finished(body()(layer(inside))(call, a_reply()[0]))
    (at_that_time,) = seen
    assert at_that_time == journal.events[:1]
    assert isinstance(journal.events[0], Interception)
    assert journal.ending.id == call.id


def test_what_is_known_of_a_call_is_written_down() -> None:
    recorded = Recorded(answering(200, Reading(usage=USAGE, source=UsageSource.PROVIDER, response_id="r", whole=True)))
    assert recorded.journal.events[0] == Interception(
        id=recorded.call.id,
        actor_id=MIA.id,
        token_id=MIA.token_id,
        provider="openai",
        route="/v1/chat/completions",
        model="gpt-5",
        streaming=False,
        client="Claude Code",
        session_id="s-1",
        user_agent="claude-cli/2.0",
        started_at=recorded.call.started_at,
    )
    ending = recorded.journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.COMPLETED, 200, None)
    assert (ending.usage, ending.usage_source, ending.response_id) == (USAGE, UsageSource.PROVIDER, "r")
    assert ending.first_byte_at == recorded.call.started_at + 250_000
    assert ending.ended_at == recorded.call.started_at + 2_500_000


def test_a_user_agent_is_kept_to_256_characters() -> None:
    call = a_call((b"user-agent", b"\xff" * 1000), actor=MIA)
    interception = Recorded(answering(200), call=call).journal.events[0]
    assert isinstance(interception, Interception)
    assert interception.user_agent == "\xff" * 256


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("status", [200, 201, 302, 399])
def test_an_answer_below_400_is_a_success(status: int, sent: bool) -> None:
    ending = Recorded(answering(status, Reading(), sent=sent)).journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.COMPLETED, status, None)


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("status", [400, 429, 500, 529, 599])
def test_an_error_status_is_a_failure_even_if_its_body_says_nothing(status: int, sent: bool) -> None:
    ending = Recorded(answering(status, Reading(), sent=sent)).journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.FAILED, status, f"http_{status}")


def test_an_error_in_a_stream_is_a_failure_with_the_providers_word() -> None:
    ending = Recorded(answering(200, Reading(usage=USAGE, error="overloaded_error"))).journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.FAILED, 200, "overloaded_error")
    assert ending.usage == USAGE


@pytest.mark.parametrize("failure", [UpstreamBroke("x"), UpstreamTimeout("x"), AtCapacity("the pool is full")])
def test_a_failure_before_the_answer_has_its_own_status_and_code(failure: CallError) -> None:
    ending = Recorded(Inside(failure), raises=type(failure)).journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.FAILED, failure.status, failure.code)
    assert (ending.first_byte_at, ending.usage, ending.usage_source) == (None, None, UsageSource.UNKNOWN)


def test_a_failure_in_the_answer_has_the_status_that_the_client_saw_and_the_usage_so_far() -> None:
    reading = Reading(usage=USAGE, source=UsageSource.PARTIAL, response_id="r")
    ending = Recorded(then(answering(200, reading), UpstreamBroke("x")), raises=UpstreamBroke).journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.FAILED, 200, "upstream_broke")
    assert (ending.usage, ending.usage_source, ending.response_id) == (USAGE, UsageSource.PARTIAL, "r")


@pytest.mark.parametrize(("sent", "http_status"), [(True, 200), (False, None)])
def test_a_client_that_leaves_is_a_cancellation_with_the_usage_so_far(sent: bool, http_status: int | None) -> None:
    reading = Reading(usage=USAGE, source=UsageSource.PARTIAL)
    handle = then(answering(200, reading, sent=sent), asyncio.CancelledError())
    ending = Recorded(handle, raises=asyncio.CancelledError).journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.CANCELLED, http_status, "client_gone")
    assert (ending.usage, ending.usage_source) == (USAGE, UsageSource.PARTIAL)


def weighed() -> Call:
    """A call that limits weigh, of 17 bytes, which may answer a thousand tokens at most."""
    call = a_call(actor=MIA)
    call.size = Size(model="gpt-5", body_bytes=17, max_output_tokens=1000)
    return call


@pytest.mark.parametrize("parts", [(b"x" * 396,), (b"x" * 300, b"x" * 96)], ids=["at once", "in parts"])
def test_an_answer_without_usage_is_estimated_by_its_bytes_where_limits_weigh_it(parts: tuple[bytes, ...]) -> None:
    async def handle(_: Call, reply: Reply) -> None:
        reply.begin(200, b"HTTP/1.1 200 OK\r\n\r\n", chunked=False, streaming=False)
        for part in parts[:-1]:
            reply.write(part)
        reply.hold(parts[-1])

    call = weighed()
    ending = Recorded(handle, call=call).journal.ending
    assert ending.usage == call.usage == Usage(input_tokens=5, output_tokens=99)
    assert ending.usage_source == UsageSource.ESTIMATED


def asked(call: Call) -> None:
    call.asked = True


async def nothing(_: Call, __: Reply) -> None:
    """No answer has come yet."""


def test_who_leaves_before_the_answer_has_used_what_was_sent() -> None:
    handle = then(nothing, asyncio.CancelledError(), asked)
    ending = Recorded(handle, raises=asyncio.CancelledError, call=weighed()).journal.ending
    assert (ending.status, ending.usage) == (Status.CANCELLED, Usage(input_tokens=5, output_tokens=0))
    assert ending.usage_source == UsageSource.ESTIMATED


@pytest.mark.parametrize(
    ("handle", "raises", "call"),
    [
        (answering(200, sent=False), None, a_call(actor=MIA)),
        (answering(429), None, weighed()),
        (then(nothing, UpstreamBroke("x"), asked), UpstreamBroke, weighed()),
        (Inside(asyncio.CancelledError()), asyncio.CancelledError, weighed()),
    ],
    ids=["nobody weighs it", "refused by the provider", "no answer", "never sent"],
)
def test_no_other_call_is_estimated(handle: Handler, raises: type[BaseException] | None, call: Call) -> None:
    ending = Recorded(handle, raises=raises, call=call).journal.ending
    assert (ending.usage, ending.usage_source) == (None, UsageSource.UNKNOWN)


def test_a_call_that_the_gateway_stops_is_interrupted() -> None:
    def stop(call: Call) -> None:
        call.stopping = True

    handle = then(answering(200, Reading()), asyncio.CancelledError(), stop)
    ending = Recorded(handle, raises=asyncio.CancelledError).journal.ending
    assert (ending.status, ending.error) == (Status.INTERRUPTED, "interrupted")


def test_our_own_bug_is_a_failure_that_says_so() -> None:
    ending = Recorded(Inside(ZeroDivisionError()), raises=ZeroDivisionError).journal.ending
    assert (ending.status, ending.http_status, ending.error) == (Status.FAILED, 500, "internal_error")


def test_what_cannot_be_recorded_is_not_served() -> None:
    journal = Journal()
    journal.healthy = False
    inside = Inside()
    layer = record(journal, Telemetry(), clock=lambda: 0.0)(inside)
    with pytest.raises(LedgerUnavailable) as caught:
        finished(body()(layer)(a_call(actor=MIA), a_reply()[0]))
    assert caught.value.retry_after is not None
    assert caught.value.status == 503
    assert inside.calls == []
    assert journal.events == []


def test_every_ending_is_counted_once_and_nothing_stays_in_flight() -> None:
    for handle, raises, status in (
        (answering(200, Reading(usage=USAGE)), None, "completed"),
        (Inside(UpstreamBroke("x")), UpstreamBroke, "failed"),
        (Inside(ZeroDivisionError()), ZeroDivisionError, "failed"),
        (Inside(asyncio.CancelledError()), asyncio.CancelledError, "failed"),
    ):
        exposed = Recorded(handle, raises=raises).telemetry.exposition().decode()
        assert f'route="/v1/chat/completions",status="{status}"}} 1.0' in exposed
        gauge = "coder_ai_gateway_interceptions_inflight{"
        inflight = [line for line in exposed.splitlines() if line.startswith(gauge)]
        assert inflight
        assert all(line.endswith(" 0.0") for line in inflight)


def test_calls_with_one_head_are_counted_for_who_makes_them_and_by_their_models() -> None:
    telemetry = Telemetry()
    first = a_call(AGENT, actor=MIA)
    bob = Actor(id="bob", username="bob", token_id="t-bob")
    for actor, model in ((MIA, "one"), (MIA, "one"), (MIA, "two"), (bob, "two"), (bob, "two"), (MIA, "two")):
        call = a_call(actor=actor, body=request_body(b'{"model":"%b"}' % model.encode()))
        call.head = first.head
        Recorded(answering(200), call=call, telemetry=telemetry)
    counted = {
        (sample.labels["initiator_id"], sample.labels["model"]): sample.value
        for metric in telemetry.collect()
        if metric.name == "coder_ai_gateway_interceptions"
        for sample in metric.samples
    }
    assert counted == {("mia", "one"): 2.0, ("mia", "two"): 2.0, ("bob", "two"): 2.0}
