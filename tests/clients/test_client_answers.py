"""What unmodified SDKs read through the gateway is what the provider said, and the ledger knows it as well."""

import json
from collections.abc import Callable

import pytest

from clients.protocols import Outcome
from clients.running import Running
from clients.sdks import KINDS, MAJORS, PROTOCOLS, Sdks

SdksOf = Callable[[int], Sdks]

ROUTES = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
DONE = {"chat": "stop", "responses": "completed", "messages": "end_turn"}
TOOL_ASKED = {"chat": "tool_calls", "responses": "completed", "messages": "tool_use"}
AGENTS = {
    ("openai", False): "OpenAI/Python",
    ("openai", True): "AsyncOpenAI/Python",
    ("anthropic", False): "Anthropic/Python",
    ("anthropic", True): "AsyncAnthropic/Python",
}

every_client = pytest.mark.parametrize(
    ("major", "protocol", "asynchronous"),
    [
        pytest.param(major, protocol, asynchronous, id=f"{protocol}-{major}-{'async' if asynchronous else 'sync'}")
        for major in MAJORS
        for protocol in PROTOCOLS
        for asynchronous in KINDS
    ],
)
every_major = pytest.mark.parametrize("major", MAJORS)


def vendor_of(protocol: str) -> str:
    return "anthropic" if protocol == "messages" else "openai"


def check_tool(outcome: Outcome) -> None:
    assert outcome.tool is not None
    arguments = outcome.tool["arguments"]
    assert outcome.tool["name"] == "weather"
    assert (json.loads(arguments) if isinstance(arguments, str) else arguments) == {"city": "Oslo", "days": 3}


@every_client
@pytest.mark.parametrize("action", ["plain", "stream"])
def test_an_answer_and_its_usage_arrive_and_are_recorded(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str, asynchronous: bool, action: str
) -> None:
    model = f"demo?tokens=9&cached=5&id={protocol}-{major}-{asynchronous}-{action}"
    outcome = sdks_of(major).run(
        protocol, action, url=gateway.url, token=gateway.token, model=model, asynchronous=asynchronous
    )

    assert outcome.error is None
    assert outcome.text.startswith("This is the AI Bridge demo provider")
    assert outcome.finish == DONE[protocol]
    assert outcome.usage == {"input": 2, "cached": 5, "output": 9}

    (call,) = gateway.interceptions(1, model=model)
    vendor = vendor_of(protocol)
    assert call["user_agent"].startswith(AGENTS[vendor, asynchronous] + " ")
    assert (call["provider"], call["route"], call["client"]) == (vendor, ROUTES[protocol], "Unknown")
    assert (call["status"], call["http_status"], call["streaming"]) == ("completed", 200, action == "stream")
    (usage,) = call["token_usages"]
    assert usage["source"] == "provider"
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (2, 5, 9)


@every_client
def test_a_turn_with_a_tool_completes(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str, asynchronous: bool
) -> None:
    model = f"demo?id={protocol}-{major}-{asynchronous}-tools"
    outcome = sdks_of(major).run(
        protocol, "tools", url=gateway.url, token=gateway.token, model=model, asynchronous=asynchronous
    )

    assert outcome.error is None
    check_tool(outcome)
    assert outcome.finish == TOOL_ASKED[protocol]
    assert outcome.text.startswith("The tool has answered")

    asked, answered = gateway.interceptions(2, model=model)
    assert [call["status"] for call in (asked, answered)] == ["completed", "completed"]
    assert asked["token_usages"][0]["output_tokens"] == outcome.usage["output"]
    assert answered["token_usages"][0]["input_tokens"] > outcome.usage["input"]


@every_client
def test_the_sdks_own_stream_helper_makes_a_tool_call_of_the_events(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str, asynchronous: bool
) -> None:
    model = f"demo?id={protocol}-{major}-{asynchronous}-helper"
    outcome = sdks_of(major).run(
        protocol, "helper", url=gateway.url, token=gateway.token, model=model, asynchronous=asynchronous
    )

    assert outcome.error is None
    check_tool(outcome)
    assert outcome.finish == TOOL_ASKED[protocol]

    (call,) = gateway.interceptions(1, model=model)
    (usage,) = call["token_usages"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (outcome.usage["input"], outcome.usage["output"])


@every_major
@pytest.mark.parametrize("protocol", ["chat", "messages"])
def test_models_are_listed_and_looked_up(gateway: Running, sdks_of: SdksOf, major: int, protocol: str) -> None:
    outcome = sdks_of(major).run(protocol, "models", url=gateway.url, token=gateway.token)

    assert outcome.error is None
    assert outcome.names == ["demo", "claude-demo", "gpt-demo"]
    assert outcome.text == "demo"


@every_major
def test_tokens_are_counted(gateway: Running, sdks_of: SdksOf, major: int) -> None:
    outcome = sdks_of(major).run("messages", "count", url=gateway.url, token=gateway.token)

    assert outcome.error is None
    assert outcome.usage == {"input": 2}
