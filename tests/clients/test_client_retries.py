"""Refused, told when to come back, back at that time, answered: what the SDKs do by themselves, as they are shipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clients.running import Running, running_server
from clients.sdks import KINDS, MAJORS, PROTOCOLS, Sdks
from clients.tap import Tap, tapped

SdksOf = Callable[[int], Sdks]

every_sdk = pytest.mark.parametrize(
    ("major", "protocol", "asynchronous"),
    [
        pytest.param(major, protocol, asynchronous, id=f"{protocol}-{major}-{'async' if asynchronous else 'sync'}")
        for major in MAJORS
        for protocol in ("chat", "messages")
        for asynchronous in KINDS
    ],
)


def check_waited(tap: Tap) -> None:
    """The last call but one was refused, and the last one came when it might, and not much later."""
    refused, answered = tap.calls()[-2:]
    waited = answered.asked_at - refused.answered_at
    assert answered.status == 200
    assert refused.wait <= waited < refused.wait + 1


@every_sdk
def test_its_retry_after_our_429_succeeds(
    pacing: Running, sdks_of: SdksOf, major: int, protocol: str, asynchronous: bool
) -> None:
    pacing.call()
    before = pacing.rejections("rate_limited")
    with tapped(pacing.url) as tap:
        outcome = sdks_of(major).run(protocol, "plain", url=tap.url, token=pacing.token, asynchronous=asynchronous)

    assert outcome.error is None
    assert tap.statuses() == [429, 200]
    check_waited(tap)
    assert pacing.rejections("rate_limited") - before == 1


@every_sdk
def test_its_retry_after_our_503_succeeds(
    narrow: Running, sdks_of: SdksOf, major: int, protocol: str, asynchronous: bool
) -> None:
    before = narrow.rejections("at_capacity")
    with tapped(narrow.url) as tap, narrow.busy(0.6):
        outcome = sdks_of(major).run(protocol, "plain", url=tap.url, token=narrow.token, asynchronous=asynchronous)

    assert outcome.error is None
    assert tap.statuses()[-2:] == [503, 200]
    check_waited(tap)
    assert narrow.rejections("at_capacity") - before == tap.statuses().count(503) > 0


@pytest.mark.xfail(strict=True, reason="the first hints of a new gateway are far too short, and SDKs retry only twice")
@pytest.mark.parametrize("protocol", ["chat", "messages"])
def test_its_retries_outlast_the_first_call_of_a_new_gateway(tmp_path: Path, sdks_of: SdksOf, protocol: str) -> None:
    with (
        running_server(tmp_path, "--aibridge-max-concurrency", "1") as server,
        tapped(server.url) as tap,
        server.busy(1.5),
    ):
        outcome = sdks_of(3).run(protocol, "plain", url=tap.url, token=server.token)

    assert outcome.error is None
    assert tap.statuses()[-1] == 200


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_providers_own_429_keeps_its_hint_and_the_retry_succeeds(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str
) -> None:
    model = f"demo?status=429&retry_after=1&times=1&id={protocol}-{major}-429"
    with tapped(gateway.url) as tap:
        outcome = sdks_of(major).run(protocol, "plain", url=tap.url, token=gateway.token, model=model)

    assert outcome.error is None
    assert tap.statuses() == [429, 200]
    assert tap.calls()[0].headers["retry-after"] == "1"
    assert "retry-after-ms" not in tap.calls()[0].headers
    check_waited(tap)
    refused, answered = gateway.interceptions(2, model=model)
    assert (refused["status"], refused["http_status"], answered["status"]) == ("failed", 429, "completed")


@every_sdk
@pytest.mark.parametrize("fault", ["truncate", "reset"])
def test_an_answer_that_breaks_off_is_asked_for_again(
    gateway: Running, sdks_of: SdksOf, major: int, protocol: str, asynchronous: bool, fault: str
) -> None:
    model = f"demo?fault={fault}&times=1&id={protocol}-{major}-{asynchronous}-{fault}"
    outcome = sdks_of(major).run(
        protocol, "plain", url=gateway.url, token=gateway.token, model=model, asynchronous=asynchronous
    )

    assert outcome.error is None
    broken, answered = gateway.interceptions(2, model=model)
    assert (broken["status"], broken["error"], answered["status"]) == ("failed", "upstream_broke", "completed")
