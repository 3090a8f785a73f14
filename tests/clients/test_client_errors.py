"""What goes wrong reaches the SDKs' callers as an exception of the right class with our words, never as a clean end."""

from collections.abc import Callable

import pytest

from clients.protocols import Outcome
from clients.running import Running
from clients.sdks import KINDS, MAJORS, PROTOCOLS, Sdks
from clients.tap import tapped

SdksOf = Callable[[int], Sdks]

FAULTS = ("truncate", "reset", "error_event")
OURS = "The provider closed the connection in the middle of its answer."
RAISED = {"chat": "openai.APIError", "responses": "openai.APIError", "messages": "anthropic.APIStatusError"}

every_major = pytest.mark.parametrize("major", MAJORS)
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
every_kind = pytest.mark.parametrize("asynchronous", KINDS, ids=["sync", "async"])


def check(outcome: Outcome, status: int, openai: str, anthropic: str, message: str) -> None:
    """The outcome is an exception of the class that its vendor's people catch."""
    assert outcome.error is not None
    kinds = outcome.error["kinds"]
    assert f"openai.{openai}" in kinds or f"anthropic.{anthropic}" in kinds
    assert outcome.error["status"] == status
    assert message in outcome.error["message"]


@every_major
@every_protocol
def test_a_token_that_is_not_ours_is_an_authentication_error(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str
) -> None:
    outcome = sdks_of(major).run(protocol, "plain", url=gateway.url, token="sk-of-somebody-else", max_retries=0)

    check(outcome, 401, "AuthenticationError", "AuthenticationError", "The token is not valid")


@every_major
@every_protocol
def test_a_route_that_is_not_relayed_is_a_not_found_error(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str
) -> None:
    with tapped(gateway.url) as tap:
        outcome = sdks_of(major).run(protocol, "elsewhere", url=tap.url, token=gateway.token)

    check(outcome, 404, "NotFoundError", "NotFoundError", "route not supported: ")
    assert [exchange.status for exchange in tap.exchanges] == [404]


@every_major
@every_protocol
def test_a_body_that_is_too_large_is_told_so(gateway: Running, sdks_of: SdksOf, major: int, protocol: str) -> None:
    with tapped(gateway.url) as tap:
        outcome = sdks_of(major).run(protocol, "plain", url=tap.url, token=gateway.token, model="demo" * 1024)

    check(outcome, 413, "APIStatusError", "APIStatusError", "larger than the 4096 bytes allowed")
    assert tap.statuses() == [413]


@every_major
@every_protocol
def test_a_call_over_the_rate_is_a_rate_limit_error(
    pacing: Running, sdks_of: SdksOf, major: int, protocol: str
) -> None:
    pacing.call()
    outcome = sdks_of(major).run(protocol, "plain", url=pacing.url, token=pacing.token, max_retries=0)

    check(outcome, 429, "RateLimitError", "RateLimitError", "You've been rate limited. Please try again later.")


@every_major
@every_protocol
def test_a_call_over_the_capacity_is_a_server_error(
    narrow: Running, sdks_of: SdksOf, major: int, protocol: str
) -> None:
    with narrow.busy(0.3):
        outcome = sdks_of(major).run(protocol, "plain", url=narrow.url, token=narrow.token, max_retries=0)

    message = "AI Bridge is currently at capacity. Please try again later."
    check(outcome, 503, "InternalServerError", "InternalServerError", message)


@every_major
def test_a_background_response_is_refused_once(gateway: Running, sdks_of: SdksOf, major: int) -> None:
    with tapped(gateway.url) as tap:
        outcome = sdks_of(major).run("responses", "background", url=tap.url, token=gateway.token)

    message = "background requests are currently not supported by AI Bridge"
    check(outcome, 501, "InternalServerError", "", message)
    assert tap.statuses() == [501]


@every_major
@every_protocol
@every_kind
@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_that_breaks_off_raises_after_what_had_arrived(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str, asynchronous: bool, fault: str
) -> None:
    model = f"demo?fault={fault}&after=4&id={protocol}-{major}-{asynchronous}-stream"
    outcome = sdks_of(major).run(
        protocol, "stream", url=gateway.url, token=gateway.token, model=model, asynchronous=asynchronous
    )

    assert outcome.text == "This is the AI"
    assert outcome.finish in {None, "failed"}
    assert outcome.error is not None
    assert RAISED[protocol] in outcome.error["kinds"] or "response.failed" in outcome.error["kinds"]
    whose = "The demo provider was asked to fail here." if fault == "error_event" else OURS
    assert whose in outcome.error["message"] + outcome.error["body"]

    (call,) = gateway.interceptions(1, model=model)
    assert (call["status"], call["http_status"]) == ("failed", 200)
