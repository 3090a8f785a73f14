"""The two ways to decode: the fast one for JSON that is of its type, and the lenient one for all else."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_anthropic_messages import START_USAGE
from test_openai_chat import USAGE as CHAT_USAGE
from test_openai_responses import USAGE as RESPONSES_USAGE
from wire_samples import altered

from aibridge.wire.lenient import decoder_of, lenient_decoder_of
from aibridge.wire.schema import anthropic_messages, openai_chat, openai_responses
from aibridge.wire.schema.common import LARGEST_COUNT, Count, Identifier, MaxTokens

ERROR = {"type": "overloaded_error", "code": None, "message": "Later."}
RESPONSE = {"id": "resp_7f", "error": None, "output": [{"type": "message"}], "usage": RESPONSES_USAGE}
MESSAGE = {"id": "msg_01", "usage": {**START_USAGE, "server_tool_use": {"web_search_requests": 2}}}
SAMPLES: list[tuple[type[msgspec.Struct], dict[str, Any]]] = [
    (openai_chat.Request, {"model": "m", "messages": ["hi"], "stream": True, "max_completion_tokens": 9}),
    (openai_chat.Request, {"model": "m", "stream": None, "max_tokens": 4096}),
    (openai_chat.Completion, {"id": "chatcmpl-Qx1", "choices": [{"index": 0}], "usage": CHAT_USAGE}),
    (openai_chat.Chunk, {"id": "chatcmpl-Qx1", "choices": [], "usage": CHAT_USAGE}),
    (openai_chat.Chunk, {"id": "chatcmpl-Qx1", "choices": [{"index": 0}], "usage": None, "error": ERROR}),
    (openai_responses.Request, {"model": "m", "background": False, "max_output_tokens": 999_999_999_999_999}),
    (openai_responses.Response, RESPONSE),
    (openai_responses.StreamEvent, {"type": "response.completed", "response": RESPONSE}),
    (openai_responses.StreamEvent, {"type": "error", "code": "slow", "error": ERROR}),
    (anthropic_messages.Request, {"model": "m", "metadata": {"user_id": "u"}, "max_tokens": 1}),
    (anthropic_messages.Message, MESSAGE),
    (anthropic_messages.StreamEvent, {"type": "message_start", "message": MESSAGE}),
    (anthropic_messages.StreamEvent, {"type": "message_delta", "usage": {"output_tokens": 0}}),
    (anthropic_messages.StreamEvent, {"type": "error", "error": ERROR}),
]
DECODERS = {type_: (decoder_of(type_), lenient_decoder_of(type_)) for type_, _ in SAMPLES}


@pytest.mark.parametrize(("type_", "sample"), SAMPLES)
def test_what_vendors_send_is_of_its_type(type_: type[msgspec.Struct], sample: dict[str, Any]) -> None:
    text = json.dumps(sample).encode()
    assert msgspec.json.decode(text, type=type_) == lenient_decoder_of(type_)(text)


@pytest.mark.thorough
@settings(max_examples=600)
@given(st.data())
def test_both_ways_give_the_same(data: st.DataObject) -> None:
    type_, sample = data.draw(st.sampled_from(SAMPLES))
    text = bytearray(data.draw(altered(sample)).encode())
    for place in data.draw(st.just([]) | st.lists(st.integers(0, len(text)), max_size=2)):
        text[place : place + 1] = data.draw(st.binary(max_size=1))
    decoded, decoded_leniently = (msgspec.json.encode(decode(text)) for decode in DECODERS[type_])
    assert decoded == decoded_leniently


FACE = "\U0001f600"


class Leaves(msgspec.Struct):
    count: Count = None
    most: MaxTokens = None
    name: Identifier = None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (f'"count":{LARGEST_COUNT}', Leaves(count=LARGEST_COUNT)),
        (f'"count":{LARGEST_COUNT + 1}', Leaves()),
        ('"count":-0', Leaves(count=0)),
        ('"count":1.0', Leaves()),
        ('"count":true', Leaves()),
        ('"count":-1,"count":2', Leaves(count=2)),
        ('"most":1', Leaves(most=1)),
        ('"most":0', Leaves()),
        ('"most":999999999999999', Leaves(most=10**15 - 1)),
        ('"most":1000000000000000', Leaves()),
        (f'"name":"{FACE * 256}"', Leaves(name=FACE * 256)),
        (f'"name":"{FACE * 257}"', Leaves()),
        ('"name":""', Leaves()),
        (r'"name":"\ud83d"', Leaves(name="\ufffd")),
    ],
)
def test_bounds_are_the_same_both_ways(written: str, expected: Leaves) -> None:
    text = f"{{{written}}}".encode()
    assert repr(decoder_of(Leaves)(text)) == repr(expected)
    assert repr(lenient_decoder_of(Leaves)(text)) == repr(expected)
