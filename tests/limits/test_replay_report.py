"""The sums of a rehearsal, against sums by hand."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from replay_samples import START, a_call, a_rule, summed

from aibridge.domain.rule import Mode, Subject, Unit
from aibridge.limits.load import InProgress, Load, Window
from aibridge.limits.replay_report import Minute


def instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def minute_of(minutes: list[Minute], number: int) -> Minute:
    (found,) = [minute for minute in minutes if minute.at == instant(60.0 * number)]
    return found


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=30))
def test_calls_in_progress_are_those_begun_and_not_over(spans: list[tuple[int, int]]) -> None:
    progress = InProgress()
    spans = sorted(spans)
    for number, (at, duration) in enumerate(spans):
        begun = [begin + length for begin, length in spans[:number]]
        assert progress.begin(at, duration) == sum(end > at for end in begun) + 1


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 9)), max_size=40), st.integers(1, 20))
def test_a_window_has_what_was_used_within_it(uses: list[tuple[int, int]], length: int) -> None:
    window = Window(float(length))
    uses = sorted(uses)
    for number, (at, amount) in enumerate(uses):
        expected = sum(amount for instant, amount in uses[: number + 1] if instant > at - length)
        assert window.add(float(at), float(amount)) == expected
        assert amount <= expected


def test_a_window_remembers_a_thousand_parts_at_most() -> None:
    window = Window(10.0)
    sums = [window.add(number / 1024, 1.0) for number in range(100_000)]
    assert len(window._parts) <= 1001
    assert 10_220 <= min(sums[20_000:]) <= max(sums) <= 10_240


def test_a_quiet_minute_still_has_what_goes_on_in_it() -> None:
    load = Load()
    load.begin(30.0, 100.0, 5)
    load.begin(40.0, 30.0, 7)
    load.begin(10**9 + 0.5, 1.0, 1)
    assert load.concurrency == {0: 2, 1: 2, 2: 1, 10**9 // 60: 1}
    assert load.tokens == {0: 12, 10**9 // 60: 1}
    assert load.calls == {0: 2, 10**9 // 60: 1}


def test_all_numbers_of_a_story_told_by_hand() -> None:
    cap = a_rule(Unit.CONCURRENT, 1, name="cap", queue_timeout=10.0, queue_size=1)
    rate = a_rule(amount=2, window=60.0, name="rate", subject=Subject.USER, mode=Mode.SHADOW)
    calls = [
        a_call(0.0, 8.0),  # goes
        a_call(2.0, 8.0),  # waits 6 s, until 16
        a_call(61.0, 20.0, "ben"),  # goes
        a_call(61.5, 1.0),  # waits for 10 s and is refused
        a_call(200.0, 1.0),  # goes
    ]

    summary = summed(calls, cap, rate)

    totals = summary.totals
    assert (totals.calls, totals.admitted, totals.refused, totals.refusals, totals.queued) == (5, 4, 1, 1, 2)
    assert (totals.wait_p50, totals.wait_p99) == (6.0, 6.0)
    assert (totals.concurrency_before, totals.concurrency_after) == (2, 1)
    assert (totals.calls_per_minute_before, totals.calls_per_minute_after) == (2, 2)
    assert (totals.tokens_per_minute_before, totals.tokens_per_minute_after) == (300, 300)
    assert (summary.first, summary.last) == (instant(0.0), instant(200.0))
    assert [(sums.refusals, sums.shadow_refusals, sums.peak, sums.peak_key) for sums in summary.rules] == (
        [(1, 0, 1.0, ""), (0, 0, 2.0, "ada")]
    )

    ada, ben = summary.actors
    assert (ada.actor, ada.calls, ada.admitted, ada.refused, ada.queued, ada.longest_wait) == ("ada", 4, 3, 1, 2, 10.0)
    assert ada.first_refused == ada.last_refused == instant(71.5)
    assert ada.refusals_by_rule == {"cap": 1}
    assert ada.refusals_by_minute == {instant(60.0): 1}
    assert (ben.actor, ben.calls, ben.admitted, ben.refusals, ben.first_refused) == ("ben", 1, 1, 0, None)

    first, second = minute_of(summary.minutes, 0), minute_of(summary.minutes, 1)
    assert (first.calls, first.admitted, first.queued, first.refusals) == (2, 2, 1, 0)
    assert (second.calls, second.admitted, second.queued, second.refused, second.refusals) == (2, 1, 1, 1, 1)
    assert (first.concurrency_before, first.concurrency_after, first.tokens_after) == (2, 1, 300)


def test_a_client_that_comes_back_is_refused_more_often_than_once() -> None:
    summary = summed([a_call(0.0, 500.0), a_call(1.0)], a_rule(Unit.CONCURRENT), retries=2)
    assert (summary.totals.refused, summary.totals.refusals) == (1, 3)
    assert (summary.actors[0].refused, summary.actors[0].refusals) == (1, 3)


def test_shadows_are_counted_by_rule_and_actor() -> None:
    calls = [a_call(0.0), a_call(1.0), a_call(2.0, actor="ben")]
    summary = summed(calls, a_rule(window=60.0, mode=Mode.SHADOW, subject=Subject.USER))
    assert [sums.shadow_refusals for sums in summary.rules] == [1]
    assert [(sums.actor, sums.shadow_refusals) for sums in summary.actors] == [("ada", 1), ("ben", 0)]
    assert summary.totals.admitted == 3


def test_the_peak_is_the_truth_and_not_the_estimate() -> None:
    rule = a_rule(Unit.TOTAL_TOKENS, 10_000, window=60.0, subject=Subject.USER)
    summary = summed([a_call(0.0), a_call(10.0), a_call(20.0, actor="ben")], rule)
    assert (summary.rules[0].peak, summary.rules[0].peak_key) == (300.0, "ada")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 300), st.sampled_from("abc")), min_size=1, max_size=40
    ),
    retries=st.integers(0, 2),
)
def test_the_parts_add_up_to_the_whole(rows: list[tuple[int, int, str]], retries: int) -> None:
    cap = a_rule(Unit.CONCURRENT, 2, name="cap", queue_timeout=4.0, queue_size=3)
    rate = a_rule(amount=3, window=30.0, name="rate", subject=Subject.USER)

    summary = summed(
        [a_call(at / 4, length / 4, actor) for at, length, actor in sorted(rows)], cap, rate, retries=retries
    )

    totals, parts = summary.totals, summary.minutes
    assert totals.calls == len(rows) == totals.admitted + totals.refused == sum(actor.calls for actor in summary.actors)
    assert totals.refusals == sum(actor.refusals for actor in summary.actors) == sum(r.refusals for r in summary.rules)
    assert totals.admitted == sum(minute.admitted for minute in parts) == sum(a.admitted for a in summary.actors)
    assert totals.refused == sum(minute.refused for minute in parts) == sum(a.refused for a in summary.actors)
    assert totals.queued == sum(minute.queued for minute in parts) == sum(actor.queued for actor in summary.actors)
    assert totals.calls == sum(minute.calls for minute in parts)
    assert totals.concurrency_after == max(minute.concurrency_after for minute in parts) <= 2
    assert summary.rules[0].peak == totals.concurrency_after or not totals.admitted
    assert summary.rules[1].peak <= 3
