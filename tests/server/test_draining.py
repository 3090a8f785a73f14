"""An orderly stop under load: nothing new is taken, what runs comes to its end, and all of it is written down."""

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients.running import PATIENCE

from server.asking import CHAT, MESSAGES, Answer, ask, asking
from server.life import ledger, serving

QUICK = 2.0
"""Seconds within which a server ends that has nothing to wait for. On a machine of one's own it is 0.3."""
TWO_SECONDS = "demo?tokens=40&rate=20"
A_WHILE = "demo?tokens=2000&rate=50"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """What was seen of a stop."""

    seconds_until_unready: float
    readiness: Answer
    health: Answer
    new_calls: list[Answer]
    streams: list[Answer]
    code: int
    seconds: float
    records: list[dict[str, Any]]


@pytest.fixture(scope="module")
def drained(tmp_path_factory: pytest.TempPathFactory) -> Stop:
    """A server told to stop while two streams of two seconds run."""
    return stop(tmp_path_factory.mktemp("drained") / "data", model=TWO_SECONDS)


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Stop:
    """A server that waits half a second for streams that would last much longer."""
    return stop(tmp_path_factory.mktemp("cut") / "data", "--aibridge-drain-timeout", "500ms", model=A_WHILE)


def stop(data_dir: Path, *arguments: str, model: str) -> Stop:
    with serving(data_dir, *arguments) as server, ExitStack() as calls:
        streams = [
            calls.enter_context(asking(server.url, path, token=server.token, model=model, stream=True))
            for path in (CHAT, MESSAGES)
        ]
        since = time.monotonic()
        server.drain()
        seconds_until_unready = time.monotonic() - since
        readiness = ask(server.url, "/readyz")
        health = ask(server.url, "/healthz")
        new_calls = [ask(server.url, path, token=server.token, model="demo") for path in (CHAT, MESSAGES)]
        answers = [stream.rest() for stream in streams]
        code = server.process.wait(PATIENCE)
        seconds = time.monotonic() - since
    return Stop(
        seconds_until_unready=seconds_until_unready,
        readiness=readiness,
        health=health,
        new_calls=new_calls,
        streams=answers,
        code=code,
        seconds=seconds,
        records=ledger(data_dir),
    )


def test_it_is_not_ready_at_once(drained: Stop) -> None:
    assert drained.seconds_until_unready < 0.5
    assert drained.readiness.json["detail"] == "server: shutting down"
    assert 1 <= int(drained.readiness.headers["retry-after"]) <= 60


def test_it_is_alive_until_it_ends(drained: Stop) -> None:
    assert drained.health.status == 200


def test_new_calls_are_refused_and_told_when_to_come_back(drained: Stop) -> None:
    for answer in drained.new_calls:
        assert answer.status == 503
        assert answer.json["message"] == "AI Bridge is shutting down. Please try again later."
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["connection"] == "close"


def test_running_streams_come_to_their_end(drained: Stop) -> None:
    chat, messages = drained.streams

    assert chat.whole
    assert chat.text.endswith("data: [DONE]\n\n")
    assert messages.whole
    assert messages.text.count('"type":"text_delta"') == 40
    assert messages.text.rstrip().endswith('data: {"type":"message_stop"}')


def test_it_ends_well_when_the_last_stream_has_ended(drained: Stop) -> None:
    assert drained.code == 0
    assert drained.seconds < 2 + QUICK


def test_the_ledger_has_the_streams_and_not_what_was_refused(drained: Stop) -> None:
    assert [(record["status"], record["route"]) for record in drained.records] == [
        ("completed", "/v1/chat/completions"),
        ("completed", "/v1/messages"),
    ]
    assert drained.records[1]["output_tokens"] == 40


def test_a_stream_that_is_not_waited_for_gets_an_error_event_and_no_end(cut_short: Stop) -> None:
    chat, messages = cut_short.streams
    message = "AI Bridge is shutting down. Please try again later."

    assert (chat.status, messages.status) == (200, 200)
    assert not chat.whole
    assert not messages.whole
    assert message in chat.text.rstrip().splitlines()[-1]
    assert "[DONE]" not in chat.text
    assert messages.text.rstrip().splitlines()[-2] == "event: error"
    assert json.loads(messages.text.rstrip().splitlines()[-1].removeprefix("data: "))["error"]["message"] == message


def test_it_ends_well_when_its_patience_does(cut_short: Stop) -> None:
    assert cut_short.code == 0
    assert cut_short.seconds < 0.5 + QUICK


def test_streams_that_are_not_waited_for_are_recorded_as_interrupted(cut_short: Stop) -> None:
    assert [(record["status"], record["error"]) for record in cut_short.records] == [("interrupted", "interrupted")] * 2


def test_what_a_cut_stream_has_used_is_recorded(cut_short: Stop) -> None:
    assert cut_short.records[1]["input_tokens"] > 0
