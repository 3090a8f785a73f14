"""Errors as callers read them."""

import json
from typing import Any

import pytest

from aibridge.domain import errors
from aibridge.domain.errors import AtCapacity, BadRequest, CallError, RateLimited, Unauthenticated, UpstreamBroke
from aibridge.wire import anthropic_messages, openai_chat, openai_responses
from aibridge.wire.errors import ANTHROPIC, OPENAI, PLAIN, Family


def all_errors(root: type[CallError] = CallError) -> list[type[CallError]]:
    children = [child for child in root.__subclasses__() if child.__module__ == CallError.__module__]
    return [root, *(error for child in children for error in all_errors(child))]


RENDERERS: list[Family] = [
    PLAIN,
    OPENAI,
    ANTHROPIC,
    openai_chat.DIALECT,
    openai_responses.DIALECT,
    anthropic_messages.DIALECT,
]
OF_OPENAI: list[Family] = [OPENAI, openai_chat.DIALECT, openai_responses.DIALECT]
OF_ANTHROPIC: list[Family] = [ANTHROPIC, anthropic_messages.DIALECT]
BACK_SOON = {"rate_limited", "at_capacity", "circuit_open", "draining", "ledger_unavailable"}


def body(family: Family, error: CallError) -> dict[str, Any]:
    decoded = json.loads(family.render(error, "req-1"))
    assert isinstance(decoded, dict)
    return decoded


@pytest.mark.parametrize("family", RENDERERS, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("error", all_errors())
def test_every_error_carries_the_management_shape(family: Family, error: type[CallError]) -> None:
    shape = body(family, error('Says "no".', "And why.", field="stream"))
    assert shape["message"] == 'Says "no".'
    assert shape["detail"] == "And why."
    assert shape["validations"] == [{"field": "stream", "detail": 'Says "no".'}]
    assert shape["request_id"] == "req-1"


def test_without_a_field_there_is_no_validation() -> None:
    assert body(PLAIN, Unauthenticated("No.")) == {
        "message": "No.",
        "detail": "",
        "validations": [],
        "request_id": "req-1",
    }


@pytest.mark.parametrize("family", OF_OPENAI, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("error", all_errors())
def test_every_error_carries_openais_shape(family: Family, error: type[CallError]) -> None:
    shape = body(family, error("No.", field="model"))["error"]
    assert set(shape) == {"message", "type", "param", "code"}
    assert (shape["message"], shape["param"]) == ("No.", "model")
    assert isinstance(shape["type"], str)
    assert isinstance(shape["code"], str)


@pytest.mark.parametrize("family", OF_ANTHROPIC, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("error", all_errors())
def test_every_error_carries_anthropics_shape(family: Family, error: type[CallError]) -> None:
    shape = body(family, error("No."))
    assert shape["type"] == "error"
    assert set(shape["error"]) == {"type", "message"}
    assert shape["error"]["message"] == "No."


@pytest.mark.parametrize(
    ("error", "openai", "anthropic"),
    [
        (RateLimited, ("rate_limit_error", "rate_limit_exceeded"), "rate_limit_error"),
        (AtCapacity, ("server_error", "overloaded"), "overloaded_error"),
        (errors.BudgetSpent, ("insufficient_quota", "insufficient_quota"), "billing_error"),
        (errors.CircuitOpen, ("server_error", "overloaded"), "overloaded_error"),
        (errors.Draining, ("server_error", "overloaded"), "overloaded_error"),
        (errors.LedgerUnavailable, ("server_error", "overloaded"), "overloaded_error"),
        (Unauthenticated, ("invalid_request_error", "invalid_api_key"), "authentication_error"),
        (errors.Forbidden, ("permission_error", "forbidden"), "permission_error"),
        (errors.RouteNotSupported, ("invalid_request_error", "route_not_supported"), "not_found_error"),
        (errors.BodyTooLarge, ("invalid_request_error", "body_too_large"), "request_too_large"),
        (BadRequest, ("invalid_request_error", "bad_request"), "invalid_request_error"),
        (errors.NotSupported, ("invalid_request_error", "not_supported"), "invalid_request_error"),
        (UpstreamBroke, ("server_error", "upstream_broke"), "api_error"),
        (errors.UpstreamTimeout, ("timeout_error", "upstream_timeout"), "timeout_error"),
        (errors.InternalError, ("server_error", "internal_error"), "api_error"),
    ],
)
def test_the_families_have_their_own_words(error: type[CallError], openai: tuple[str, str], anthropic: str) -> None:
    shape = body(OPENAI, error("No."))["error"]
    assert (shape["type"], shape["code"]) == openai
    assert body(ANTHROPIC, error("No."))["error"]["type"] == anthropic


@pytest.mark.parametrize("error", [error for error in all_errors() if error.code not in BACK_SOON])
def test_what_does_not_pass_by_itself_never_says_overloaded(error: type[CallError]) -> None:
    for family in (OPENAI, ANTHROPIC):
        rendered = family.render(error("No."), "req-1")
        assert b"overloaded" not in rendered
        assert b"rate_limit" not in rendered


@pytest.mark.parametrize("family", RENDERERS, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("error", all_errors())
def test_a_status_is_the_errors_own_but_for_what_is_spent(family: Family, error: type[CallError]) -> None:
    spent = error is errors.BudgetSpent and family in OF_OPENAI
    assert family.status_of(error("No.")) == (429 if spent else error.status)


def test_what_is_spent_has_the_status_that_makes_each_familys_clients_stop() -> None:
    assert ANTHROPIC.status_of(errors.BudgetSpent("No.")) == 402
    assert OPENAI.status_of(errors.BudgetSpent("No.")) == 429


def test_chat_ends_with_an_error_event_and_without_done() -> None:
    event = openai_chat.DIALECT.render_event(UpstreamBroke("Broke off."), "req-1")
    assert event.startswith(b"\n\ndata: ")
    assert event.endswith(b"}\n\n")
    assert b"[DONE]" not in event
    assert json.loads(event.removeprefix(b"\n\ndata: ")) == {
        "error": {"message": "Broke off.", "type": "server_error", "param": None, "code": "upstream_broke"},
        "request_id": "req-1",
    }


def test_responses_end_with_an_error_event_both_flat_and_nested() -> None:
    event = openai_responses.DIALECT.render_event(UpstreamBroke("Broke off."), "req-1")
    assert event.startswith(b"\n\nevent: error\ndata: ")
    assert event.endswith(b"}\n\n")
    assert json.loads(event.removeprefix(b"\n\nevent: error\ndata: ")) == {
        "type": "error",
        "sequence_number": 0,
        "code": "upstream_broke",
        "message": "Broke off.",
        "param": None,
        "error": {"message": "Broke off.", "type": "server_error", "param": None, "code": "upstream_broke"},
        "request_id": "req-1",
    }


def test_messages_end_with_an_error_event_behind_what_was_left_open() -> None:
    event = anthropic_messages.DIALECT.render_event(UpstreamBroke("Broke off."), "req-1")
    assert event.startswith(b"\nevent: ping\n\nevent: error\ndata: ")
    assert event.endswith(b"}\n\n")
    assert json.loads(event.removeprefix(b"\nevent: ping\n\nevent: error\ndata: ")) == {
        "type": "error",
        "error": {"type": "api_error", "message": "Broke off."},
        "request_id": "req-1",
    }
