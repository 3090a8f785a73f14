"""Reading answers of OpenAI Responses."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import cut, named, objects_with, pieces_of, read, read_body

from aibridge.domain.errors import UpstreamBroke
from aibridge.domain.usage import Usage, UsageSource
from aibridge.wire.dialect import Reading
from aibridge.wire.openai_responses import DIALECT

USAGE: dict[str, Any] = {
    "input_tokens": 5000,
    "input_tokens_details": {"cached_tokens": 4096, "cache_write_tokens": 256},
    "output_tokens": 900,
    "output_tokens_details": {"reasoning_tokens": 512},
    "total_tokens": 5900,
}
READ = Usage(
    input_tokens=648,
    output_tokens=900,
    cache_read_input_tokens=4096,
    cache_write_input_tokens=256,
    extra={"input_cached": 4096, "output_reasoning": 512, "total_tokens": 5900},
)
WHOLE = Reading(usage=READ, source=UsageSource.PROVIDER, response_id="resp_7f", whole=True)


def response(status: str, **more: object) -> dict[str, object]:
    return {"id": "resp_7f", "object": "response", "status": status, "error": None, "output": [], "usage": None, **more}


def event(kind: str, number: int, **more: object) -> bytes:
    return named(kind, {"type": kind, "sequence_number": number, **more})


BEGIN = event("response.created", 0, response=response("in_progress")) + event(
    "response.in_progress", 1, response=response("in_progress")
)
DELTAS = event("response.output_item.added", 2, output_index=0, item={"id": "msg_1", "type": "message"}) + b"".join(
    event("response.output_text.delta", 3 + n, item_id="msg_1", output_index=0, delta='a "response" or "error"')
    for n in range(40)
)
END = event("response.completed", 43, response=response("completed", usage=USAGE))
STREAM = BEGIN + DELTAS + END


def test_a_stream_is_read_to_its_usage() -> None:
    assert read(DIALECT, [STREAM]) == WHOLE


@settings(max_examples=200)
@given(pieces_of(STREAM))
def test_cuts_do_not_matter(pieces: list[bytes]) -> None:
    assert read(DIALECT, pieces) == WHOLE


def test_byte_by_byte_is_read_the_same() -> None:
    assert read(DIALECT, cut(STREAM, range(len(STREAM)))) == WHOLE


@settings(max_examples=100)
@given(st.integers(len(BEGIN), len(STREAM) - 3))
def test_a_stream_broken_off_is_named_and_unknown(place: int) -> None:
    assert read(DIALECT, [STREAM[:place]]) == Reading(response_id="resp_7f")


def test_a_large_last_event_is_read() -> None:
    large = event("response.completed", 9, response=response("completed", output=["x" * 1_000_000], usage=USAGE))
    pieces = cut(BEGIN + large, range(0, len(large), 16_384))
    assert read(DIALECT, pieces) == WHOLE


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_every_end_brings_its_usage(status: str) -> None:
    error = {"code": "server_error", "message": "x"} if status == "failed" else None
    end = event(f"response.{status}", 3, response=response(status, usage=USAGE, error=error))
    reading = read(DIALECT, [BEGIN, end])
    assert (reading.usage, reading.source, reading.whole) == (READ, UsageSource.PROVIDER, True)
    assert reading.error == ("server_error" if error else None)


def test_a_count_before_the_end_is_a_part() -> None:
    early = event("response.in_progress", 1, response=response("in_progress", usage={"input_tokens": 3}))
    reading = read(DIALECT, [early + DELTAS])
    assert (reading.usage, reading.source) == (Usage(input_tokens=3), UsageSource.PARTIAL)
    # An end that says nothing of usage leaves the part, and whole it is.
    ended = read(DIALECT, [early + event("response.completed", 2, response=response("completed"))])
    assert (ended.usage, ended.source) == (Usage(input_tokens=3), UsageSource.PROVIDER)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"code": "rate_limit_exceeded", "message": "x", "param": None}, "rate_limit_exceeded"),
        ({"error": {"type": "too_many_requests", "code": "slow", "message": "x"}}, "too_many_requests"),
        ({"code": "slow", "error": {"type": None, "code": 7}}, "slow"),
        ({"code": "slow", "error": "x"}, "slow"),
        ({"code": None, "error": None}, "error"),
    ],
)
def test_an_error_event_is_reported_flat_or_nested(fields: dict[str, object], kind: str) -> None:
    assert read(DIALECT, [BEGIN, event("error", 2, **fields)]) == Reading(response_id="resp_7f", error=kind)


def test_our_own_last_event_is_read_as_an_error_even_behind_an_event_left_open() -> None:
    last = DIALECT.render_event(UpstreamBroke("Broke off."), "req-1")
    for place in (len(DELTAS), len(DELTAS) - 10):
        assert read(DIALECT, [BEGIN + DELTAS[:place] + last]).error == "server_error"


def test_a_body_is_read() -> None:
    assert read_body(DIALECT, response("completed", usage=USAGE)) == WHOLE


def test_an_error_body_gives_its_type() -> None:
    assert read_body(DIALECT, {"error": {"type": "invalid_request_error", "code": None}}) == Reading(
        error="invalid_request_error", whole=True
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"id":"\xff"}'])
def test_a_body_that_is_no_response_is_not_whole(body: bytes) -> None:
    assert read(DIALECT, [body], streaming=False) == Reading()


@pytest.mark.parametrize("odd", [-1, 0.5, "12", None, True, [3], 2**53 + 1])
def test_an_odd_number_counts_as_absent_and_spoils_no_other(odd: object) -> None:
    usage = {**USAGE, "input_tokens": odd, "total_tokens": odd, "output_tokens_details": odd}
    reading = read_body(DIALECT, response("completed", usage=usage))
    assert reading.usage == Usage(
        output_tokens=900,
        cache_read_input_tokens=4096,
        cache_write_input_tokens=256,
        extra={"input_cached": 4096},
    )


def test_kinds_that_were_not_used_are_left_out() -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    assert read_body(DIALECT, response("completed", usage=usage)).usage == Usage(input_tokens=9)


def test_usage_without_a_count_is_unknown() -> None:
    assert read_body(DIALECT, response("completed", usage={"total_tokens": 3})) == Reading(
        response_id="resp_7f", whole=True
    )


FIELDS = {"id", "type", "response", "error", "code", "usage", *USAGE, "cached_tokens", "reasoning_tokens"}


@settings(max_examples=150)
@given(st.lists(objects_with(FIELDS).map(lambda data: named("x", data)) | st.binary(max_size=60), max_size=6))
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    read(DIALECT, pieces)
    read(DIALECT, pieces, streaming=False)


@pytest.mark.parametrize("kind", [{}, [], {"a": []}, 7, None])
def test_a_type_of_any_form_never_raises(kind: object) -> None:
    assert read(DIALECT, [named("x", {"type": kind, "response": response("completed")})]).response_id == "resp_7f"


@settings(max_examples=150)
@given(objects_with(FIELDS))
def test_a_body_of_any_form_never_raises(body: dict[str, Any]) -> None:
    read_body(DIALECT, body)
