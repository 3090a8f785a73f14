"""Peeking at request bodies: what is understood, and what a refusal says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import ODD, objects_with

from aibridge.domain.errors import BadRequest
from aibridge.wire import anthropic_messages, openai_chat, openai_responses
from aibridge.wire.dialect import Dialect, View

CHAT, RESPONSES, MESSAGES = openai_chat.DIALECT, openai_responses.DIALECT, anthropic_messages.DIALECT
DIALECTS = [CHAT, RESPONSES, MESSAGES]
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: str(dialect.name))


def refusal(dialect: Dialect, body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        dialect.peek(body)
    return caught.value


@each_dialect
def test_model_and_stream_are_seen_and_all_else_is_skipped(dialect: Dialect) -> None:
    body = b' {"messages":[{"role":"user","content":"hi"}],"model":"m-1","stream":true,"temperature":1e999} '
    assert dialect.peek(body) == View(model="m-1", stream=True)


@each_dialect
def test_stream_is_false_when_absent_or_null(dialect: Dialect) -> None:
    assert dialect.peek(b'{"model":"m"}') == View(model="m")
    assert dialect.peek(b'{"model":"m","stream":null}') == View(model="m")


def test_background_is_seen_in_responses_only() -> None:
    body = b'{"model":"m","background":true}'
    assert RESPONSES.peek(body).background
    assert not RESPONSES.peek(b'{"model":"m","background":null}').background
    assert not CHAT.peek(body).background


def test_a_caller_cannot_set_what_is_derived() -> None:
    assert CHAT.peek(b'{"model":"m","session_hint":"x","background":true}') == View(model="m")


@each_dialect
def test_of_a_repeated_key_the_last_one_counts(dialect: Dialect) -> None:
    assert dialect.peek(b'{"model":"a","model":"b"}').model == "b"


@each_dialect
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("null", "null"),
        ("1", "a number"),
        ("-1", "a number"),
        ("true", "a boolean"),
        ("false", "a boolean"),
        ("[]", "an array"),
        ("{}", "an object"),
        ('""', "one of 0 characters"),
        (f'"{"m" * 257}"', "one of 257 characters"),
        (r'"a\nb"', "one with control characters"),
    ],
)
def test_a_model_that_is_not_allowed_is_named_with_what_it_is(dialect: Dialect, value: str, found: str) -> None:
    error = refusal(dialect, f'{{"model":{value},"x":1}}'.encode())
    assert error.message == f"`model` must be a string of 1 to 256 printable characters, not {found}."
    assert error.field == "model"


@each_dialect
def test_a_model_of_256_characters_is_allowed(dialect: Dialect) -> None:
    assert dialect.peek(json.dumps({"model": "m" * 256}).encode()).model == "m" * 256


@each_dialect
def test_a_missing_model_is_named(dialect: Dialect) -> None:
    error = refusal(dialect, b"{}")
    assert error.message == "`model` is missing; it must be a string of 1 to 256 printable characters."
    assert error.field == "model"


@each_dialect
def test_a_stream_of_another_type_is_named_with_what_it_is(dialect: Dialect) -> None:
    error = refusal(dialect, b'{"model":"m","stream": "yes"}')
    assert error.message == "`stream` must be true or false, not a string."
    assert error.field == "stream"


def test_a_background_of_another_type_matters_to_responses_only() -> None:
    body = b'{"model":"m","background":1}'
    error = refusal(RESPONSES, body)
    assert (error.message, error.field) == ("`background` must be true or false, not a number.", "background")
    assert CHAT.peek(body).model == "m"
    assert refusal(CHAT, b'{"background":1}').field == "model"


@each_dialect
@pytest.mark.parametrize(
    ("body", "found"), [(b" [1]", "an array"), (b'"m"', "a string"), (b"null", "null"), (b"7", "a number")]
)
def test_a_body_that_is_no_object_is_named(dialect: Dialect, body: bytes, found: str) -> None:
    assert refusal(dialect, body).message == f"The request body must be a JSON object, not {found}."


@each_dialect
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "Input data was truncated."),
        (b'{"model":"m"', "Input data was truncated."),
        (b'{"model":"m","x":NaN}', "JSON is malformed: invalid character (byte 17)."),
        (b'{"model":"m"} x', "JSON is malformed: trailing characters (byte 15)."),
        (b'{"model":"m","x":' + b"[" * 100_000, "maximum recursion depth exceeded while deserializing an object."),
        (b'{"model":1,"x":' + b"[" * 100_000, "maximum recursion depth exceeded while deserializing an object."),
    ],
)
def test_a_body_that_is_no_json_says_where_it_goes_wrong(dialect: Dialect, body: bytes, detail: str) -> None:
    error = refusal(dialect, body)
    assert error.message == "The request body cannot be read as JSON."
    # The parser counts trailing bytes its own way; the place is a help, not a promise.
    assert error.detail.partition(" (")[0].rstrip(".") == detail.partition(" (")[0].rstrip(".")
    assert error.field is None


@each_dialect
def test_invalid_utf8_is_refused_in_the_model_and_left_to_the_provider_elsewhere(dialect: Dialect) -> None:
    assert "not valid Unicode" in refusal(dialect, b'{"model":"\xff"}').message
    assert dialect.peek(b'{"model":"m","x":"\xff"}').model == "m"


@each_dialect
@pytest.mark.parametrize("half", [r"\ud83d", r"\uDE00 abc", r"\ud83d\n"])
def test_half_a_surrogate_pair_is_the_providers_business(dialect: Dialect, half: str) -> None:
    body = f'{{"model":"m","stream":true,"x":"{half}","metadata":{{"user_id":"{half}"}}}}'.encode()
    assert dialect.peek(body) == View(model="m", stream=True)
    assert refusal(dialect, body.replace(b"true", b"7")).field == "stream"
    large = body[:-1] + b" " * (4 << 20) + b"}"
    assert refusal(dialect, large).message == "The request body cannot be read as JSON."


@pytest.mark.parametrize(
    ("user_id", "session"),
    [
        ('{"device_id":"d","account_uuid":"","session_id":"5e55-10"}', "5e55-10"),
        ("user_0a1b_account__session_5e55-10", "5e55-10"),
        ("user_session_x_session_5e55-10", "5e55-10"),
        ("somebody", None),
        ("user_session_", None),
        ('{"device_id":"d"}', None),
        ('{"session_id":7}', None),
        ('{"session_id":""}', None),
        ('{"session_id":"a\\u0000b"}', None),
        ("{not json", None),
        ("_session_" + "x" * 257, None),
        ("x" * 5000 + "_session_1", None),
        (7, None),
        (None, None),
        ("_session_\n", None),
    ],
)
def test_the_session_is_found_in_the_user_id(user_id: object, session: str | None) -> None:
    body = json.dumps({"model": "m", "metadata": {"user_id": user_id}}).encode()
    assert MESSAGES.peek(body).session_hint == session


@pytest.mark.parametrize("metadata", ["null", "7", "[]", '"x"', "{}"])
def test_metadata_of_any_other_form_is_the_providers_business(metadata: str) -> None:
    assert MESSAGES.peek(f'{{"model":"m","metadata":{metadata}}}'.encode()) == View(model="m")


@pytest.mark.parametrize(
    ("dialect", "field"),
    [
        (CHAT, "max_completion_tokens"),
        (CHAT, "max_tokens"),
        (RESPONSES, "max_output_tokens"),
        (MESSAGES, "max_tokens"),
    ],
)
@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("1", 1),
        (" 4096 ", 4096),
        ("999999999999999", 999_999_999_999_999),
        *(
            (odd, None)
            for odd in ("1000000000000000", "0", "-1", "1.0", "1e3", "null", "true", '"7"', "[7]", "{}", '""')
        ),
        ("[" * 500 + "]" * 500, None),
    ],
)
def test_the_most_that_may_be_answered_is_seen_where_it_is_a_number(
    dialect: Dialect, field: str, written: str, seen: int | None
) -> None:
    assert dialect.peek(f'{{"model":"m","{field}":{written}}}'.encode()) == View(model="m", max_output_tokens=seen)


def test_the_newer_name_counts_before_the_older_one_unless_it_is_odd() -> None:
    body = '{"max_tokens":7,"model":"m","max_completion_tokens":%s}'
    assert CHAT.peek((body % "9").encode()).max_output_tokens == 9
    assert CHAT.peek((body % "null").encode()).max_output_tokens == 7


FIELDS = ("model", "stream", "background", "metadata", "user_id", "session_id")


@each_dialect
@settings(max_examples=100)
@given(body=st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_garbage_raises_nothing_but_bad_request(dialect: Dialect, body: bytes) -> None:
    refusal(dialect, body)


@each_dialect
@settings(max_examples=150)
@given(
    body=objects_with(FIELDS) | st.sampled_from(ODD),
    model=st.none() | st.text(max_size=5),
    cut=st.none() | st.integers(1, 20),
)
def test_json_of_any_form_raises_nothing_but_bad_request(
    dialect: Dialect, body: Any, model: str | None, cut: int | None
) -> None:
    if model is not None and isinstance(body, dict):
        body["model"] = model
    text = json.dumps(body).encode()[: -cut if cut else None]
    try:
        view = dialect.peek(text)
    except BadRequest:
        return
    assert 1 <= len(view.model) <= 256
