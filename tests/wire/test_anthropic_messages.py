"""Reading answers of Anthropic Messages."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import cut, named, objects_with, pieces_of, read, read_body

from aibridge.domain.errors import UpstreamBroke
from aibridge.domain.usage import Usage, UsageSource
from aibridge.wire.anthropic_messages import DIALECT
from aibridge.wire.dialect import Reading

START_USAGE: dict[str, Any] = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 1500,
    "cache_read_input_tokens": 9000,
    "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1000},
    "output_tokens": 1,
    "service_tier": "standard",
}
EXTRA = {
    "cache_read_input": 9000,
    "cache_creation_input": 1500,
    "cache_ephemeral_5m_input": 500,
    "cache_ephemeral_1h_input": 1000,
}
STARTED = Usage(
    input_tokens=25,
    output_tokens=1,
    cache_read_input_tokens=9000,
    cache_write_input_tokens=1500,
    extra=EXTRA,
)
ENDED = Usage(
    input_tokens=25,
    output_tokens=310,
    cache_read_input_tokens=9000,
    cache_write_input_tokens=1500,
    extra={**EXTRA, "web_search_requests": 2},
)
WHOLE = Reading(usage=ENDED, source=UsageSource.PROVIDER, response_id="msg_01", whole=True)


def event(kind: str, **more: object) -> bytes:
    return named(kind, {"type": kind, **more})


def start(usage: object = START_USAGE) -> bytes:
    message = {"id": "msg_01", "type": "message", "role": "assistant", "content": [], "usage": usage}
    return event("message_start", message=message)


def delta(usage: object) -> bytes:
    return event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage)


STOP = event("message_stop")
CONTENT = (
    event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + event("ping")
    + event("content_block_delta", index=0, delta={"type": "text_delta", "text": '"message_stop" "error" "usage"'}) * 40
    + event("content_block_stop", index=0)
)
STREAM = start() + CONTENT + delta({"output_tokens": 310, "server_tool_use": {"web_search_requests": 2}}) + STOP


def test_a_stream_is_read_to_its_usage() -> None:
    assert read(DIALECT, [STREAM]) == WHOLE


@settings(max_examples=200)
@given(pieces_of(STREAM))
def test_cuts_do_not_matter(pieces: list[bytes]) -> None:
    assert read(DIALECT, pieces) == WHOLE


def test_byte_by_byte_is_read_the_same() -> None:
    assert read(DIALECT, cut(STREAM, range(len(STREAM)))) == WHOLE


@settings(max_examples=100)
@given(st.integers(len(start()), len(start() + CONTENT)))
def test_a_stream_broken_off_leaves_the_count_of_its_start(place: int) -> None:
    assert read(DIALECT, [STREAM[:place]]) == Reading(usage=STARTED, source=UsageSource.PARTIAL, response_id="msg_01")


def test_the_count_near_the_end_is_final_though_the_end_is_missing() -> None:
    reading = read(DIALECT, [STREAM[: -len(STOP)]])
    assert (reading.usage, reading.source, reading.whole) == (ENDED, UsageSource.PROVIDER, False)


def test_of_each_count_the_latest_that_is_there_is_taken() -> None:
    restated = {"input_tokens": 30, "output_tokens": 7, "cache_read_input_tokens": None, "cache_creation": None}
    reading = read(DIALECT, [start(), delta({"output_tokens": 3}), delta(restated), STOP])
    assert reading.usage == Usage(
        input_tokens=30,
        output_tokens=7,
        cache_read_input_tokens=9000,
        cache_write_input_tokens=1500,
        extra=EXTRA,
    )


def test_a_delta_without_usage_is_not_final() -> None:
    for nothing in (None, {}, {"output_tokens": -4}):
        assert read(DIALECT, [start(), delta(nothing), STOP]).source is UsageSource.PARTIAL
    assert read(DIALECT, [start(), delta({"output_tokens": 2}), delta(None), STOP]).source is UsageSource.PROVIDER


def test_a_stream_without_usage_is_whole_and_unknown() -> None:
    assert read(DIALECT, [start(None), CONTENT, STOP]) == Reading(response_id="msg_01", whole=True)


def test_an_error_event_is_reported() -> None:
    for error, kind in (({"type": "overloaded_error", "message": "x"}, "overloaded_error"), (None, "error")):
        reading = read(DIALECT, [start() + CONTENT, event("error", error=error)])
        assert reading == Reading(usage=STARTED, source=UsageSource.PARTIAL, response_id="msg_01", error=kind)


def test_our_own_last_event_is_read_as_an_error_even_behind_an_event_left_open() -> None:
    last = DIALECT.render_event(UpstreamBroke("Broke off."), "req-1")
    for place in (len(CONTENT), len(CONTENT) - 10):
        assert read(DIALECT, [start() + CONTENT[:place] + last]).error == "api_error"


def test_a_body_is_read() -> None:
    body = {"id": "msg_01", "type": "message", "content": [], "usage": {**START_USAGE, "output_tokens": 310}}
    assert read_body(DIALECT, body) == Reading(
        usage=Usage(
            input_tokens=25,
            output_tokens=310,
            cache_read_input_tokens=9000,
            cache_write_input_tokens=1500,
            extra=EXTRA,
        ),
        source=UsageSource.PROVIDER,
        response_id="msg_01",
        whole=True,
    )


def test_kinds_that_were_not_used_are_left_out() -> None:
    usage = {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "server_tool_use": {"web_search_requests": 0},
    }
    assert read_body(DIALECT, {"usage": usage}).usage == Usage(input_tokens=9)


def test_an_error_body_gives_its_type() -> None:
    body = {"type": "error", "error": {"type": "not_found_error", "message": "x"}, "request_id": "req_1"}
    assert read_body(DIALECT, body) == Reading(error="not_found_error", whole=True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"id":"\xff"}'])
def test_a_body_that_is_no_message_is_not_whole(body: bytes) -> None:
    assert read(DIALECT, [body], streaming=False) == Reading()


@pytest.mark.parametrize("odd", [-1, 0.5, "12", None, True, [3], 2**53 + 1])
def test_an_odd_number_counts_as_absent_and_spoils_no_other(odd: object) -> None:
    usage = {"input_tokens": odd, "output_tokens": 4, "cache_creation": odd, "server_tool_use": odd}
    assert read_body(DIALECT, {"id": "msg_01", "usage": usage}).usage == Usage(output_tokens=4)


FIELDS = {"id", "type", "message", "error", "usage", *START_USAGE, "server_tool_use", "web_search_requests"}
TYPES = ["message_start", "message_delta", "message_stop", "error"]


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from(TYPES), objects_with(FIELDS)).map(
            lambda pair: named("x", {**pair[1], "type": pair[0]})
        )
        | objects_with(FIELDS).map(lambda data: named("message_stop", data))
        | st.binary(max_size=60),
        max_size=6,
    )
)
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    reading = read(DIALECT, pieces)
    assert (reading.usage is None) == (reading.source is UsageSource.UNKNOWN)
    read(DIALECT, pieces, streaming=False)


@settings(max_examples=150)
@given(objects_with(FIELDS))
def test_a_body_of_any_form_never_raises(body: dict[str, Any]) -> None:
    read_body(DIALECT, body)
