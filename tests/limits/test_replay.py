"""Recorded calls against other rules: the answers are those of the gateway's own engine, at virtual instants."""

from bisect import bisect_right
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_samples import START, a_call, a_rule, played

from aibridge.domain.price import Price
from aibridge.domain.rule import Mode, Subject, Unit
from aibridge.limits.arrivals import Arrival
from aibridge.limits.estimate import DEFAULT_OUTPUT_TOKENS
from aibridge.limits.memory import Memory
from aibridge.limits.replay import Answer, Decision, Replay
from aibridge.limits.synthetic import synthetic

ADMITTED, REFUSED, LATER = Answer.ADMITTED, Answer.REFUSED, Answer.LATER


def told(decisions: list[Decision]) -> list[tuple[float, Answer]]:
    return [(round(decision.at - START, 6), decision.answer) for decision in decisions]


calls = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 80), st.sampled_from("ab")), min_size=1, max_size=40
).map(lambda rows: [a_call(at / 8, duration / 8, actor) for at, duration, actor in sorted(rows)])


@settings(max_examples=80, deadline=None)
@given(calls=calls, amount=st.integers(1, 5), window=st.integers(1, 10))
def test_a_rate_admits_what_counting_by_hand_admits(calls: list[Arrival], amount: int, window: int) -> None:
    admitted: dict[str, list[float]] = {"a": [], "b": []}
    expected = []
    for call in calls:
        instants = admitted[call.actor]
        goes = len(instants) - bisect_right(instants, call.at - window) < amount
        if goes:
            instants.append(call.at)
        expected.append(goes)

    decisions = played(calls, a_rule(amount=amount, window=float(window), subject=Subject.USER))

    assert [decision.answer is ADMITTED for decision in decisions] == expected


@settings(max_examples=80, deadline=None)
@given(calls=calls, amount=st.integers(1, 5))
def test_a_cap_admits_what_counting_by_hand_admits(calls: list[Arrival], amount: int) -> None:
    ends: list[float] = []
    expected = []
    for call in calls:
        ends = [end for end in ends if end > call.at]
        goes = len(ends) < amount
        if goes:
            ends.append(call.at + call.duration)
        expected.append(goes)

    decisions = played(calls, a_rule(Unit.CONCURRENT, amount))

    assert [decision.answer is ADMITTED for decision in decisions] == expected


@settings(max_examples=80, deadline=None)
@given(
    calls=calls,
    amount=st.integers(1, 3),
    timeout=st.integers(1, 40).map(lambda eighths: eighths / 8),
    size=st.integers(1, 5),
    retries=st.integers(0, 2),
)
def test_every_call_is_answered_once_for_good_and_no_cap_is_exceeded(
    calls: list[Arrival], amount: int, timeout: float, size: int, retries: int
) -> None:
    rule = a_rule(Unit.CONCURRENT, amount, queue_timeout=timeout, queue_size=size)

    decisions = played(calls, rule, retries=retries)

    final = [decision for decision in decisions if decision.answer is not LATER]
    assert sorted(map(id, (decision.arrival for decision in final))) == sorted(map(id, calls))
    assert [decision.at for decision in decisions] == sorted(decision.at for decision in decisions)
    assert all(0.0 <= decision.waited <= timeout + 0.002 for decision in decisions)
    runs = [(each.at, each.at + each.arrival.duration) for each in final if each.answer is ADMITTED]
    assert all(sum(begin <= at < end for begin, end in runs) <= amount for at, _ in runs)


def test_a_call_without_any_rule_is_admitted_for_nothing() -> None:
    assert [(d.answer, d.asks, d.rule) for d in played([a_call(0.0)])] == [(ADMITTED, (), None)]


def test_who_waits_goes_when_a_place_comes_free() -> None:
    rule = a_rule(Unit.CONCURRENT, 1, queue_timeout=5.0, queue_size=5)
    decisions = played([a_call(0.0, 3.0), a_call(1.0, 1.0, "ben")], rule)
    assert told(decisions) == [(0.0, ADMITTED), (3.0, ADMITTED)]
    assert [decision.waited for decision in decisions] == [0.0, 2.0]


def test_who_waited_too_long_is_refused_at_that_instant() -> None:
    rule = a_rule(Unit.CONCURRENT, 1, queue_timeout=5.0, queue_size=5)
    decisions = played([a_call(0.0, 30.0), a_call(1.0, 1.0, "ben"), a_call(31.0)], rule)
    assert told(decisions) == [(0.0, ADMITTED), (6.0, REFUSED), (31.0, ADMITTED)]
    assert decisions[1].waited == 5.0


def test_a_place_is_free_for_a_call_that_comes_as_another_ends() -> None:
    assert [d.answer for d in played([a_call(0.0, 2.0), a_call(2.0)], a_rule(Unit.CONCURRENT))] == [ADMITTED] * 2


def test_the_rule_that_refused_is_told_and_when_to_come_back() -> None:
    rules = (a_rule(amount=5, window=60.0, name="loose"), a_rule(amount=1, window=10.0, name="tight"))
    decisions = played([a_call(0.0), a_call(4.0)], *rules)
    assert told(decisions) == [(0.0, ADMITTED), (4.0, REFUSED)]
    assert (decisions[1].rule, round(decisions[1].retry_after, 6)) == (1, 6.0)


