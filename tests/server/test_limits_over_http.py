"""Both limits as callers and dashboards see them: status, words, headers, numbers, and what they leave alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clients.running import Running, eventually, running_server

from server.asking import CHAT, MESSAGES, Answer, ask, asking

MODELS = "/openai/v1/models"
COUNT = "/anthropic/v1/messages/count_tokens"
OPEN_TO_ALL = ("/healthz", "/readyz", "/metrics", "/api/v2/buildinfo")
both_families = pytest.mark.parametrize("path", [CHAT, MESSAGES])
A_WHILE = "demo?tokens=2000&rate=50"
"""A model whose streams last until their clients leave."""


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that admits one call a second."""
    with running_server(tmp_path_factory.mktemp("paced"), "--aibridge-rate-limit", "1") as server:
        yield server


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that serves one call at a time."""
    with running_server(tmp_path_factory.mktemp("narrow"), "--aibridge-max-concurrency", "1") as server:
        yield server


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with both limits, which counts everything against them."""
    flags = ("--aibridge-rate-limit", "1", "--aibridge-max-concurrency", "1", "--aibridge-limit-passthrough")
    with running_server(tmp_path_factory.mktemp("strict"), *flags) as server:
        yield server


def too_fast(server: Running, path: str, *, model: str = "demo") -> Answer:
    """The first refusal of a caller that does not wait."""
    answers = (ask(server.url, path, token=server.token, model=model) for _ in range(100))
    return next(answer for answer in answers if answer.status != 200)


@contextmanager
def full(server: Running, token: str = "") -> Iterator[None]:
    """The one permit of a narrow server is held within the block, by a stream."""
    with asking(server.url, CHAT, token=token or server.token, model=A_WHILE, stream=True) as stream:
        assert stream.status == 200
        yield
    eventually(lambda: server.metric("permits_held") == 0, "the permit of a client that left")


def vendor_error(path: str, *, openai: dict[str, Any], anthropic: dict[str, Any]) -> dict[str, Any]:
    """What the error object of a path's family is expected to be."""
    return openai if path == CHAT else anthropic


@both_families
def test_a_call_over_the_rate_is_told_so_in_both_shapes(paced: Running, path: str) -> None:
    answer = too_fast(paced, path)
    message = "You've been rate limited. Please try again later."

    assert answer.status == 429
    assert answer.json["message"] == message
    assert answer.json["detail"].startswith(
        "This token may make 1 AI requests in 1 s (--aibridge-rate-limit); the next"
    )
    assert answer.json["validations"] == []
    assert answer.json["error"] == vendor_error(
        path,
        openai={"message": message, "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"},
        anthropic={"type": "rate_limit_error", "message": message},
    )
    assert answer.json.get("type") == (None if path == CHAT else "error")


@both_families
def test_a_call_over_the_rate_is_told_when_to_come_back(paced: Running, path: str) -> None:
    headers = too_fast(paced, path).headers

    assert 1 <= int(headers["retry-after"]) <= 60
    assert 1 <= int(headers["retry-after-ms"]) <= 1000 * int(headers["retry-after"])
    assert headers["ratelimit"] == '"token";r=0;t=1'
    assert headers["ratelimit-policy"] == '"token";q=1;w=1'


def test_a_refusal_carries_the_id_that_its_body_names(paced: Running) -> None:
    answer = too_fast(paced, CHAT)

    assert answer.headers["x-request-id"] == answer.json["request_id"]


def test_calls_over_the_rate_are_counted(paced: Running) -> None:
    before = paced.metric("rejections_total", limit="token", reason="rate_limited")
    too_fast(paced, CHAT)

    assert paced.metric("rejections_total", limit="token", reason="rate_limited") == before + 1


def test_calls_over_the_rate_are_not_recorded(paced: Running) -> None:
    too_fast(paced, CHAT, model="never-recorded")
    for _ in range(3):
        ask(paced.url, CHAT, token=paced.token, model="never-recorded")

    admitted = paced.metric("interceptions_total", model="never-recorded")
    assert len(paced.interceptions(int(admitted), model="never-recorded")) == admitted


def test_each_token_has_a_rate_of_its_own(paced: Running) -> None:
    mine, *others = paced.more_tokens(3)
    statuses = [ask(paced.url, CHAT, token=mine, model="demo").status for _ in range(20)]

    assert 429 in statuses
    assert [ask(paced.url, CHAT, token=other, model="demo").status for other in others] == [200, 200]


