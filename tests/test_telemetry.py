"""Metrics and records, as those who watch the gateway see them."""

import json
import logging

import pytest

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.telemetry import DURATION_BUCKETS, Telemetry
from aibridge.telemetry_kinds import MOST_SERIES, PREFIX, Gauge

USAGE = Usage(input_tokens=10, output_tokens=5, cache_read_input_tokens=3, cache_write_input_tokens=2)


def interception(number: int = 0, **changes: str) -> Interception:
    known = {"actor_id": "mia", "model": "gpt-5", "route": "/v1/responses", "client": "Codex", **changes}
    return Interception(
        id=f"i-{number}",
        token_id="t",
        provider="openai",
        streaming=True,
        session_id=None,
        user_agent="codex",
        started_at=1,
        **known,
    )


def ending(number: int = 0, status: Status = Status.COMPLETED, usage: Usage | None = USAGE) -> Ending:
    return Ending(id=f"i-{number}", status=status, ended_at=2, usage=usage, usage_source=UsageSource.PROVIDER)


def exposed(telemetry: Telemetry) -> dict[str, float]:
    """The samples, by name and labels as they are written."""
    lines = telemetry.exposition().decode().splitlines()
    return {
        name.removeprefix(PREFIX): float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def of(samples: dict[str, float], name: str) -> dict[str, float]:
    return {key: value for key, value in samples.items() if key.partition("{")[0] == name}


def test_an_interception_is_counted_when_it_begins_and_when_it_ends() -> None:
    telemetry = Telemetry()
    series = telemetry.began(interception())
    place = 'interceptions_inflight{model="gpt-5",provider="openai",route="/v1/responses"}'
    assert exposed(telemetry)[place] == 1
    assert of(exposed(telemetry), "interceptions_total") == {}
    telemetry.ended(series, ending(), 3.0)
    samples = exposed(telemetry)
    assert samples[place] == 0
    labels = 'client="Codex",initiator_id="mia",method="POST",model="gpt-5",provider="openai",route="/v1/responses"'
    assert of(samples, "interceptions_total") == {f'interceptions_total{{{labels},status="completed"}}': 1}


def test_every_status_but_success_is_a_failure() -> None:
    telemetry = Telemetry()
    for number, status in enumerate(Status):
        telemetry.ended(telemetry.began(interception(number)), ending(number, status), 1.0)
    counts = {key.rpartition('status="')[2]: n for key, n in of(exposed(telemetry), "interceptions_total").items()}
    assert counts == {'completed"}': 1, 'failed"}': len(Status) - 1}


def test_tokens_are_counted_by_kind_and_added_up() -> None:
    telemetry = Telemetry()
    for number in range(3):
        telemetry.ended(telemetry.began(interception(number)), ending(number, usage=USAGE if number else None), 1.0)
    tokens = {key.rpartition('type="')[2][:-2]: n for key, n in of(exposed(telemetry), "tokens_total").items()}
    assert tokens == {"input": 20, "output": 10, "cache_read_input": 6, "cache_write_input": 4}


def test_series_that_differ_in_a_label_that_a_metric_lacks_are_one() -> None:
    telemetry = Telemetry()
    for number, (actor, client) in enumerate([("mia", "Codex"), ("eve", "Codex"), ("eve", "Zed")]):
        telemetry.began(interception(number, actor_id=actor, client=client))
    running = of(exposed(telemetry), "interceptions_inflight")
    assert list(running.values()) == [3]


def test_durations_are_in_cumulative_buckets() -> None:
    telemetry = Telemetry()
    for number, seconds in enumerate([0.1, 0.5, 0.6, 100.0, 1000.0]):
        telemetry.ended(telemetry.began(interception(number)), ending(number), seconds)
    samples = exposed(telemetry)
    buckets = of(samples, "interceptions_duration_seconds_bucket")
    by_bound = {key.partition('le="')[2].partition('"')[0]: number for key, number in buckets.items()}
    assert len(by_bound) == len(buckets) == len(DURATION_BUCKETS) + 1
    assert (by_bound["0.5"], by_bound["2"], by_bound["60"], by_bound["120"], by_bound["+Inf"]) == (2, 3, 3, 4, 5)
    assert list(of(samples, "interceptions_duration_seconds_count").values()) == [5]
    assert list(of(samples, "interceptions_duration_seconds_sum").values()) == [pytest.approx(1101.2)]


def test_refusals_are_counted_by_limit_and_reason() -> None:
    telemetry = Telemetry()
    for limit, reason in [("token", "rate_limited"), ("token", "rate_limited"), ("", "unauthenticated")]:
        telemetry.refused(limit, reason)
    assert of(exposed(telemetry), "rejections_total") == {
        'rejections_total{limit="token",reason="rate_limited"}': 2,
        'rejections_total{limit="",reason="unauthenticated"}': 1,
    }


def test_what_is_passed_through_is_counted() -> None:
    telemetry = Telemetry()
    telemetry.passed_through("GET", "openai", "/v1/models")
    assert of(exposed(telemetry), "passthrough_total") == {
        'passthrough_total{method="GET",provider="openai",route="/v1/models"}': 1
    }


def test_gauges_are_read_when_somebody_looks() -> None:
    telemetry = Telemetry()
    now = [1.5]
    telemetry.gauges.append(
        Gauge(name="depth", text="Depth.", labels=("x",), read=lambda: [(("a",), now[0]), (("b",), 2)])
    )
    assert of(exposed(telemetry), "depth") == {'depth{x="a"}': 1.5, 'depth{x="b"}': 2}
    now[0] = 7.0
    assert exposed(telemetry)['depth{x="a"}'] == 7


def test_labels_that_callers_choose_are_bounded_and_nothing_is_lost() -> None:
    telemetry = Telemetry()
    total = MOST_SERIES + 500
    for number in range(total):
        one = interception(number, model=f"model-{number}")
        telemetry.ended(telemetry.began(one), ending(number), 1.0)
        telemetry.refused("x", f"reason-{number}")
    samples = exposed(telemetry)
    for name in ("interceptions_total", "rejections_total"):
        series = of(samples, name)
        assert len(series) == MOST_SERIES + 1
        assert sum(series.values()) == total
        assert any('="other"' in key and value == 500 for key, value in series.items())
    assert set(of(samples, "interceptions_inflight").values()) == {0}


def test_a_call_that_began_before_the_bound_and_ends_after_it_leaves_nothing_in_flight() -> None:
    telemetry = Telemetry()
    first = interception(0)
    series = telemetry.began(first)
    for number in range(1, MOST_SERIES + 2):
        telemetry.began(interception(number, model=f"model-{number}"))
    telemetry.ended(series, ending(), 1.0)
    running = of(exposed(telemetry), "interceptions_inflight")
    assert running['interceptions_inflight{model="gpt-5",provider="openai",route="/v1/responses"}'] == 0
    assert sum(running.values()) == MOST_SERIES + 1


def test_names_that_a_client_invents_cannot_break_the_exposition() -> None:
    telemetry = Telemetry()
    telemetry.began(interception(model='x"} 1\nfaked_total 99'))
    assert not any(line.startswith("faked") for line in telemetry.exposition().decode().splitlines())


def records(caplog: pytest.LogCaptureFixture, *, structured: bool) -> list[dict[str, object]]:
    telemetry = Telemetry(structured_logging=structured)
    with caplog.at_level(logging.INFO, "aibridge.interceptions"):
        telemetry.ended(telemetry.began(interception(7, model="a\nb")), ending(7), 1.0)
        telemetry.ended(telemetry.began(interception(8)), ending(8, usage=None), 1.0)
    return [json.loads(record.getMessage()) for record in caplog.records]


def test_on_request_every_record_is_a_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    lines = records(caplog, structured=True)
    kinds = ["interception_start", "token_usage", "interception_end", "interception_start", "interception_end"]
    assert [line["record_type"] for line in lines] == kinds
    assert [line["interception_id"] for line in lines] == ["i-7"] * 3 + ["i-8"] * 2
    assert {line["msg"] for line in lines} == {"interception log"}
    assert lines[0]["model"] == "a\nb"
    assert (lines[1]["input_tokens"], lines[1]["output_tokens"]) == (10, 5)
    assert lines[2]["status"] == "completed"
    assert not any("\n" in record.getMessage() for record in caplog.records)


def test_unless_asked_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert records(caplog, structured=False) == []
