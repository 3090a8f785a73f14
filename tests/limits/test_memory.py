"""`Memory` without waiting: all or none, exact, settled, and in the shadow."""

import asyncio

import pytest
from virtual_time import run

from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.limits.counts import Ask, Counts, Held, Memo, Place, Present, Refusal
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome

CALLS = Rule(name="calls", unit=Unit.REQUESTS, amount=3, window=60.0, subject=Subject.USER)
BURSTS = Rule(name="bursts", unit=Unit.REQUESTS, amount=60, window=60.0, burst=2, subject=Subject.USER)
TOKENS = Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=600, window=60.0, subject=Subject.USER)
SLOTS = Rule(name="slots", unit=Unit.CONCURRENT, amount=2)


def shadow(rule: Rule) -> Rule:
    return Rule(
        name=f"{rule.name} in shadow",
        unit=rule.unit,
        amount=rule.amount,
        window=rule.window,
        burst=rule.burst,
        subject=rule.subject,
        mode=Mode.SHADOW,
    )


def held(memory: Memory, *asks: Ask, now: float = 0.0) -> Held:
    answer = memory.try_take(asks, now)
    assert isinstance(answer, Held)
    return answer


def refused(memory: Memory, *asks: Ask, now: float = 0.0) -> Refusal:
    answer = memory.try_take(asks, now)
    assert isinstance(answer, Refusal)
    return answer


def used(memory: Memory, rule: int, key: str, now: float = 0.0) -> float:
    return memory._counters[rule].limiters.get(key, now).used(now)


def test_it_is_a_place_that_counts() -> None:
    counts: Counts = Memory([])
    assert counts.healthy
    counts.listen(lambda _breaker, _seconds: None)
    counts.tripped("breaker", 1.0)


def test_each_subject_has_its_own_count() -> None:
    memory = Memory([CALLS])
    for _ in range(3):
        held(memory, Ask(0, "ada"))
    assert refused(memory, Ask(0, "ada"), now=20.0) == Refusal(rule=0, key="ada", used=3.0, retry_after=40.0)
    held(memory, Ask(0, "bob"))
    held(memory, Ask(0, "ada"), now=60.0)


def test_calls_with_a_burst_flow() -> None:
    memory = Memory([BURSTS])
    held(memory, Ask(0, "ada"))
    held(memory, Ask(0, "ada"))
    assert refused(memory, Ask(0, "ada"), now=0.25) == Refusal(rule=0, key="ada", used=1.75, retry_after=0.75)
    held(memory, Ask(0, "ada"), now=1.0)


def test_what_is_held_comes_back() -> None:
    memory = Memory([SLOTS])
    first = held(memory, Ask(0, ""))
    held(memory, Ask(0, ""))
    memory.settle(first, (1.0,), Outcome.SUCCESS, 4.0)
    held(memory, Ask(0, ""), now=4.0)
    assert refused(memory, Ask(0, ""), now=4.0) == Refusal(rule=0, key="", used=2, retry_after=2.0, step=2.0)


def test_a_call_takes_all_or_nothing() -> None:
    memory = Memory([CALLS, TOKENS, SLOTS])
    asks = (Ask(0, "ada"), Ask(1, "ada", 250.0), Ask(2, ""))
    first = held(memory, *asks)
    assert first.asks == asks
    held(memory, *asks)
    answer = refused(memory, *asks)
    assert (answer.rule, answer.key, answer.used) == (1, "ada", 500.0)
    assert [used(memory, 0, "ada"), used(memory, 1, "ada"), used(memory, 2, "")] == [2.0, 500.0, 2.0]
    held(memory, Ask(0, "ada"))


def test_a_refusal_names_the_first_rule_and_the_longest_wait() -> None:
    memory = Memory([BURSTS, TOKENS, CALLS])
    for _ in range(2):
        held(memory, Ask(0, "ada"), Ask(1, "ada", 300.0))
    answer = refused(memory, Ask(2, "ada"), Ask(0, "ada"), Ask(1, "ada", 100.0))
    assert (answer.rule, answer.used, answer.retry_after) == (0, 2.0, 10.0)


def test_the_longest_wait_may_be_that_of_any_of_those_that_refuse() -> None:
    long = Rule(name="long", unit=Unit.REQUESTS, amount=1, window=500.0)
    memory = Memory([long, CALLS, SLOTS], lambda: 0.0)
    asks = (Ask(0, ""), Ask(1, "ada"), Ask(2, ""))
    held(memory, *asks)
    for ask in asks[1:] * 2:
        memory.try_take((ask,), 0.0)
    for order in (asks, asks[::-1]):
        refusal = refused(memory, *order)
        assert (refusal.rule, refusal.retry_after, refusal.step) == (order[0].rule, 500.0, None)