def test_what_is_passed_through_is_not_paced(paced: Running) -> None:
    too_fast(paced, CHAT)

    assert {ask(paced.url, MODELS, token=paced.token).status for _ in range(20)} == {200}


def test_health_and_metrics_are_not_paced(paced: Running) -> None:
    too_fast(paced, CHAT)

    assert {ask(paced.url, path, token=paced.token).status for path in OPEN_TO_ALL for _ in range(10)} == {200}


@both_families
def test_a_call_over_the_maximum_is_told_so_in_both_shapes(narrow: Running, path: str) -> None:
    with full(narrow):
        answer = ask(narrow.url, path, token=narrow.token, model="demo")
    message = "AI Bridge is currently at capacity. Please try again later."

    assert answer.status == 503
    assert answer.json["message"] == message
    assert answer.json["detail"] == "1 AI requests are in progress, as many as --aibridge-max-concurrency allows."
    assert answer.json["error"] == vendor_error(
        path,
        openai={"message": message, "type": "server_error", "param": None, "code": "overloaded"},
        anthropic={"type": "overloaded_error", "message": message},
    )


@both_families
def test_a_call_over_the_maximum_is_told_when_to_come_back(narrow: Running, path: str) -> None:
    with full(narrow):
        headers = ask(narrow.url, path, token=narrow.token, model="demo").headers

    assert 1 <= int(headers["retry-after"]) <= 60
    assert "retry-after-ms" not in headers


def test_capacity_is_looked_at_before_the_caller_is(narrow: Running) -> None:
    with full(narrow):
        assert ask(narrow.url, CHAT, token="nobody", model="demo").status == 503
    assert ask(narrow.url, CHAT, token="nobody", model="demo").status == 401


def test_calls_over_the_maximum_are_counted(narrow: Running) -> None:
    before = narrow.metric("rejections_total", limit="concurrency", reason="at_capacity")
    with full(narrow):
        for _ in range(3):
            ask(narrow.url, CHAT, token=narrow.token, model="demo")

    assert narrow.metric("rejections_total", limit="concurrency", reason="at_capacity") == before + 3


def test_what_is_passed_through_takes_no_permit(narrow: Running) -> None:
    with full(narrow):
        assert ask(narrow.url, MODELS, token=narrow.token).status == 200
        assert ask(narrow.url, COUNT, token=narrow.token, model="demo").status == 200


def test_health_and_metrics_take_no_permit(narrow: Running) -> None:
    with full(narrow):
        assert {ask(narrow.url, path).status for path in OPEN_TO_ALL} == {200}


def test_what_is_in_flight_is_shown_while_it_is_and_no_longer(narrow: Running) -> None:
    gauges = ("permits_held", "calls_inflight", "interceptions_inflight")
    with full(narrow):
        held = [narrow.metric(gauge) for gauge in gauges]

    eventually(lambda: not any(narrow.metric(gauge) for gauge in gauges), "nothing in flight")
    assert held == [1, 1, 1]
    assert narrow.metric("permits_maximum") == 1


def test_the_next_call_is_admitted_when_a_permit_comes_back(narrow: Running) -> None:
    with full(narrow):
        refused = ask(narrow.url, CHAT, token=narrow.token, model="demo").status

    assert (refused, ask(narrow.url, CHAT, token=narrow.token, model="demo").status) == (503, 200)


def test_what_is_passed_through_is_paced_where_that_is_asked_for(strict: Running) -> None:
    refused = next(a for a in (ask(strict.url, MODELS, token=strict.token) for _ in range(100)) if a.status != 200)

    assert refused.status == 429
    assert refused.headers["ratelimit-policy"].startswith('"token";q=1;w=1')


def test_what_is_passed_through_takes_a_permit_where_that_is_asked_for(strict: Running) -> None:
    (token,) = strict.more_tokens(1)
    with full(strict, token):
        assert ask(strict.url, MODELS, token=strict.token).status == 503


def test_health_and_metrics_are_free_even_then(strict: Running) -> None:
    (token,) = strict.more_tokens(1)
    with full(strict, token):
        assert {ask(strict.url, path, token=token).status for path in OPEN_TO_ALL for _ in range(5)} == {200}
