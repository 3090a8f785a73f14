"""The metrics of several processes, added up as if they were those of one."""

from functools import partial

from aibridge.server.exposition import merged
from aibridge.telemetry import Telemetry
from aibridge.telemetry_kinds import PREFIX, Gauge


def _alone(value: float) -> list[tuple[tuple[str, ...], float]]:
    return [((), value)]


def counted(limit: str, times: int, **gauges: float) -> bytes:
    """What a process shows that has refused so many calls, and these gauges."""
    telemetry = Telemetry()
    for _ in range(times):
        telemetry.refused(limit, "rate_limited")
    for name, value in gauges.items():
        telemetry.gauges.append(Gauge(name=name, text="A gauge.", read=partial(_alone, value)))
    return telemetry.exposition()


def lines(exposition: bytes) -> list[str]:
    """The series that are not zero."""
    return [line.removeprefix(PREFIX) for line in exposition.decode().splitlines() if not line.startswith("#")]


def test_the_metrics_of_one_process_stay_as_they_are() -> None:
    own = counted("token", 3, calls_inflight=2)

    assert merged([own]) == own


def test_counters_are_added_up_by_their_labels() -> None:
    whole = merged([counted("token", 3), counted("token", 4), counted("concurrency", 5)])

    assert lines(whole) == [
        'rejections_total{limit="token",reason="rate_limited"} 7.0',
        'rejections_total{limit="concurrency",reason="rate_limited"} 5.0',
    ]


def test_each_metric_has_one_head() -> None:
    heads = [line for line in merged([counted("a", 1), counted("b", 1)]).decode().splitlines() if line.startswith("#")]

    assert heads
    assert len(heads) == len(set(heads))


def test_gauges_that_count_something_are_added_up() -> None:
    assert lines(merged([counted("", 0, calls_inflight=2), counted("", 0, calls_inflight=3)])) == ["calls_inflight 5.0"]


def test_gauges_that_are_no_sums_are_those_of_the_worst_process() -> None:
    one = counted("", 0, journal_healthy=1, journal_lag_seconds=0.5, permits_maximum=8)
    other = counted("", 0, journal_healthy=0, journal_lag_seconds=7.5, permits_maximum=8)

    for whole in (merged([one, other]), merged([other, one])):
        assert lines(whole) == ["journal_healthy 0.0", "journal_lag_seconds 7.5", "permits_maximum 8.0"]


def test_a_process_that_has_ended_leaves_only_what_grows() -> None:
    assert lines(merged([counted("token", 3, calls_inflight=2)], growing_only=True)) == [
        'rejections_total{limit="token",reason="rate_limited"} 3.0'
    ]


def test_labels_may_hold_whatever_a_caller_sends() -> None:
    nasty = 'gpt\u2028\x0b\x1c "quoted" \\ and\nmore # 1 {x="y"} 5'
    whole = merged([counted(nasty, 1), counted(nasty, 2)])

    assert whole == counted(nasty, 3)


def test_numbers_keep_their_digits() -> None:
    large = 2**53 - 2

    assert lines(merged([counted("", 0, calls_inflight=large), counted("", 0, calls_inflight=1)])) == [
        f"calls_inflight {large + 1:.1f}"
    ]


def test_nothing_is_made_of_nothing() -> None:
    assert merged([]) == merged([b"", b""]) == b""
