"""The edge alone: every error of the domain, as HTTP, in every dialect."""

import json
from functools import partial

import pytest
from layer_cases import PROVIDERS

from aibridge.domain import errors
from aibridge.domain.errors import (
    PATIENCE,
    AtCapacity,
    BudgetSpent,
    CallError,
    CircuitOpen,
    RateLimited,
    Unauthenticated,
)
from aibridge.domain.interception_id import interception_id
from aibridge.gateway import edge
from aibridge.overload.outcome import Rejection
from aibridge.overload.retry import Policy
from aibridge.wire import anthropic_messages, openai_chat, openai_responses
from aibridge.wire.dialect import Dialect

DIALECTS = (openai_chat.DIALECT, openai_responses.DIALECT, anthropic_messages.DIALECT)
ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CallError)]
REJECTION = Rejection("token", 5, 1.0, 0.25)


def answered(error: CallError, *, dialect: Dialect = DIALECTS[0], luck: float = 0.0) -> tuple[int, dict[str, str], str]:
    raw = edge.response(error, dialect, "request-1", keep_alive=True, luck=luck, now=0.0)
    head, _, body = raw.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert int(headers["content-length"]) == len(body.encode())
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
@pytest.mark.parametrize("kind", ERRORS, ids=lambda e: e.code)
def test_every_error_is_an_answer_in_both_shapes(kind: type[CallError], dialect: Dialect) -> None:
    status, headers, body = answered(kind("what — happened", "do this", field="model"), dialect=dialect)
    assert status == dialect.status_of(kind("x"))
    assert status == kind.status or kind is BudgetSpent
    assert (headers["content-type"], headers["x-request-id"]) == ("application/json", "request-1")
    told = json.loads(body)
    assert (told["message"], told["detail"]) == ("what — happened", "do this")
    assert told["validations"] == [{"field": "model", "detail": "what — happened"}]
    assert told["error"]["message"] == "what — happened"
    assert told["error"]["type"]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda e: e.code)
def test_every_429_and_503_says_when_to_come_back(kind: type[CallError]) -> None:
    for error in (kind("x"), kind("x", retry_after=0.0), kind("x", retry_after=7.2), kind("x", retry_after=1e9)):
        for luck in (0.0, 0.999999):
            status, headers, _ = answered(error, luck=luck)
            if status in {429, 503} and kind is not BudgetSpent:
                assert headers["retry-after"] == str(int(headers["retry-after"]))
                assert 1 <= int(headers["retry-after"]) <= 60
                assert int(headers["retry-after"]) >= min(error.retry_after or 0.0, 60)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda e: e.code)
def test_what_coming_back_cannot_change_says_so(kind: type[CallError]) -> None:
    status, headers, _ = answered(kind("x"))
    useless = status in {400, 403, 404, 413, 426, 431, 501}
    assert headers.get("x-should-retry") == ("false" if useless else None)


def test_a_rate_limit_says_the_true_wait_and_which_rule() -> None:
    _, headers, _ = answered(RateLimited("x", rejection=REJECTION))
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("1", "250")
    assert headers["ratelimit"] == '"token";r=0;t=1'
    assert headers["ratelimit-policy"] == '"token";q=5;w=1'


@pytest.mark.parametrize(("dialect", "status"), list(zip(DIALECTS, (429, 429, 402), strict=True)))
def test_what_is_spent_for_long_is_nothing_to_wait_for(dialect: Dialect, status: int) -> None:
    rejection = Rejection("team", 5, 86400.0, 3600.0)
    error = BudgetSpent.caller("x", "y", rejection, (Policy("team", 5, 86400.0),))
    told, headers, _ = answered(error, dialect=dialect)
    assert told == status
    assert headers["x-should-retry"] == "false"
    assert "retry-after" not in headers
    assert "retry-after-ms" not in headers
    assert headers["ratelimit"] == '"team";r=0;t=3600'


