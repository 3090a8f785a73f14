"""What goes wrong reaches the SDKs' callers as an exception of the right class with our words, never as a clean end."""

import pytest

from clients.protocols import Outcome
from clients.running import Running
from clients.sdks import Client, Sdks, for_each
from clients.tap import tapped

SYNC = (False,)
BROKEN = "The provider closed the connection in the middle of its answer."
WORDS = {"truncate": BROKEN, "reset": BROKEN, "error_event": "The demo provider was asked to fail here."}
CODES = {
    401: ("'code': 'invalid_api_key'", "'type': 'authentication_error'"),
    404: ("'code': 'route_not_supported'", "'type': 'not_found_error'"),
    413: ("'code': 'body_too_large'", "'type': 'request_too_large'"),
    429: ("'code': 'rate_limit_exceeded'", "'type': 'rate_limit_error'"),
    501: ("'code': 'not_supported'", "'type': 'invalid_request_error'"),
    503: ("'code': 'overloaded'", "'type': 'overloaded_error'"),
}
"""What programs look for in the body of an error: of OpenAI's, and of Anthropic's."""
RAISED = {"chat": "openai.APIError", "responses": "openai.APIError", "messages": "anthropic.APIStatusError"}


def check(outcome: Outcome, client: Client, status: int, kind: str, message: str) -> None:
    """The outcome is an exception of the class that people catch."""
    assert outcome.error is not None
    assert f"{client.vendor}.{kind}" in outcome.error["kinds"]
    assert outcome.error["status"] == status
    assert message in outcome.error["message"]
    assert CODES[status][client.vendor == "anthropic"] in outcome.error["body"]


@for_each("chat", "messages", asynchronous=SYNC)
def test_a_token_that_is_not_ours_is_an_authentication_error(gateway: Running, sdks: Sdks, client: Client) -> None:
    with tapped(gateway.url) as tap:
        outcome = sdks.run(client, "plain", url=tap.url, token="sk-of-somebody-else")

    check(outcome, client, 401, "AuthenticationError", "The token is not valid")
    assert tap.statuses() == [401]


@for_each("chat", "responses", "messages", asynchronous=SYNC)
def test_a_route_that_is_not_relayed_is_a_not_found_error(gateway: Running, sdks: Sdks, client: Client) -> None:
    with tapped(gateway.url) as tap:
        outcome = sdks.run(client, "elsewhere", url=tap.url, token=gateway.token)

    (asked,) = tap.exchanges
    check(outcome, client, 404, "NotFoundError", f"route not supported: {asked.method} {asked.path}")


@for_each("chat", "responses", "messages", asynchronous=SYNC)
def test_a_body_that_is_too_large_is_told_so_once(gateway: Running, sdks: Sdks, client: Client) -> None:
    with tapped(gateway.url) as tap:
        outcome = sdks.run(client, "plain", url=tap.url, token=gateway.token, model="demo" * 1024)

    check(outcome, client, 413, "APIStatusError", "larger than the 4096 bytes allowed")
    assert tap.statuses() == [413]


@for_each("chat", "responses", "messages", asynchronous=SYNC)
def test_a_call_over_the_rate_is_a_rate_limit_error(
    pacing: Running, fresh_token: str, sdks: Sdks, client: Client
) -> None:
    outcome = sdks.run(client, "twice", url=pacing.url, token=fresh_token, max_retries=0)

    check(outcome, client, 429, "RateLimitError", "You've been rate limited. Please try again later.")


@for_each("chat", "responses", "messages", asynchronous=SYNC)
def test_a_call_over_the_capacity_is_a_server_error(narrow: Running, sdks: Sdks, client: Client) -> None:
    with narrow.busy(0.3):
        outcome = sdks.run(client, "plain", url=narrow.url, token=narrow.token, max_retries=0)

    message = "AI Bridge is currently at capacity. Please try again later."
    check(outcome, client, 503, "InternalServerError", message)


@for_each("responses", asynchronous=SYNC)
def test_a_background_response_is_refused_once(gateway: Running, sdks: Sdks, client: Client) -> None:
    with tapped(gateway.url) as tap:
        outcome = sdks.run(client, "background", url=tap.url, token=gateway.token)

    message = "background requests are currently not supported by AI Bridge"
    check(outcome, client, 501, "InternalServerError", message)
    assert tap.statuses() == [501]


@for_each("chat", "responses", "messages")
@pytest.mark.parametrize("fault", WORDS)
def test_a_stream_that_breaks_off_raises_after_what_had_arrived(
    gateway: Running, sdks: Sdks, client: Client, fault: str
) -> None:
    model = f"demo?fault={fault}&after=4&id={client.name}-stream"
    outcome = sdks.run(client, "stream", url=gateway.url, token=gateway.token, model=model)

    assert outcome.text == "This is the AI"
    assert outcome.finish in {None, "failed"}
    assert outcome.error is not None
    assert {RAISED[client.protocol], "response.failed"} & {*outcome.error["kinds"]}
    assert WORDS[fault] in outcome.error["message"] + outcome.error["body"]

    (call,) = gateway.interceptions(1, model=model)
    assert (call["status"], call["http_status"]) == ("failed", 200)
