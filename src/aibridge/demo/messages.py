"""Anthropic Messages: `POST /v1/messages` and `/v1/messages/count_tokens`.

Source: docs.anthropic.com/en/api/messages and .../messages-streaming, November 2026.
"""

from typing import Any

import msgspec

from aibridge.demo.answer import Answer, Script
from aibridge.demo.conversation import Ask, Content, Item, ask_of
from aibridge.demo.dialect import FAILURE
from aibridge.demo.vendor import ANTHROPIC, HOLE, encode, stencil

_OVERLOADED = 529


class _Body(msgspec.Struct, frozen=True):
    model: str
    messages: list[Item]
    system: Content = None
    stream: bool | None = None
    tools: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Body).decode


class Messages:
    """See `Dialect`."""

    vendor = ANTHROPIC

    def read(self, body: bytes) -> Ask:
        """See `Dialect`."""
        asked = _decode(body)
        return ask_of(
            model=asked.model,
            messages=asked.messages,
            instructions=asked.system,
            tools=asked.tools,
            stream=asked.stream,
        )

    def count(self, body: bytes) -> bytes:
        """The body of an answer to `count_tokens`. Raises what `read` raises."""
        return encode({"input_tokens": self.read(body).prompt_tokens})

    def whole(self, answer: Answer) -> bytes:
        """See `Dialect`."""
        if answer.tool is None:
            block: dict[str, Any] = {"type": "text", "text": answer.text}
        else:
            block = _tool_use(answer) | {"input": msgspec.Raw(answer.text.encode())}
        ending = {
            "content": [block],
            "stop_reason": _stop_reason(answer),
            "usage": _usage(answer, answer.output_tokens),
        }
        return encode(_message(answer) | ending)

    def script(self, answer: Answer) -> Script:
        """See `Dialect`."""
        if answer.tool is None:
            block: dict[str, Any] = {"type": "text", "text": ""}
            kind, field = "text_delta", "text"
        else:
            block = _tool_use(answer)
            kind, field = "input_json_delta", "partial_json"
        # A real stream counts its first token when it starts, and the sum when it ends.
        message = _message(answer) | {"usage": _usage(answer, 1)}
        opening = (
            _event("message_start", {"message": message}),
            _event("content_block_start", {"index": 0, "content_block": block}),
            _event("ping", {}),
        )
        delta = stencil(_event("content_block_delta", {"index": 0, "delta": {"type": kind, field: HOLE}}))
        stop = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
        closing = (
            _event("content_block_stop", {"index": 0}),
            _event("message_delta", {"delta": stop, "usage": _usage(answer, answer.output_tokens)}),
            _event("message_stop", {}),
        )
        return Script(opening=opening, deltas=map(delta, answer.pieces), closing=closing, failure=_failure)


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind} | fields))


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.number:024x}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _tool_use(answer: Answer) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{answer.number:024x}", "name": answer.tool, "input": {}}


def _stop_reason(answer: Answer) -> str:
    return "end_turn" if answer.tool is None else "tool_use"


def _usage(answer: Answer, output_tokens: int) -> dict[str, Any]:
    """Anthropic counts cached tokens apart from `input_tokens`."""
    return {
        "input_tokens": answer.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _failure(_sent: int) -> tuple[bytes, ...]:
    return (_event("error", {"error": ANTHROPIC.error_object(_OVERLOADED, FAILURE)}),)
