"""`retry` alone, and what the relay withholds for it."""

from collections.abc import Callable

import pytest
from layer_cases import a_call, a_reply, finished

from aibridge.domain.errors import CallError, CircuitOpen, UpstreamBroke, UpstreamTimeout, UpstreamUnreachable
from aibridge.gateway.call import Call
from aibridge.gateway.relay import Exchange
from aibridge.gateway.reply import Reply
from aibridge.gateway.retry import Retries, retry
from aibridge.gateway.withheld import MOST_KEPT, Withheld
from aibridge.overload.retry_budget import RetryBudget

HEAD = b"HTTP/1.1 503 Service Unavailable\r\n"


class Provider:
    """A handler that answers each attempt as it is told, the last answer for ever."""

    def __init__(self, *answers: Exception | Callable[[Call, Reply], Exception | None] | None) -> None:
        self.answers = list(answers)
        self.withholds: list[bool] = []

    async def __call__(self, call: Call, reply: Reply) -> None:
        self.withholds.append(call.withholds)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        error = answer(call, reply) if callable(answer) else answer
        if error is not None:
            raise error


def refusing(
    status: int, retry_after: bytes | None = None, body: bytes = b"no"
) -> Callable[[Call, Reply], Exception | None]:
    """What the relay does when a provider answers so."""

    def answer(call: Call, reply: Reply) -> Exception | None:
        exchange = Exchange(call, reply)
        headers = [(b"content-type", b"application/json")]
        if retry_after is not None:
            headers.append((b"retry-after", retry_after))
        exchange.answered(status, headers, dict(headers), len(body))
        exchange.completed(body)
        return exchange.withheld

    return answer


class Tried:
    """One call through the layer."""

    def __init__(self, provider: Provider, *, most: int = 2, budget: RetryBudget | None = None) -> None:
        self.pauses: list[float] = []
        self.retries = Retries(["openai"], lambda: budget or RetryBudget(1.0, floor=100.0))
        self.reply, self.transport = a_reply()
        self.error: CallError | None = None

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        layer = retry(self.retries, most=most, clock=lambda: 100.0, luck=lambda: 0.5, sleep=sleep)
        try:
            finished(layer(provider)(a_call(), self.reply))
        except CallError as error:
            self.error = error
        else:
            if self.reply.status is not None:
                self.reply.finish()


def test_what_works_at_once_is_asked_once() -> None:
    provider = Provider(None)
    assert Tried(provider).pauses == []
    assert provider.withholds == [True]


@pytest.mark.parametrize("status", [502, 503, 529])
def test_a_call_that_the_provider_did_not_take_is_sent_again_and_the_client_never_knows(status: int) -> None:
    provider = Provider(refusing(status), None)
    tried = Tried(provider)
    assert tried.error is None
    assert tried.transport.written == b""
    assert tried.retries.made == {"openai": 1}
    assert provider.withholds == [True, True]


def test_pauses_grow_and_are_never_cut_short() -> None:
    tried = Tried(Provider(refusing(503)), most=3)
    assert tried.pauses == pytest.approx([0.125, 0.25, 0.5])


def test_the_last_answer_reaches_the_client_byte_for_byte() -> None:
    provider = Provider(refusing(503, body=b"first"), refusing(503, b"7", body=b"second"))
    tried = Tried(provider, most=1)
    assert provider.withholds == [True, False]
    assert tried.transport.written.startswith(HEAD)
    assert b"retry-after: 7\r\n" in tried.transport.written
    assert tried.transport.written.endswith(b"\r\n\r\nsecond")


def test_a_provider_that_cannot_be_reached_is_tried_again() -> None:
    tried = Tried(Provider(UpstreamUnreachable("x"), None))
    assert tried.error is None
    assert len(tried.pauses) == 1


def test_one_that_stays_unreachable_is_told_as_that() -> None:
    tried = Tried(Provider(UpstreamUnreachable("x")))
    assert isinstance(tried.error, UpstreamUnreachable)
    assert len(tried.pauses) == 2


@pytest.mark.parametrize("error", [UpstreamBroke("x"), UpstreamTimeout("x")])
def test_what_the_provider_may_have_done_is_not_done_twice(error: CallError) -> None:
    tried = Tried(Provider(error))
    assert tried.error is error
    assert tried.pauses == []


@pytest.mark.parametrize("status", [200, 400, 429, 500, 504])
def test_other_answers_are_the_clients_at_once(status: int) -> None:
    provider = Provider(refusing(status, b"3"))
    tried = Tried(provider)
    assert len(provider.withholds) == 1
    assert tried.reply.status == status
    assert b"retry-after: 3\r\n" in tried.transport.written


def test_the_providers_wait_is_honoured() -> None:
    assert Tried(Provider(refusing(503, b"1"), None)).pauses == [1.25]


@pytest.mark.parametrize("wait", [b"2", b"30", b"Wed, 21 Oct 2026 07:28:00 GMT"])
def test_who_asks_for_more_patience_than_we_have_is_left_alone(wait: bytes) -> None:
    tried = Tried(Provider(refusing(503, wait)))
    assert tried.pauses == []
    assert b"retry-after: " + wait in tried.transport.written


def test_without_budget_nothing_is_tried_again() -> None:
    tried = Tried(Provider(refusing(503)), budget=RetryBudget(0.0, floor=0.0))
    assert tried.pauses == []
    assert tried.reply.status == 503


def test_a_long_refusal_is_not_kept_but_sent() -> None:
    part = b"x" * MOST_KEPT

    def answer(call: Call, reply: Reply) -> Exception | None:
        exchange = Exchange(call, reply)
        exchange.answered(503, [], {}, 2 * MOST_KEPT)
        exchange.received(part)
        assert isinstance(exchange.withheld, Withheld)
        exchange.received(part[1:])
        exchange.completed(b"x")
        return exchange.withheld

    tried = Tried(Provider(answer))
    assert tried.pauses == []
    assert bytes(tried.transport.written).partition(b"\r\n\r\n")[2] == 2 * part


def test_calls_earn_what_further_attempts_cost() -> None:
    budget = RetryBudget(0.5, floor=0.0, cap=1.0)
    further = [len(Tried(Provider(UpstreamUnreachable("x")), budget=budget).pauses) for _ in range(5)]
    assert further == [1, 0, 1, 0, 1]


def test_when_we_refuse_another_attempt_the_answer_there_was_is_the_clients() -> None:
    tried = Tried(Provider(refusing(503, body=b"theirs"), CircuitOpen.caller("x", 1.0)))
    assert tried.error is None
    assert tried.transport.written.endswith(b"\r\n\r\ntheirs")


def test_a_call_that_we_refuse_at_once_is_told_so() -> None:
    assert isinstance(Tried(Provider(CircuitOpen.caller("x", 1.0))).error, CircuitOpen)