def test_who_shares_a_count_for_want_of_places_is_refused_by_that() -> None:
    """And not asked again elsewhere to be told so: by then there may be a place, where nothing is counted yet."""
    mine = Rule(name="mine", unit=Unit.CONCURRENT, amount=1, subject=Subject.USER)
    memory = Memory([mine], lambda: 0.0, most_keys=40)
    calls = [held(memory, Ask(0, str(number))) for number in range(40)]
    held(memory, Ask(0, "beyond"))
    memory.settle(calls[35], None, Outcome.SUCCESS)
    answers = [memory.try_take((Ask(0, "another"),), 0.0) for _ in range(3)]
    assert [isinstance(answer, Held) for answer in answers] == [False, True, False]


def test_waiting_as_told_admits_all_of_them() -> None:
    memory = Memory([BURSTS, TOKENS])
    asks = (Ask(0, "ada"), Ask(1, "ada", 290.0))
    for _ in range(2):
        held(memory, *asks)
    wait = refused(memory, *asks).retry_after
    refused(memory, *asks, now=wait - 0.001)
    held(memory, *asks, now=wait)


def test_an_estimate_is_corrected_by_the_truth() -> None:
    memory = Memory([TOKENS])
    over, under = held(memory, Ask(0, "ada", 200.0)), held(memory, Ask(0, "ada", 200.0))
    memory.settle(over, (50.0,), Outcome.SUCCESS, 0.0)
    assert used(memory, 0, "ada") == 250.0
    memory.settle(under, (900.0,), Outcome.SUCCESS, 0.0)
    assert used(memory, 0, "ada") == 950.0
    assert refused(memory, Ask(0, "ada", 100.0)).retry_after == 45.0


def test_an_estimate_above_what_can_ever_be_taken_takes_that_and_the_truth_is_charged() -> None:
    memory = Memory([TOKENS, CALLS])
    call = held(memory, Ask(0, "ada", 5000.0), Ask(1, "ada"))
    assert call.asks == (Ask(0, "ada", 600.0), Ask(1, "ada"))
    assert used(memory, 0, "ada") == 600.0
    memory.settle(call, (5000.0, 1.0), Outcome.SUCCESS, 0.0)
    assert used(memory, 0, "ada") == 5000.0


def test_a_call_that_turned_out_not_to_count_is_given_back() -> None:
    memory = Memory([CALLS, BURSTS])
    calls = [held(memory, Ask(0, "ada"), Ask(1, "ada"), now=float(now)) for now in range(3)]
    memory.settle(calls[1], (0.0, 0.0), Outcome.IGNORED, 2.0)
    assert used(memory, 0, "ada", 2.0) == 2.0
    assert used(memory, 1, "ada", 2.0) == 0.0
    memory.settle(calls[0], (1.0, 1.0), Outcome.SUCCESS, 2.0)
    assert used(memory, 0, "ada", 2.0) == 2.0


def test_a_call_is_settled_once() -> None:
    memory = Memory([SLOTS, TOKENS], lambda: 0.0)
    first = held(memory, Ask(0, ""), Ask(1, "ada", 300.0))
    held(memory, Ask(0, ""))
    for _ in range(3):
        memory.settle(first, (1.0, 100.0), Outcome.SUCCESS)
    assert [used(memory, 0, ""), used(memory, 1, "ada")] == [1.0, 100.0]


def test_only_calls_that_did_their_work_teach_how_long_one_is_held() -> None:
    memory = Memory([Rule(name="slots", unit=Unit.CONCURRENT, amount=1)])
    memory.settle(held(memory, Ask(0, "")), (1.0,), Outcome.SUCCESS, 8.0)
    memory.settle(held(memory, Ask(0, ""), now=8.0), (1.0,), Outcome.IGNORED, 8.0)
    held(memory, Ask(0, ""), now=8.0)
    assert refused(memory, Ask(0, ""), now=8.0).retry_after == 8.0


def test_names_of_calls_are_unique() -> None:
    memory = Memory([SLOTS])
    assert len({held(memory, now=0.0).number for _ in range(100)}) == 100


