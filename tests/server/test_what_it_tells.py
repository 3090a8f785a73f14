"""What a server tells its operators: metrics, on which port, and one line of JSON per record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients.running import Running, eventually

from server.asking import CHAT, MESSAGES, RESPONSES, ask, asking
from server.life import Server, free_port, serving


@pytest.fixture(scope="module")
def metrics() -> str:
    """Where the metrics are, when they are apart."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, metrics: str) -> Iterator[Running]:
    """A server whose metrics have a port of their own."""
    with serving(tmp_path_factory.mktemp("apart") / "data", "--prometheus-address", metrics) as server:
        yield server


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that logs its records, after one call of each kind."""
    with serving(tmp_path_factory.mktemp("talkative") / "data", "--aibridge-structured-logging") as server:
        for path in (CHAT, RESPONSES, MESSAGES):
            ask(server.url, path, token=server.token, model="demo?tokens=7", headers={"User-Agent": "probe/1.0"})
        ask(server.url, MESSAGES, token=server.token, model="demo?status=529")
        ask(server.url, CHAT, token="nobody", model="demo")
        eventually(lambda: server.logged().count("interception_end") == 4, "the last record")
        yield server


def records(server: Server, record_type: str) -> list[dict[str, Any]]:
    """The records of a type that were logged."""
    found = [json.loads(line) for line in server.logged().splitlines()]
    return [record for record in found if record["record_type"] == record_type]


def test_metrics_are_on_the_port_of_their_own(apart: Running, metrics: str) -> None:
    ask(apart.url, CHAT, token=apart.token, model="demo")
    answer = ask(f"http://{metrics}", "/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "coder_ai_gateway_interceptions_total{" in answer.text


def test_metrics_are_not_on_the_main_port_then(apart: Running) -> None:
    assert ask(apart.url, "/metrics").status == 404


def test_nothing_but_metrics_is_on_their_port(apart: Running, metrics: str) -> None:
    paths = ("/healthz", "/api/v2/aibridge/interceptions", "/openai/v1/models")

    assert {ask(f"http://{metrics}", path, token=apart.token).status for path in paths} == {404}


def test_metrics_are_on_the_main_port_otherwise(talkative: Server) -> None:
    answer = ask(talkative.url, "/metrics")

    assert answer.status == 200
    assert talkative.metric("interceptions_total", status="completed") == 3
    assert talkative.metric("tokens_total", type="output") == 21


def test_what_was_refused_is_counted_and_is_no_interception(talkative: Server) -> None:
    assert talkative.metric("interceptions_total") == 4
    assert talkative.rejections("unauthenticated") == 1


def test_every_line_is_a_record(talkative: Server) -> None:
    types = [json.loads(line)["record_type"] for line in talkative.logged().splitlines()]

    assert {*types} == {"interception_start", "token_usage", "interception_end"}
    assert [types.count(name) for name in ("interception_start", "token_usage", "interception_end")] == [4, 3, 4]


def test_a_start_says_who_calls_what(talkative: Server) -> None:
    first = records(talkative, "interception_start")[0]

    assert first["token_id"] == talkative.token[4:14]
    assert {"provider": "openai", "route": "/v1/chat/completions", "streaming": False}.items() <= first.items()
    assert {"model": "demo?tokens=7", "user_agent": "probe/1.0", "session_id": None}.items() <= first.items()


def test_usage_and_end_name_the_interception_that_began(talkative: Server) -> None:
    begun = [record["interception_id"] for record in records(talkative, "interception_start")]

    assert [record["interception_id"] for record in records(talkative, "interception_end")] == begun
    assert [record["interception_id"] for record in records(talkative, "token_usage")] == begun[:3]
    assert [record["output_tokens"] for record in records(talkative, "token_usage")] == [7, 7, 7]


def test_an_end_says_how_it_ended(talkative: Server) -> None:
    ends = records(talkative, "interception_end")

    assert [(record["status"], record["http_status"]) for record in ends] == [
        ("completed", 200),
        ("completed", 200),
        ("completed", 200),
        ("failed", 529),
    ]
    assert [record["error"] for record in ends] == [None, None, None, "overloaded_error"]


def test_without_being_asked_it_logs_no_records(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        with asking(server.url, MESSAGES, token=server.token, model="demo", stream=True) as stream:
            stream.rest()
        server.interceptions(1)
        logged = server.logged()

    assert logged == ""
