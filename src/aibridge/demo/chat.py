"""OpenAI Chat Completions: `POST /v1/chat/completions`.

Source: platform.openai.com/docs/api-reference/chat and .../chat-streaming, November 2026.
"""

from typing import Any

import msgspec

from aibridge.demo.answer import Answer, Script
from aibridge.demo.conversation import Ask, Item, ask_of
from aibridge.demo.dialect import FAILURE
from aibridge.demo.vendor import HOLE, OPENAI, encode, stencil

_DONE = b"data: [DONE]\n\n"


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class _Body(msgspec.Struct, frozen=True):
    model: str
    messages: list[Item]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    tools: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Body).decode
_NO_OPTIONS = _StreamOptions()


class Chat:
    """See `Dialect`."""

    vendor = OPENAI

    def read(self, body: bytes) -> Ask:
        """See `Dialect`."""
        asked = _decode(body)
        return ask_of(
            model=asked.model,
            messages=asked.messages,
            tools=asked.tools,
            stream=asked.stream,
            include_usage=(asked.stream_options or _NO_OPTIONS).include_usage,
        )

    def whole(self, answer: Answer) -> bytes:
        """See `Dialect`."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
        if answer.tool is not None:
            call = {"name": answer.tool, "arguments": answer.text}
            tool_calls = [{"id": _call_id(answer), "type": "function", "function": call}]
            message |= {"content": None, "tool_calls": tool_calls}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer)}
        head = _head(answer, "chat.completion")
        return encode(head | {"choices": [choice], "usage": _usage(answer)})

    def script(self, answer: Answer) -> Script:
        """See `Dialect`."""
        head = _head(answer, "chat.completion.chunk")
        trailer: dict[str, Any] = {"usage": None} if answer.include_usage else {}

        def event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return b"data: %b\n\n" % encode(head | {"choices": [choice]} | trailer)

        if answer.tool is None:
            opening = event({"role": "assistant", "content": "", "refusal": None})
            delta = stencil(event({"content": HOLE}))
        else:
            function = {"name": answer.tool, "arguments": ""}
            call = {"index": 0, "id": _call_id(answer), "type": "function", "function": function}
            opening = event({"role": "assistant", "content": None, "tool_calls": [call]})
            delta = stencil(event({"tool_calls": [{"index": 0, "function": {"arguments": HOLE}}]}))
        closing = [event({}, _finish_reason(answer)), _DONE]
        if answer.include_usage:
            closing.insert(1, b"data: %b\n\n" % encode(head | {"choices": [], "usage": _usage(answer)}))
        return Script(opening=(opening,), deltas=map(delta, answer.pieces), closing=tuple(closing), failure=_failure)


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.number:024x}",
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def _call_id(answer: Answer) -> str:
    return f"call_{answer.number:024x}"


def _finish_reason(answer: Answer) -> str:
    return "stop" if answer.tool is None else "tool_calls"


def _usage(answer: Answer) -> dict[str, Any]:
    """OpenAI counts cached tokens within `prompt_tokens`."""
    prompt = answer.prompt_tokens + answer.cached_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer.output_tokens,
        "total_tokens": prompt + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _failure(_sent: int) -> tuple[bytes, ...]:
    return (b"data: %b\n\n" % encode({"error": OPENAI.error_object(500, FAILURE)}),)