def test_a_shadow_counts_what_it_would_admit_and_tells_what_it_would_refuse() -> None:
    memory = Memory([shadow(CALLS), CALLS, shadow(SLOTS)])
    asks = (Ask(0, "ada"), Ask(1, "ada"), Ask(2, ""))
    calls = [held(memory, *asks, now=float(now)) for now in range(3)]
    assert [set(call.asks) for call in calls] == [set(asks), set(asks), {asks[0], asks[1]}]
    assert [call.shadows for call in calls] == [(), (), (2,)]
    memory.settle(calls[0], (1.0,) * 3, Outcome.SUCCESS, 3.0)
    assert used(memory, 2, "") == 1
    beyond = held(memory, Ask(0, "ada"), now=4.0)
    assert (beyond.asks, beyond.shadows) == ((), (0,))
    memory.settle(beyond, (), Outcome.SUCCESS, 4.0)
    assert used(memory, 0, "ada", 4.0) == 3.0


def test_what_is_refused_counts_in_no_shadow() -> None:
    memory = Memory([shadow(TOKENS), SLOTS])
    for _ in range(2):
        held(memory, Ask(0, "ada", 100.0), Ask(1, ""))
    refused(memory, Ask(0, "ada", 100.0), Ask(1, ""))
    assert used(memory, 0, "ada") == 200.0


def test_a_rule_over_what_is_held_can_be_known_to_be_full() -> None:
    queued = Rule(name="queued", unit=Unit.CONCURRENT, amount=1, queue_timeout=1.0, queue_size=1)
    memory = Memory([SLOTS, queued, shadow(SLOTS), CALLS], lambda: 8.0)
    assert memory.full(0, "") is None
    for _ in range(2):
        held(memory, Ask(0, ""), Ask(2, ""))
    held(memory, Ask(1, ""))
    assert memory.full(0, "") == Refusal(rule=0, key="", used=2, retry_after=4.0)
    assert [memory.full(1, ""), memory.full(2, ""), memory.full(3, "ada"), memory.full(0, "other")] == [None] * 4
    assert len(memory._counters[0].limiters) == 1


def test_a_call_that_would_be_refused_can_be_known_to_be_and_takes_nothing() -> None:
    memory = Memory([SLOTS, CALLS, shadow(CALLS), TOKENS], lambda: 8.0)
    asks, memo = (Ask(0, ""), Ask(1, "ada"), Ask(2, "ada"), Ask(3, "ada", 400.0)), Memo()
    for look in (memo, memo, None):
        assert memory.refused(asks, look) is None
    first = held(memory, *asks, now=8.0)
    assert memory.refused(asks, memo) == memory.refused(asks) == refused(memory, *asks, now=8.0)
    assert refused(memory, *asks, now=8.0) == Refusal(rule=3, key="ada", used=400.0, retry_after=20.0)
    assert [used(memory, place, key, 8.0) for place, key in enumerate(("", "ada", "ada", "ada"))] == [1, 1, 1, 400]
    memory.settle(first, (1.0, 1.0, 1.0, 0.0), Outcome.SUCCESS, 8.0)
    assert memory.refused(asks, memo) is None


def test_who_looks_is_told_what_who_asks_is() -> None:
    queued = Rule(name="queued", unit=Unit.CONCURRENT, amount=1, queue_timeout=1.0, queue_size=1)
    memory = Memory([SLOTS, queued, shadow(SLOTS), TOKENS], lambda: 8.0)
    assert memory.refused((Ask(7, ""),)) is None, "of a rule that is not known nothing is"
    assert memory.refused((Ask(3, "ada", 9000.0),)) is None, "what can never be taken at once is taken as what can"
    held(memory, Ask(1, ""), Ask(3, "ada", 9000.0), now=8.0)
    for _ in range(2):
        held(memory, Ask(0, ""), now=8.0)
        held(memory, Ask(2, ""), now=8.0)
    assert memory.refused((Ask(1, ""),)) is None, "it may wait"
    assert memory.refused((Ask(2, ""),)) is None, "it is in shadow mode"
    both = memory.refused((Ask(1, ""), Ask(7, ""), Ask(0, "")))
    assert both is not None, "one without a queue is full as well"
    assert (both.rule, both.used, both.step) == (1, 1, None)
    assert [refused(memory, Ask(place, ""), now=9.0).step is None for place in (0, 1)] == [False, True]
    large = memory.refused((Ask(3, "ada", 9000.0),))
    assert large == Refusal(rule=3, key="ada", used=600.0, retry_after=60.0)


