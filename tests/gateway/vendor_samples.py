"""One call in each of the three protocols: what a client sends, and what a provider answers."""

import json

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """`events` is a whole stream, event by event. Both forms of the answer report 10 input and 5 output tokens."""

    name: str
    provider: str
    path: bytes
    """As a client asks the gateway for it."""
    upstream_path: bytes
    body: bytes
    streaming_body: bytes
    answer: bytes
    events: tuple[bytes, ...]
    response_id: str
    terminal: bytes
    """What only the end of a whole stream holds."""


def _event(data: object, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def _chat_chunk(**fields: object) -> bytes:
    return _event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-5", **fields})


CHAT = Sample(
    name="chat",
    provider="openai",
    path=b"/api/v2/aibridge/openai/v1/chat/completions",
    upstream_path=b"/v1/chat/completions",
    body=b'{"model":"gpt-5","messages":[{"role":"user","content":"hi"}]}',
    streaming_body=b'{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"hi"}]}',
    answer=b'{"id":"chatcmpl-1","choices":[{"message":{"content":"hi"}}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":5}}',
    events=(
        _chat_chunk(choices=[{"index": 0, "delta": {"content": "hel"}}]),
        _chat_chunk(choices=[{"index": 0, "delta": {"content": "lo"}}]),
        _chat_chunk(choices=[], usage={"prompt_tokens": 10, "completion_tokens": 5}),
        b"data: [DONE]\n\n",
    ),
    response_id="chatcmpl-1",
    terminal=b"[DONE]",
)

RESPONSES = Sample(
    name="responses",
    provider="openai",
    path=b"/api/v2/aibridge/openai/v1/responses",
    upstream_path=b"/v1/responses",
    body=b'{"model":"gpt-5","input":"hi"}',
    streaming_body=b'{"model":"gpt-5","stream":true,"input":"hi"}',
    answer=b'{"id":"resp_1","output":[],"usage":{"input_tokens":10,"output_tokens":5}}',
    events=(
        _event({"type": "response.created", "response": {"id": "resp_1"}}, "response.created"),
        _event({"type": "response.output_text.delta", "delta": "hello"}, "response.output_text.delta"),
        _event(
            {
                "type": "response.completed",
                "response": {"id": "resp_1", "usage": {"input_tokens": 10, "output_tokens": 5}},
            },
            "response.completed",
        ),
    ),
    response_id="resp_1",
    terminal=b"response.completed",
)

MESSAGES = Sample(
    name="messages",
    provider="anthropic",
    path=b"/api/v2/aibridge/anthropic/v1/messages",
    upstream_path=b"/v1/messages",
    body=b'{"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}',
    streaming_body=b'{"model":"claude-x","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}',
    answer=b'{"id":"msg_1","type":"message","content":[],"usage":{"input_tokens":10,"output_tokens":5}}',
    events=(
        _event(
            {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 10, "output_tokens": 1}}},
            "message_start",
        ),
        _event({"type": "content_block_delta", "index": 0, "delta": {"text": "hello"}}, "content_block_delta"),
        _event({"type": "message_delta", "usage": {"output_tokens": 5}}, "message_delta"),
        _event({"type": "message_stop"}, "message_stop"),
    ),
    response_id="msg_1",
    terminal=b"message_stop",
)

SAMPLES = (CHAT, RESPONSES, MESSAGES)


def framed(body: bytes, *, status: bytes = b"200 OK", content_type: bytes = b"application/json") -> bytes:
    """A whole answer with Content-Length."""
    return b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, content_type, len(body), body)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def streamed(sample: Sample) -> list[bytes]:
    """A whole stream, in the pieces in which a provider writes it."""
    first, *rest = sample.events
    return [STREAM_HEAD + chunk(first), *map(chunk, rest), LAST_CHUNK]