@pytest.mark.parametrize(("left", "useless"), [(PATIENCE, None), (PATIENCE + 0.1, "false")])
def test_a_breaker_that_stays_open_for_long_is_nothing_to_wait_for(left: float, useless: str | None) -> None:
    _, headers, _ = answered(CircuitOpen.caller("openai:central", left))
    assert headers.get("x-should-retry") == useless
    assert headers["retry-after"] == "60"


def test_luck_only_ever_adds() -> None:
    error = RateLimited("x", rejection=REJECTION)
    waits = [int(answered(error, luck=luck / 10)[1]["retry-after-ms"]) for luck in range(10)]
    assert waits == sorted(waits)
    assert waits[0] == 250
    assert waits[-1] > 250


def test_a_connection_that_is_given_up_says_so() -> None:
    given_up = edge.response(AtCapacity("x"), DIALECTS[0], "r", keep_alive=False, luck=0.0, now=0.0)
    assert b"connection: close\r\n" in given_up
    assert b"connection" not in edge.response(AtCapacity("x"), DIALECTS[0], "r", keep_alive=True, luck=0.0, now=0.0)


def test_a_refusal_is_counted_for_the_limit_that_made_it() -> None:
    assert edge.limit_of(RateLimited("x", rejection=REJECTION)) == "token"
    assert edge.limit_of(Unauthenticated("x")) == ""


def test_a_request_without_a_route_is_answered_in_its_providers_dialect() -> None:
    assert edge.dialect_of(PROVIDERS[0]).name == "openai.chat"
    assert edge.dialect_of(PROVIDERS[1]).name == "anthropic.messages"
    assert edge.dialect_of(None).name == "openai.chat"


IDS = (interception_id(1_700_000_000_000_000, 1), interception_id(1_700_000_001_000_000, 2))
OF_A_RULE = Policy("mine", 5, 10.0)
LASTING = [
    RateLimited.caller("100 % — of it\x00\x04", Rejection("mine", 5, 10.0, 0.75), (OF_A_RULE,)),
    RateLimited.stranger(Rejection("address", 10, 1.0, 0.75)),
    AtCapacity.caller("x", rejection=Rejection("mine", 5, 0.0, 0.75), policies=(OF_A_RULE,)),
    BudgetSpent.caller("x", "y", Rejection("mine", 5, 10.0, 3600.0), (OF_A_RULE,)),
    Unauthenticated("x", field="authorization"),
]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
@pytest.mark.parametrize("error", LASTING, ids=lambda e: e.code)
@pytest.mark.parametrize("keep_alive", [True, False])
def test_what_is_told_again_is_what_would_be_told_anew(error: CallError, dialect: Dialect, *, keep_alive: bool) -> None:
    lasting = error.lasting()
    error.prepared = None
    for number, wait in enumerate((0.75, 90.25, 0.25)):
        if error.rejection is not None:
            error.rejection.retry_after = wait
        if error.retry_after is not None:
            error.retry_after = wait
        told = partial(edge.response, keep_alive=keep_alive, luck=number / 3, now=1_700_000_000.0 + number)
        anew = told(error, dialect, IDS[number % 2])
        assert told(lasting.again(wait), dialect, IDS[number % 2]) == anew
    assert len(lasting.prepared or ()) == 1


def test_what_is_told_again_differs_in_its_id_and_its_wait_alone() -> None:
    error = RateLimited.caller("x", Rejection("token", 5, 1.0, 0.75)).lasting()
    once = [edge.response(error, DIALECTS[0], new, keep_alive=True, luck=0.0, now=0.0) for new in IDS]
    assert once[1] == once[0].replace(IDS[0].encode(), IDS[1].encode())
    later = edge.response(error.again(0.25), DIALECTS[0], IDS[0], keep_alive=True, luck=0.0, now=0.0)
    assert later == once[0].replace(b"retry-after-ms: 750", b"retry-after-ms: 250")


def test_a_connection_that_stays_is_not_told_what_one_that_is_given_up_was() -> None:
    error = AtCapacity.caller("x").lasting()
    told = [edge.response(error, DIALECTS[0], IDS[0], keep_alive=stays, luck=0.0, now=0.0) for stays in (False, True)]
    assert [b"connection: close\r\n" in response for response in told] == [True, False]
