"""OpenAI Responses: `POST /v1/responses`.

Source: platform.openai.com/docs/api-reference/responses and .../responses-streaming, November 2026.
"""

from typing import Any

import msgspec

from aibridge.demo.answer import Answer, Script
from aibridge.demo.conversation import Ask, Item, ask_of
from aibridge.demo.dialect import FAILURE
from aibridge.demo.vendor import OPENAI, encode


class _Body(msgspec.Struct, frozen=True):
    model: str
    input: str | list[Item] = ""
    instructions: str | None = None
    stream: bool | None = None
    tools: msgspec.Raw = msgspec.Raw()


_Events = list[tuple[str, dict[str, Any]]]
_decode = msgspec.json.Decoder(_Body).decode


class Responses:
    """See `Dialect`."""

    vendor = OPENAI

    def read(self, body: bytes) -> Ask:
        """See `Dialect`."""
        asked = _decode(body)
        said = [Item(role="user", content=asked.input)] if isinstance(asked.input, str) else asked.input
        return ask_of(
            model=asked.model,
            messages=said,
            instructions=asked.instructions,
            tools=asked.tools,
            stream=asked.stream,
        )

    def whole(self, answer: Answer) -> bytes:
        """See `Dialect`."""
        return encode(_completed(answer))

    def script(self, answer: Answer) -> Script:
        """See `Dialect`."""
        at = {"item_id": _item_id(answer), "output_index": 0}
        started = {"response": _response(answer)}
        opening: _Events = [
            ("response.created", started),
            ("response.in_progress", started),
            ("response.output_item.added", {"output_index": 0, "item": _item(answer, "in_progress")}),
        ]
        if answer.tool is None:
            at["content_index"] = 0
            opening.append(("response.content_part.added", at | {"part": _part("")}))
            kind, extra = "response.output_text.delta", at | {"logprobs": []}
            endings: _Events = [
                ("response.output_text.done", at | {"text": answer.text, "logprobs": []}),
                ("response.content_part.done", at | {"part": _part(answer.text)}),
            ]
        else:
            kind, extra = "response.function_call_arguments.delta", at
            done = at | {"name": answer.tool, "arguments": answer.text}
            endings = [("response.function_call_arguments.done", done)]
        endings += [
            ("response.output_item.done", {"output_index": 0, "item": _item(answer, "completed")}),
            ("response.completed", {"response": _completed(answer)}),
        ]
        first, last = len(opening), len(opening) + len(answer.pieces)

        def failure(sent: int) -> tuple[bytes, ...]:
            code = {"code": "server_is_overloaded", "message": FAILURE}
            failed = _response(answer) | {"status": "failed", "error": code}
            return _events(first + sent, [("error", code | {"param": None}), ("response.failed", {"response": failed})])

        return Script(
            opening=_events(0, opening),
            deltas=(
                _event(kind, number, extra | {"delta": piece}) for number, piece in enumerate(answer.pieces, first)
            ),
            closing=_events(last, endings),
            failure=failure,
        )


def _events(first: int, pairs: _Events) -> tuple[bytes, ...]:
    return tuple(_event(kind, number, fields) for number, (kind, fields) in enumerate(pairs, first))


def _event(kind: str, number: int, fields: dict[str, Any]) -> bytes:
    data = encode({"type": kind, "sequence_number": number} | fields)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _item_id(answer: Answer) -> str:
    return f"{'msg' if answer.tool is None else 'fc'}_{answer.number:024x}"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _item(answer: Answer, status: str) -> dict[str, Any]:
    """The one item of the output; what it holds is complete only when `status` says so."""
    item: dict[str, Any] = {"id": _item_id(answer), "status": status}
    complete = status == "completed"
    if answer.tool is None:
        content = [_part(answer.text)] if complete else []
        return item | {"type": "message", "role": "assistant", "content": content}
    return item | {
        "type": "function_call",
        "call_id": f"call_{answer.number:024x}",
        "name": answer.tool,
        "arguments": answer.text if complete else "",
    }


def _response(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"resp_{answer.number:024x}",
        "object": "response",
        "created_at": answer.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _completed(answer: Answer) -> dict[str, Any]:
    """OpenAI counts cached tokens within `input_tokens`."""
    prompt = answer.prompt_tokens + answer.cached_tokens
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + answer.output_tokens,
    }
    return _response(answer) | {"status": "completed", "output": [_item(answer, "completed")], "usage": usage}
