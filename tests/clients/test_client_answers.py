"""What unmodified SDKs read through the gateway is what the provider said, and the ledger knows it as well."""

import json

import pytest

from clients.protocols import Outcome
from clients.running import Running
from clients.sdks import Client, Sdks, for_each

ROUTES = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
DONE = {"chat": "stop", "responses": "completed", "messages": "end_turn"}
TOOL_ASKED = {"chat": "tool_calls", "responses": "completed", "messages": "tool_use"}
AGENTS = {
    ("openai", False): "OpenAI/Python",
    ("openai", True): "AsyncOpenAI/Python",
    ("anthropic", False): "Anthropic/Python",
    ("anthropic", True): "AsyncAnthropic/Python",
}


def check_tool(outcome: Outcome, client: Client) -> None:
    assert outcome.finish == TOOL_ASKED[client.protocol]
    assert outcome.tool is not None
    arguments = outcome.tool["arguments"]
    assert outcome.tool["name"] == "weather"
    assert (json.loads(arguments) if isinstance(arguments, str) else arguments) == {"city": "Oslo", "days": 3}


@for_each("chat", "responses", "messages")
@pytest.mark.parametrize("action", ["plain", "stream"])
def test_an_answer_and_its_usage_arrive_and_are_recorded(
    gateway: Running, sdks: Sdks, client: Client, action: str
) -> None:
    model = f"demo?tokens=9&cached=5&id={client.name}-{action}"
    outcome = sdks.run(client, action, url=gateway.url, token=gateway.token, model=model)

    assert outcome.error is None
    assert outcome.text == "This is the AI Bridge demo provider: real protocols"
    assert outcome.finish == DONE[client.protocol]
    assert outcome.usage == {"input": 2, "cached": 5, "output": 9}

    (call,) = gateway.interceptions(1, model=model)
    assert call["user_agent"].startswith(AGENTS[client.vendor, client.asynchronous] + " ")
    assert (call["provider"], call["route"], call["client"]) == (client.vendor, ROUTES[client.protocol], "Unknown")
    assert (call["status"], call["http_status"], call["streaming"]) == ("completed", 200, action == "stream")
    (usage,) = call["token_usages"]
    assert usage["source"] == "provider"
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (2, 5, 9)


@for_each("chat", "responses", "messages")
def test_a_turn_with_a_tool_completes(gateway: Running, sdks: Sdks, client: Client) -> None:
    model = f"demo?id={client.name}-tools"
    outcome = sdks.run(client, "tools", url=gateway.url, token=gateway.token, model=model)

    assert outcome.error is None
    check_tool(outcome, client)
    assert outcome.text.startswith("The tool has answered")

    asked, answered = gateway.interceptions(2, model=model)
    assert [call["status"] for call in (asked, answered)] == ["completed", "completed"]
    assert asked["token_usages"][0]["output_tokens"] == outcome.usage["output"]
    assert answered["token_usages"][0]["input_tokens"] > outcome.usage["input"]


@for_each("chat", "responses", "messages")
def test_the_sdks_own_stream_helper_makes_a_tool_call_of_the_events(
    gateway: Running, sdks: Sdks, client: Client
) -> None:
    model = f"demo?id={client.name}-helper"
    outcome = sdks.run(client, "helper", url=gateway.url, token=gateway.token, model=model)

    assert outcome.error is None
    check_tool(outcome, client)

    (call,) = gateway.interceptions(1, model=model)
    (usage,) = call["token_usages"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (outcome.usage["input"], outcome.usage["output"])


@for_each("chat", "messages")
def test_models_are_listed_and_looked_up(gateway: Running, sdks: Sdks, client: Client) -> None:
    outcome = sdks.run(client, "models", url=gateway.url, token=gateway.token)

    assert outcome.error is None
    assert outcome.names == ["demo", "claude-demo", "gpt-demo"]
    assert outcome.text == "demo"


@for_each("messages")
def test_tokens_are_counted(gateway: Running, sdks: Sdks, client: Client) -> None:
    outcome = sdks.run(client, "count", url=gateway.url, token=gateway.token)

    assert outcome.error is None
    assert outcome.usage == {"input": 2}