def test_a_client_comes_back_when_it_was_told_to() -> None:
    decisions = played([a_call(0.0), a_call(4.0)], a_rule(window=10.0), retries=2)
    assert [d.answer for d in decisions] == [ADMITTED, LATER, ADMITTED]
    # Told 6 s and at most a fifth more.
    assert 10.0 <= decisions[2].at - START <= 11.2
    assert decisions[2].waited == 0.0


def test_a_client_comes_back_so_often_and_no_more() -> None:
    decisions = played([a_call(0.0, 500.0), a_call(1.0)], a_rule(Unit.CONCURRENT), retries=2)
    assert [d.answer for d in decisions] == [ADMITTED, LATER, LATER, REFUSED]


def test_no_client_comes_back_for_a_budget_that_is_spent() -> None:
    decisions = played([a_call(0.0), a_call(1.0)], a_rule(window=86400.0), retries=2)
    assert [d.answer for d in decisions] == [ADMITTED, REFUSED]


def test_clients_are_spread_by_luck_and_the_same_luck_tells_the_same_story() -> None:
    calls = [a_call(0.0), a_call(4.0)]
    first, same, other = (played(calls, a_rule(window=10.0), retries=2, seed=seed)[2].at for seed in (1, 1, 2))
    assert first == same != other


def test_a_shadow_refuses_nothing_and_is_named_where_it_would_have() -> None:
    decisions = played([a_call(0.0), a_call(1.0)], a_rule(window=10.0, mode=Mode.SHADOW))
    assert [(d.answer, d.shadows) for d in decisions] == [(ADMITTED, ()), (ADMITTED, (0,))]


def test_the_estimate_stands_until_the_end_and_then_the_truth() -> None:
    # Of 1,300 tokens a minute an estimate takes 100 + 1,024, and a call uses 150.
    rule = a_rule(Unit.TOTAL_TOKENS, 1300, window=60.0)
    during = played([a_call(0.0, 5.0), a_call(4.0)], rule)
    after = played([a_call(0.0, 5.0), a_call(6.0)], rule)
    assert DEFAULT_OUTPUT_TOKENS == 1024
    assert [d.answer for d in during] == [ADMITTED, REFUSED]
    assert [d.answer for d in after] == [ADMITTED, ADMITTED]


def test_the_truth_knows_the_prompt_cache() -> None:
    # 3 dollars a million for input, a tenth from the cache: of a cent, 1,000 tokens cost 0.3 of it or 0.03.
    price = Price(input=3 * 10**9, output=0, cache_read=3 * 10**8)
    rule = a_rule(Unit.COST, 10**7, window=3600.0)
    calls = [a_call(second * 10.0, input_tokens=3000) for second in range(2)]
    cached = [a_call(second * 10.0, input_tokens=3000, cache_read_input_tokens=3000) for second in range(2)]
    assert [d.answer for d in played(calls, rule, prices=[price])] == [ADMITTED, REFUSED]
    assert [d.answer for d in played(cached, rule, prices=[price])] == [ADMITTED, ADMITTED]


@pytest.mark.parametrize(
    ("subject", "changes"),
    [
        (Subject.USER, {"actor": "ben"}),
        (Subject.ORGANIZATION, {"organization": "web"}),
        (Subject.TOKEN, {"token": "other"}),
        (Subject.TOKEN, {"actor": "ben"}),
    ],
)
def test_subjects_are_told_apart(subject: Subject, changes: dict[str, Any]) -> None:
    rule = a_rule(window=60.0, subject=subject)
    assert [d.answer for d in played([a_call(0.0), a_call(1.0, **changes)], rule)] == [ADMITTED, ADMITTED]
    assert [d.answer for d in played([a_call(0.0), a_call(1.0)], rule)] == [ADMITTED, REFUSED]


def test_rules_are_for_the_models_they_name() -> None:
    rule = a_rule(window=60.0, model="gpt-*")
    decisions = played([a_call(0.0), a_call(1.0, model="claude-sonnet-5"), a_call(2.0)], rule)
    assert [d.answer for d in decisions] == [ADMITTED, ADMITTED, REFUSED]


def test_a_call_said_to_come_earlier_comes_with_the_one_before() -> None:
    assert told(played([a_call(5.0), a_call(4.9995)], a_rule(amount=2, window=60.0))) == [(5.0, ADMITTED)] * 2


def test_nothing_is_held_when_all_is_over() -> None:
    rules = (a_rule(Unit.CONCURRENT, 5, queue_timeout=2.0, queue_size=9), a_rule(amount=9, window=60.0, name="rate"))
    with Replay(rules, (), retries=1, luck=lambda: 0.5) as replay:
        for call in synthetic(1, 2000):
            replay.arrive(call)
        replay.finish()
        counts = replay._limits._counts
        assert isinstance(counts, Memory)
        assert counts._counters[0].limiters.get("", 0.0).used(0.0) == 0.0
