"""Calls of tools: when they are made, with what arguments, and in what form."""

import json
from typing import Any

import pytest
from demo_client import CHAT, MESSAGES, PATHS, RESPONSES, Reply, ask, asking, send, text_of, within

from aibridge.demo import DemoServer

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "days", "unit"],
}
SAMPLE = {"city": "demo", "days": 3, "unit": "C"}


def tools(path: str) -> list[dict[str, Any]]:
    """Two tools on offer, in the protocol of `path`."""
    names = ("get_weather", "other.tool")
    if path == MESSAGES:
        return [{"name": name, "input_schema": WEATHER} for name in names]
    functions = [{"name": name, "parameters": WEATHER} for name in names]
    if path == RESPONSES:
        return [{"type": "function"} | function for function in functions]
    return [{"type": "function", "function": function} for function in functions]


def tool_result(path: str) -> dict[str, Any]:
    """A call whose conversation ends with a tool's result, and with what an agent adds beside it."""
    asked = "demo-tool:get_weather"
    if path == RESPONSES:
        said: dict[str, Any] = {"role": "user", "content": [{"type": "input_text", "text": asked}]}
        called = {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "c", "output": "rain"}
        return {"input": [said, {"type": "reasoning", "content": None}, called, result]}
    said = {"role": "user", "content": asked}
    if path == CHAT:
        result = {"role": "tool", "tool_call_id": "c", "content": "rain"}
        return {"messages": [said, {"role": "assistant", "content": None, "tool_calls": []}, result]}
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "get_weather", "input": {}}]}
    answer = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "rain"}]}
    reminder = {"type": "text", "text": "<system-reminder>be brief</system-reminder>"}
    return {"messages": [said, call, {"role": "user", "content": [answer, reminder]}]}


def call_of(path: str, reply: Reply) -> tuple[str, Any]:
    """The name and the arguments of the tool that an answer calls."""
    if path == CHAT:
        assert reply.json["choices"][0]["finish_reason"] == "tool_calls"
        function = reply.json["choices"][0]["message"]["tool_calls"][0]["function"]
        return function["name"], json.loads(function["arguments"])
    if path == RESPONSES:
        item = reply.json["output"][0]
        return item["name"], json.loads(item["arguments"])
    assert reply.json["stop_reason"] == "tool_use"
    block = reply.json["content"][0]
    return block["name"], block["input"]


def streamed_arguments(path: str, reply: Reply) -> Any:
    """The arguments that a stream's deltas add up to."""
    if path == CHAT:
        deltas = [data["choices"][0]["delta"] for _, data in reply.events[1:-2]]
        return json.loads("".join(delta["tool_calls"][0]["function"]["arguments"] for delta in deltas))
    if path == RESPONSES:
        kind = "response.function_call_arguments.delta"
        return json.loads("".join(data["delta"] for name, data in reply.events if name == kind))
    deltas = [data["delta"] for name, data in reply.events if name == "content_block_delta"]
    return json.loads("".join(delta["partial_json"] for delta in deltas))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("text", "model", "name", "arguments"),
    [
        ('Please: demo-tool:get_weather {"city": "Oslo {\\"}"} now', "demo", "get_weather", {"city": 'Oslo {"}'}),
        ("demo-tool:other.tool", "demo", "other.tool", SAMPLE),
        ("You must use the tool get_weather. Thanks", "demo", "get_weather", SAMPLE),
        ("Hello", "demo?tool=get_weather", "get_weather", SAMPLE),
        ("Hello", "demo?tool=get_weather%20%7B%22city%22:%20%22Oslo%22%7D", "get_weather", {"city": "Oslo"}),
    ],
)
def test_a_tool_is_called_when_asked_for(path: str, text: str, model: str, name: str, arguments: Any) -> None:
    async def test(server: DemoServer) -> None:
        whole = await ask(server, path, text, model, tools=tools(path))
        stream = await ask(server, path, text, model, tools=tools(path), stream=True)
        assert call_of(path, whole) == (name, arguments)
        assert streamed_arguments(path, stream) == arguments
        assert stream.whole

    within(test)


@pytest.mark.parametrize("path", PATHS)
def test_text_is_answered_when_no_tool_can_or_need_be_called(path: str) -> None:
    async def test(server: DemoServer) -> None:
        offered: dict[str, Any] = {"tools": tools(path)}
        for body in (
            asking(path, "demo-tool:get_weather"),
            asking(path, "demo-tool:get_weather", tools=None),
            asking(path, "demo-tool:unknown", **offered),
            asking(path, "Hello", **offered),
            {"model": "demo?tool=get_weather"} | tool_result(path) | offered,
        ):
            reply = await send(server, "POST", path, body)
            assert (reply.status, type(text_of(path, reply))) == (200, str), body

    within(test)


def test_a_tools_stream_in_responses_has_the_documented_sequence() -> None:
    async def test(server: DemoServer) -> None:
        reply = await ask(server, RESPONSES, "demo-tool:get_weather {}", tools=tools(RESPONSES), stream=True)
        assert [name.removeprefix("response.") for name in reply.names] == [
            "created",
            "in_progress",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
        assert dict(reply.events)["response.completed"]["response"]["output"][0]["arguments"] == "{}"

    within(test)
