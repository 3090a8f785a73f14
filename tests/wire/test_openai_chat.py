"""Reading answers of OpenAI Chat Completions."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import cut, nameless, objects_with, pieces_of, read, read_body

from aibridge.domain.errors import UpstreamBroke
from aibridge.domain.usage import Usage, UsageSource
from aibridge.wire.dialect import Reading
from aibridge.wire.openai_chat import DIALECT

USAGE: dict[str, Any] = {
    "prompt_tokens": 1200,
    "completion_tokens": 340,
    "total_tokens": 1540,
    "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 128,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 5,
        "rejected_prediction_tokens": 0,
    },
}
READ = Usage(
    input_tokens=136,
    output_tokens=340,
    cache_read_input_tokens=1000,
    cache_write_input_tokens=64,
    extra={"prompt_cached": 1000, "completion_reasoning": 128, "completion_accepted_prediction": 5},
)
WHOLE = Reading(usage=READ, source=UsageSource.PROVIDER, response_id="chatcmpl-Qx1", whole=True)


def chunk(delta: object = None, *, finish: str | None = None, **more: object) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    head = {"id": "chatcmpl-Qx1", "object": "chat.completion.chunk", "created": 1763900000, "model": "gpt-5.1"}
    return nameless({**head, "choices": choices, **more})


DELTAS = (
    chunk({"role": "assistant", "content": "", "refusal": None}, usage=None)
    + b"".join(chunk({"content": word}, usage=None) for word in ('He said "usage"', ' and "error"', " [DONE]"))
    + chunk({"content": "…"}, usage=None) * 40
    + chunk({}, finish="stop", usage=None)
)
FINAL = chunk(usage=USAGE)
DONE = b"data: [DONE]\n\n"
STREAM = DELTAS + FINAL + DONE


def test_a_stream_is_read_to_its_usage() -> None:
    assert read(DIALECT, [STREAM]) == WHOLE


@settings(max_examples=200)
@given(pieces_of(STREAM))
def test_cuts_do_not_matter(pieces: list[bytes]) -> None:
    assert read(DIALECT, pieces) == WHOLE


def test_byte_by_byte_is_read_the_same() -> None:
    assert read(DIALECT, cut(STREAM, range(len(STREAM)))) == WHOLE


@settings(max_examples=100)
@given(st.integers(0, len(STREAM)))
def test_a_stream_broken_off_anywhere_gives_the_count_or_none(place: int) -> None:
    reading = read(DIALECT, [STREAM[:place]])
    assert reading.usage in (None, READ)
    assert (reading.source is UsageSource.PROVIDER) == (reading.usage is not None)
    assert reading.whole == (place >= len(STREAM) - 2)


def test_a_stream_without_usage_is_whole_and_unknown() -> None:
    assert read(DIALECT, [DELTAS + DONE]) == Reading(response_id="chatcmpl-Qx1", whole=True)


def test_a_count_that_comes_along_with_deltas_is_a_part_until_the_end() -> None:
    early = chunk({"content": "a"}, usage={"prompt_tokens": 7, "completion_tokens": 1})
    late = chunk({"content": "b"}, finish="stop", usage={"prompt_tokens": 7, "completion_tokens": 2})
    assert read(DIALECT, [early, late]).source is UsageSource.PARTIAL
    ended = read(DIALECT, [early, late, DONE])
    assert ended.source is UsageSource.PROVIDER
    assert ended.usage == Usage(input_tokens=7, output_tokens=2)


def test_the_count_without_choices_is_final_though_the_end_is_missing() -> None:
    reading = read(DIALECT, [DELTAS + FINAL])
    assert (reading.usage, reading.source, reading.whole) == (READ, UsageSource.PROVIDER, False)


def test_an_error_event_is_reported() -> None:
    event = nameless(
        {"error": {"message": "Slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}}
    )
    assert read(DIALECT, [DELTAS, event]) == Reading(response_id="chatcmpl-Qx1", error="tokens")


def test_our_own_last_event_is_read_as_an_error_even_behind_an_event_left_open() -> None:
    event = DIALECT.render_event(UpstreamBroke("Broke off."), "req-1")
    for place in (len(DELTAS), len(DELTAS) - 10):
        assert read(DIALECT, [DELTAS[:place] + event]).error == "server_error"


def test_a_body_is_read() -> None:
    body = {
        "id": "chatcmpl-Qx1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    assert read_body(DIALECT, body) == WHOLE
    text = json.dumps(body).encode()
    assert read(DIALECT, cut(text, range(0, len(text), 7)), streaming=False) == WHOLE


@pytest.mark.parametrize("choices", [None, {}, {"a": [1]}, "x", 7])
def test_choices_of_any_form_do_not_cost_a_body_its_usage(choices: object) -> None:
    assert read_body(DIALECT, {"id": "chatcmpl-Qx1", "choices": choices, "usage": USAGE}) == WHOLE


def test_half_a_surrogate_pair_in_the_text_does_not_cost_the_usage() -> None:
    assert read_body(DIALECT, {"id": "chatcmpl-Qx1", "x": "\ud83d", "usage": USAGE}) == WHOLE


def test_an_empty_name_is_none() -> None:
    assert read_body(DIALECT, {"id": ""}) == Reading(whole=True)


def test_a_body_broken_off_is_not_whole() -> None:
    assert read(DIALECT, [b'{"id":"chatcmpl-Qx1","usage":{"prompt_tok'], streaming=False) == Reading()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, "insufficient_quota"),
        ({"type": None, "code": "model_not_found"}, "model_not_found"),
        ({"type": "", "code": 404}, "error"),
        ({"type": "x" * 1000}, "x" * 128),
        ("out of order", "error"),
        ([], "error"),
        ({}, "error"),
        (None, None),
    ],
)
def test_an_error_body_gives_its_type_or_code(error: object, kind: str | None) -> None:
    assert read_body(DIALECT, {"error": error}) == Reading(error=kind, whole=True)


@pytest.mark.parametrize("odd", [-1, 1.5, 1e300, "12", None, True, [3], {"a": 1}, 2**53 + 1, 10**30])
def test_an_odd_number_counts_as_absent_and_spoils_no_other(odd: object) -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": odd,
        "prompt_tokens_details": {"cached_tokens": odd, "cache_write_tokens": 4},
        "completion_tokens_details": odd if not isinstance(odd, dict) else [],
    }
    reading = read_body(DIALECT, {"id": "c", "usage": usage})
    assert reading.usage == Usage(input_tokens=6, cache_write_input_tokens=4)


def test_a_number_out_of_a_doubles_range_spoils_no_other() -> None:
    body = b'{"usage":{"prompt_tokens":1e999,"completion_tokens":3}}'
    assert read(DIALECT, [body], streaming=False).usage == Usage(output_tokens=3)


def test_a_number_of_thousands_of_digits_makes_the_answer_unknown() -> None:
    # Python itself refuses to parse it (`sys.set_int_max_str_digits`).
    body = b'{"usage":{"prompt_tokens":' + b"9" * 5000 + b',"completion_tokens":3}}'
    assert read(DIALECT, [body], streaming=False) == Reading()


def test_the_largest_count_is_read() -> None:
    assert read_body(DIALECT, {"usage": {"prompt_tokens": 2**53}}).usage == Usage(input_tokens=2**53)


def test_more_cached_than_prompted_leaves_no_negative_input() -> None:
    usage = {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}
    reading = read_body(DIALECT, {"usage": usage})
    assert reading.usage == Usage(cache_read_input_tokens=9, extra={"prompt_cached": 9})


@pytest.mark.parametrize(("number", "used"), [(0, 0), (None, 0), (1, 1), (7, 7)])
def test_kinds_that_were_not_used_are_left_out(number: int | None, used: int) -> None:
    prompt = {"cached_tokens": number}
    completion = {
        "reasoning_tokens": number,
        "accepted_prediction_tokens": number,
        "rejected_prediction_tokens": number,
    }
    usage = {"prompt_tokens": 9, "prompt_tokens_details": prompt, "completion_tokens_details": completion}
    kinds = (
        "prompt_cached",
        "completion_reasoning",
        "completion_accepted_prediction",
        "completion_rejected_prediction",
    )
    assert read_body(DIALECT, {"usage": usage}).usage == Usage(
        input_tokens=9 - used, cache_read_input_tokens=used, extra=dict.fromkeys(kinds, used) if used else {}
    )


@pytest.mark.parametrize("usage", [None, {}, [], "x", 7, {"prompt_tokens": None}, {"total_tokens": 3}])
def test_usage_without_a_count_is_unknown(usage: object) -> None:
    reading = read_body(DIALECT, {"id": "c", "usage": usage})
    assert (reading.usage, reading.source, reading.response_id) == (None, UsageSource.UNKNOWN, "c")


@pytest.mark.parametrize("name", ["", None, 7, "x" * 257])
def test_a_name_that_is_none_is_waited_for(name: object) -> None:
    # Azure's first chunk has an empty id.
    assert read(DIALECT, [nameless({"id": name, "choices": []}), FINAL, DONE]) == WHOLE


FIELDS = {"id", "choices", "error", "type", "code", "usage", *USAGE, *USAGE["prompt_tokens_details"]}
FIELDS |= set(USAGE["completion_tokens_details"])


@settings(max_examples=150)
@given(st.lists(objects_with(FIELDS).map(nameless) | st.binary(max_size=60), max_size=6))
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    reading = read(DIALECT, pieces)
    assert (reading.usage is None) == (reading.source is UsageSource.UNKNOWN)
    read(DIALECT, pieces, streaming=False)


@settings(max_examples=150)
@given(objects_with(FIELDS))
def test_a_body_of_any_form_never_raises(body: dict[str, Any]) -> None:
    read_body(DIALECT, body)