def test_the_present_use_is_told_of_those_who_use_most() -> None:
    memory = Memory([CALLS, TOKENS, SLOTS], lambda: 30.0)
    for name, calls in (("ada", 1), ("bob", 3), ("cyd", 2)):
        for _ in range(calls):
            held(memory, Ask(0, name))
    held(memory, Ask(1, "ada", 600.0))
    held(memory, Ask(2, ""))
    memory.settle(held(memory, Ask(2, "nobody now")), (1.0,), Outcome.SUCCESS)
    assert run(memory.present(2)) == [
        Present(rule=0, key="bob", used=3.0),
        Present(rule=0, key="cyd", used=2.0),
        Present(rule=1, key="ada", used=300.0),
        Present(rule=2, key="", used=1.0),
    ]


def test_telling_the_present_use_of_many_lets_others_work_meanwhile() -> None:
    memory = Memory([CALLS], lambda: 0.0)
    for number in range(5500):
        held(memory, Ask(0, f"user-{number}"))

    async def scenario() -> int:
        looking = asyncio.create_task(memory.present(3))
        others = 0
        while not looking.done():
            await asyncio.sleep(0)
            others += 1
            held(memory, Ask(0, f"new-{others}"))
        assert len(looking.result()) == 3
        return others

    assert run(scenario()) >= 5


def test_without_a_place_a_call_is_refused_at_once() -> None:
    rule = Rule(name="slots", unit=Unit.CONCURRENT, amount=1, queue_timeout=5.0, queue_size=5)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        memory = Memory([rule], loop.time)
        assert isinstance(await memory.take((Ask(0, ""),)), Held)
        answer = await memory.take((Ask(0, ""),))
        assert isinstance(answer, Refusal)
        assert answer.waited == 0.0
        assert loop.time() == 1000.0

    run(scenario())


@pytest.mark.parametrize("rule", [SLOTS, CALLS, TOKENS])
def test_what_has_no_queue_refuses_at_once(rule: Rule) -> None:
    async def scenario() -> None:
        memory = Memory([rule], lambda: 0.0)
        ask = Ask(0, "ada", 200.0 if rule is TOKENS else 1.0)
        answers = [await memory.take((ask,), Place("ada")) for _ in range(4)]
        assert isinstance(answers[-1], Refusal)

    run(scenario())


def test_what_is_looked_up_for_a_subject_is_good_until_another_has_its_place() -> None:
    now = [0.0]
    memory = Memory([CALLS], lambda: now[0], most_keys=1)
    ada, bob = Memo(), Memo()
    assert isinstance(memory.at_once((Ask(0, "ada"),), ada), Held)
    now[0] = 60.0
    for _ in range(3):  # in the place of ada, who is idle
        assert isinstance(memory.at_once((Ask(0, "bob"),), bob), Held)
    for _ in range(3):  # of whom another now holds what both of them share
        assert isinstance(memory.at_once((Ask(0, "ada"),), ada), Held)
    for who, memo in (("ada", ada), ("ada", Memo()), ("bob", bob), ("bob", Memo())):
        assert isinstance(memory.at_once((Ask(0, who),), memo), Refusal)
    now[0] = 120.0
    assert isinstance(memory.at_once((Ask(0, "ada"),), ada), Held)
    assert used(memory, 0, "ada", 120.0) == 1.0


def test_what_is_looked_up_is_good_until_there_are_other_rules() -> None:
    memory = Memory([CALLS], lambda: 0.0)
    memo = Memo()
    for _ in range(3):
        assert isinstance(memory.at_once((Ask(0, "ada"),), memo), Held)
    memory.replace({0: BURSTS})
    assert [isinstance(memory.at_once((Ask(0, "ada"),), memo), Held) for _ in range(3)] == [True, True, False]
    memory.replace({})
    assert isinstance(memory.at_once((Ask(0, "ada"),), memo), Held)


def test_what_costs_as_much_as_was_asked_for_is_only_given_back_where_it_is_held() -> None:
    memory = Memory([CALLS, TOKENS, SLOTS], lambda: 0.0)
    call = held(memory, Ask(0, "ada"), Ask(1, "ada", 200.0), Ask(2, ""))
    memory.settle(call, None, Outcome.SUCCESS)
    assert [used(memory, 0, "ada"), used(memory, 1, "ada"), used(memory, 2, "")] == [1.0, 200.0, 0.0]
