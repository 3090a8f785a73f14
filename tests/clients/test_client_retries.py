"""Refused, told when to come back, back at that time, answered: what the SDKs do by themselves, as they are shipped."""

from pathlib import Path

import pytest

from clients.running import Running, running_server
from clients.sdks import Client, Sdks, for_each
from clients.tap import Tap, tapped

SYNC = (False,)


def check_waited(tap: Tap) -> None:
    """The last call but one was refused, and the last one came when it might, and not much later."""
    refused, answered = tap.calls()[-2:]
    waited = answered.asked_at - refused.answered_at
    assert answered.status == 200
    assert refused.wait <= waited < refused.wait + 1


@for_each("chat", "messages")
def test_its_retry_after_our_429_succeeds(pacing: Running, fresh_token: str, sdks: Sdks, client: Client) -> None:
    before = pacing.rejections("rate_limited")
    with tapped(pacing.url) as tap:
        outcome = sdks.run(client, "twice", url=tap.url, token=fresh_token)

    assert outcome.error is None
    assert tap.statuses() == [200, 429, 200]
    check_waited(tap)
    assert pacing.rejections("rate_limited") - before == 1


@for_each("chat", "messages")
def test_its_retry_after_our_503_succeeds(narrow: Running, sdks: Sdks, client: Client) -> None:
    before = narrow.rejections("at_capacity")
    with tapped(narrow.url) as tap, narrow.busy(0.3):
        outcome = sdks.run(client, "plain", url=tap.url, token=narrow.token, model="demo?latency=0.3")

    assert outcome.error is None
    assert tap.statuses()[-2:] == [503, 200]
    check_waited(tap)
    assert narrow.rejections("at_capacity") - before == tap.statuses().count(503) > 0


@pytest.mark.parametrize("protocol", ["chat", "messages"])
def test_its_retries_outlast_the_first_call_of_a_new_gateway(tmp_path: Path, sdks: Sdks, protocol: str) -> None:
    client = Client(1, protocol)
    with running_server(tmp_path, "--aibridge-max-concurrency", "1") as server:
        sdks.run(client, "models", url=server.url, token=server.token)  # imports the SDK, and teaches the limit nothing
        with server.busy(1.5):
            outcome = sdks.run(client, "plain", url=server.url, token=server.token)

    assert outcome.error is None


@for_each("chat", "messages", asynchronous=SYNC)
def test_the_providers_own_429_keeps_its_hint_and_the_retry_succeeds(
    gateway: Running, sdks: Sdks, client: Client
) -> None:
    model = f"demo?status=429&retry_after=1&times=1&id={client.name}-429"
    with tapped(gateway.url) as tap:
        outcome = sdks.run(client, "plain", url=tap.url, token=gateway.token, model=model)

    assert outcome.error is None
    assert tap.statuses() == [429, 200]
    assert tap.calls()[0].headers["retry-after"] == "1"
    assert "retry-after-ms" not in tap.calls()[0].headers
    check_waited(tap)
    refused, answered = gateway.interceptions(2, model=model)
    assert (refused["status"], refused["http_status"], answered["status"]) == ("failed", 429, "completed")


@for_each("chat", "messages")
def test_an_answer_that_breaks_off_is_asked_for_again(gateway: Running, sdks: Sdks, client: Client) -> None:
    model = f"demo?fault=truncate&times=1&id={client.name}-broken"
    outcome = sdks.run(client, "plain", url=gateway.url, token=gateway.token, model=model)

    assert outcome.error is None
    broken, answered = gateway.interceptions(2, model=model)
    assert (broken["status"], broken["error"], answered["status"]) == ("failed", "upstream_broke", "completed")
