"""Who comes back too early is refused without asking anybody, and only where asking would have had the same answer."""

from contextlib import suppress

import pytest
from engine_world import ADA, BOB, SIZE, World, caller, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge.domain.actor import Actor
from aibridge.domain.errors import PATIENCE, AtCapacity, BudgetSpent, RateLimited, Refused
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.domain.usage import Usage
from aibridge.limits import known_full, told
from aibridge.limits.counts import Ask, Held, Refusal
from aibridge.limits.engine import Admission, Caller, Size
from aibridge.overload.outcome import Outcome

MINE = rule("mine", subject=Subject.USER)
SMALL = Size(model="m", body_bytes=0, max_output_tokens=1)


def test_nothing_is_known_of_who_was_not_refused() -> None:
    world = World([MINE])
    world.admit()
    assert world.check() is None


def test_who_was_refused_is_refused_again_with_the_time_that_is_left() -> None:
    world = World([MINE])
    world.admit()
    first = world.refusal()
    world.now += 0.5
    again = world.check()
    assert isinstance(again, RateLimited)
    assert (first.retry_after, again.retry_after) == (10.0, 9.5)
    assert again.policies == first.policies
    assert again.detail == first.detail
    assert again.detail.endswith("the next one is admitted at 1970-01-01 00:16:50.000 UTC.")


def test_what_is_told_again_is_written_once_and_keeps_no_frames() -> None:
    world = World([MINE])
    world.admit()
    first = world.refusal()
    again = world.check()
    assert again is not None
    assert again.prepared is first.prepared is not None
    assert (first.__traceback__ is None, again.__traceback__) == (False, None)


def test_it_ends_with_the_wait() -> None:
    world = World([rule("short", window=0.5)])
    world.admit()
    world.refusal()
    world.now += 0.25
    assert world.check() is not None
    world.now += 0.25
    assert world.check() is None
    assert world.admits()


def test_what_is_given_back_elsewhere_is_known_within_a_second() -> None:
    world = World([MINE])
    elsewhere = world.admit().held
    world.refusal()
    assert elsewhere is not None
    world.counts.settle(elsewhere, (0.0,), Outcome.IGNORED)
    assert world.check() is not None
    world.now += told.BELIEVED
    assert world.check() is None
    assert world.admits()


def test_a_place_that_comes_free_is_not_refused_by_who_cannot_see_that(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([rule("slots", Unit.CONCURRENT, 1)])
    monkeypatch.setattr(world.counts, "full", lambda *_: None)
    admission = world.admit()
    world.now += 30.0
    assert world.refusal(caller(BOB)).retry_after == 30.0
    world.close(admission, Usage())
    assert world.check(caller(BOB)) is None


def test_others_are_not_refused_with_them() -> None:
    world = World([MINE, rule("all", amount=9)])
    world.admit()
    world.refusal()
    other_token = caller(Actor(id="u1", username="ada", token_id="tokenC"))
    for who in (caller(BOB), caller(provider="anthropic"), caller(passes_through=True), other_token):
        assert world.check(who) is None
    assert world.check(caller(address="203.0.113.9")) is not None


def test_where_addresses_count_they_are_told_apart() -> None:
    world = World([rule("a", subject=Subject.ADDRESS)])
    for who in (caller(), caller(None, "203.0.113.9")):
        world.admit(who)
        world.refusal(who)
        assert world.check(who) is not None
    assert world.check(caller(ADA, "203.0.113.9")) is None
    assert world.check(caller(None, "203.0.113.10")) is None


def test_a_budget_stays_spent_at_the_door() -> None:
    world = World([rule("day", Unit.TOTAL_TOKENS, 100, 86400.0)])
    world.close(world.admit(caller(), SIZE), Usage(output_tokens=300))
    world.refusal(caller(), SIZE)
    assert isinstance(world.check(), BudgetSpent)


def test_a_smaller_call_is_not_refused_for_a_larger_one() -> None:
    world = World([rule("t", Unit.TOTAL_TOKENS, 100)])
    world.admit(caller(), Size(model="m", body_bytes=0, max_output_tokens=50))
    world.refusal(caller(), SIZE)
    assert world.check() is None
    assert world.admits(caller(), SMALL)


def test_a_debt_is_known_until_the_smallest_call_would_be_admitted() -> None:
    world = World([rule("t", Unit.TOTAL_TOKENS, 100)])
    world.close(world.admit(caller(), SIZE), Usage(output_tokens=105))
    beyond_the_burst = Size(model="m", body_bytes=0, max_output_tokens=1000)
    assert world.refusal(caller(), beyond_the_burst).retry_after == pytest.approx(10.5)
    world.now += 0.499
    assert world.check() is not None
    world.now += 0.002
    assert world.check() is None


LARGE = Size(model="m", body_bytes=0, max_output_tokens=60)


@pytest.mark.parametrize("again", [LARGE, SMALL, Size(model="o", body_bytes=0, max_output_tokens=60)])
@pytest.mark.parametrize("limit", [rule("m", model="m"), rule("t", Unit.TOTAL_TOKENS, 99)], ids=["model", "tokens"])
def test_what_is_not_refused_whatever_is_asked_for_is_refused_to_who_asks_for_the_same(
    limit: Rule, again: Size
) -> None:
    world, who = World([limit]), caller()
    world.admit(who, LARGE)
    first = world.refusal(who, LARGE)
    world.now += 0.5
    told = world.check_again(who, again)
    same_model_or_size = (
        again == LARGE or (again == SMALL and limit.name == "m") or (again != SMALL and limit.name == "t")
    )
    assert (told is not None) == same_model_or_size
    assert world.check(who) is None
    if told is not None:
        assert (type(told), told.policies) == (type(first), first.policies)
        assert (told.rejection, first.rejection) != (None, None)
        assert told.rejection.retry_after == first.rejection.retry_after - 0.5  # type: ignore[union-attr]
    assert world.admits(who, again) != same_model_or_size


def test_what_is_told_to_who_asks_for_the_same_is_looked_at_again_after_a_moment() -> None:
    world, who = World([rule("m", model="m")]), caller()
    world.admit(who, SIZE)
    world.refusal(who, SIZE)
    for looks in (1, 2):
        world.now += known_full.BRIEFLY
        for _ in range(3):
            assert world.check_again(who, SIZE) is not None
        assert len(world.counts.looks) == looks
    assert world.limits.decisions["m", "everyone", "refused"] == 7


def test_what_is_given_back_makes_what_is_told_to_who_asks_for_the_same_forgotten() -> None:
    world, who = World([rule("m", model="m"), rule("all", amount=9)]), caller()
    admission = world.admit(who, SIZE)
    world.refusal(who, SIZE)
    assert world.check_again(who, SIZE) is not None
    world.close(admission, counted=False)
    assert world.check_again(who, SIZE) is None
    assert world.limits._refusals._by_count == {}
    assert world.admits(who, SIZE)


def test_of_each_caller_the_last_refusal_is_remembered() -> None:
    world, who = World([rule("t", Unit.TOTAL_TOKENS, 99), rule("all", amount=9)]), caller()
    world.admit(who, LARGE)
    for model in range(50):
        world.refusal(who, Size(model=str(model), body_bytes=0, max_output_tokens=60 + model % 9))
    assert len(world.limits._refusals) == 1
    assert sum(map(len, world.limits._refusals._by_count.values())) == 2


def test_what_the_last_refusal_does_not_depend_on_is_of_no_account() -> None:
    other = Size(model="o", body_bytes=0, max_output_tokens=1)
    world, who = World([rule("m", model="m"), rule("o", model="o")]), caller()
    first, _ = world.admit(who, SIZE), world.admit(who, other)
    for size in (SIZE, other):
        world.refusal(who, size)
    assert [*world.limits._refusals._by_count] == [(1, "")]
    world.close(first, counted=False)
    assert world.check_again(who, other) is not None
    assert not world.counts.looks, "it is remembered"


def test_a_room_that_is_full_is_looked_at_again_and_nothing_is_taken() -> None:
    world, who = World([rule("mine", Unit.CONCURRENT, subject=Subject.USER), rule("day", amount=9)]), caller()
    admission = world.admit(who)
    world.now += 3.0
    first = world.refusal(who)
    again = [world.check_again(who) for _ in range(3)]
    assert [refusal and refusal.retry_after for refusal in (first, *again)] == [3.0, 6.0, 9.0, 12.0]
    assert again[0] is not None
    assert (again[0].policies, type(again[0])) == (first.policies, type(first))
    assert again[0].detail.endswith("1 are in progress, one is expected to end in 6 s.")
    assert world.used() == {("mine", "u1"): 1.0, ("day", ""): 1.0}
    assert world.limits.decisions["mine", "user", "refused"] == 4
    world.close(admission)
    assert world.check_again(who) is None
    assert world.admits(who)


def test_what_is_looked_at_again_is_told_in_the_same_error_while_its_words_are_the_same() -> None:
    world, who = World([rule("mine", Unit.CONCURRENT, subject=Subject.USER)]), caller()
    world.admit(who)
    world.now += 0.2
    first = world.refusal(who)
    second, third = world.check_again(who), world.check_again(who)
    assert second is third
    assert isinstance(third, AtCapacity)
    assert third.prepared is not None
    assert third.__traceback__ is None
    assert [first.retry_after, third.retry_after] == pytest.approx([0.2, 0.6])
    assert "in 1 s" in third.detail


def test_a_look_is_worth_its_while_for_a_moment_after_a_refusal_on_any_connection() -> None:
    world, who = World([rule("mine", Unit.CONCURRENT, subject=Subject.USER)]), caller()
    admission = world.admit(who)
    world.refusal(who)
    other = caller()
    for _ in range(3):
        world.now += told.BELIEVED * 0.9
        assert isinstance(world.check_again(other), AtCapacity), "refused again, it is a moment more"
    assert world.check_again(caller(BOB)) is None
    assert len(world.counts.looks) == 3
    world.now += told.BELIEVED
    assert world.check_again(who) is None
    assert len(world.counts.looks) == 3, "nobody was refused lately"
    world.refusal(who)
    world.close(admission)
    world.admit(who)
    assert isinstance(world.check_again(other), AtCapacity), "one that was admitted in between changes nothing"


def test_what_is_not_certain_is_not_told_again() -> None:
    with pytest.raises(RuntimeError, match="not certain"):
        told.Told(0, 1.0).again(0.0)


def test_what_is_looked_at_on_a_new_connection_is_not_the_whole_of_a_weighed_call() -> None:
    world, who = World([rule("calls", subject=Subject.USER), rule("t", Unit.TOTAL_TOKENS, 100)]), caller()
    world.admit(who, SMALL)
    world.refusal(who, SMALL)
    world.limits._refusals[world.limits._who(who)].until = 0.0
    assert isinstance(world.check_again(caller()), RateLimited)
    assert world.check(caller()) is None


def test_what_is_looked_at_of_a_call_that_passes_through_is_the_whole_of_it() -> None:
    world, who = World([rule("calls", subject=Subject.USER), rule("t", Unit.TOTAL_TOKENS, 100)]), caller()
    who.passes_through = True
    world.admit(who)
    world.refusal(who)
    world.limits._refusals[world.limits._who(who)].until = 0.0
    assert isinstance(world.check_again(who), RateLimited)
    assert isinstance(world.check(who), RateLimited)


def test_a_connection_from_before_a_change_is_looked_at_by_the_rules_of_now() -> None:
    world, before, since = World([rule("all", amount=9)]), caller(), caller()
    world.admit(before)
    world.limits.replace([rule("mine", Unit.CONCURRENT, subject=Subject.USER)])
    world.admit(since)
    world.refusal(since)
    assert isinstance(world.check_again(before), AtCapacity)


def test_a_room_is_told_of_by_the_name_of_who_is_in_it() -> None:
    for subject, name in ((Subject.USER, "user ada"), (Subject.TOKEN, "token tokenA"), (Subject.EVERYONE, "together")):
        world, who = World([rule("room", Unit.CONCURRENT, subject=subject)]), caller()
        world.admit(who)
        world.refusal(who)
        again = world.check_again(who)
        assert again is not None
        assert name in again.detail


def test_without_a_size_only_the_rules_that_need_none_are_looked_at() -> None:
    rules = [
        rule("m", Unit.CONCURRENT, model="m"),
        rule("t", Unit.TOTAL_TOKENS, 100),
        rule("all", Unit.CONCURRENT, 2),
        rule("calls", amount=9),
    ]
    world, who = World(rules), caller()
    for _ in range(2):
        world.admit(caller(), Size(model="o", body_bytes=0, max_output_tokens=50))
    refusal = world.refusal(who, LARGE)
    assert "Limit t" in refusal.detail
    least = world.check_again(who)
    assert least is not None
    assert [policy.name for policy in least.policies] == ["all", "calls"]
    assert [policy.name for policy in refusal.policies] == ["t", "m", "all", "calls"]


def test_a_spent_budget_is_none_that_is_told_without_the_body() -> None:
    world, who = World([rule("day", Unit.TOTAL_TOKENS, 100, 86400.0), rule("calls", amount=9)]), caller()
    world.close(world.admit(who, SIZE), Usage(output_tokens=100))
    assert isinstance(world.refusal(who, LARGE), BudgetSpent)
    assert world.check_again(who) is None
    assert isinstance(world.check_again(who, LARGE), BudgetSpent)


def test_what_is_told_without_the_body_is_not_remembered() -> None:
    world, who = World([rule("calls", subject=Subject.USER), rule("m", model="m", amount=2)]), caller()
    world.admit(who, SIZE)
    world.refusal(who, SIZE)
    for looks in (1, 2):
        assert isinstance(world.check_again(who), RateLimited)
        assert len(world.counts.looks) == looks
    assert world.check(who) is None


def test_a_model_without_a_name_is_told_apart_from_whatever_is_asked_for() -> None:
    world, who, nameless = (
        World([rule("t", Unit.TOTAL_TOKENS, 99)]),
        caller(),
        Size(model="", body_bytes=0, max_output_tokens=60),
    )
    world.admit(who, nameless)
    world.refusal(who, nameless)
    assert world.check(who) is None
    assert world.check_again(who, nameless) is not None


def test_a_size_is_wanted_where_it_may_make_a_difference() -> None:
    mine, tokens = rule("mine", Unit.CONCURRENT, subject=Subject.USER), rule("t", Unit.TOTAL_TOKENS, 100)

    def wanted(rules: list[Rule], *, passes_through: bool = False) -> bool:
        world, who = World(rules), caller(passes_through=passes_through)
        size = None if passes_through or tokens not in rules else SIZE
        world.admit(who, size)
        world.refusal(who, size)
        world.check(who)
        return world.limits.wants_size(who)

    assert wanted([tokens])
    assert not wanted([rule("calls")]), "no rule weighs"
    assert not wanted([rule("calls"), tokens], passes_through=True)
    assert not wanted([mine, tokens]), "no room for the smallest either"
    assert wanted([rule("room", Unit.CONCURRENT, model="m"), tokens]), "there may be room for another model"


def test_a_size_is_wanted_again_when_something_else_says_no() -> None:
    world, who = World([rule("t", Unit.TOTAL_TOKENS, 99), rule("mine", Unit.CONCURRENT)]), caller()
    admission = world.admit(who, LARGE)
    wanted = []
    for size in (LARGE, SMALL):
        world.refusal(who, size)
        assert world.check_again(who, size) is not None
        wanted.append(world.limits.wants_size(who))
    world.close(admission, Usage(output_tokens=60))
    for _ in range(2):
        assert isinstance(world.check_again(who, LARGE), RateLimited)
        wanted.append(world.limits.wants_size(who))
    world.admit(who, SMALL)
    for _ in range(2):
        assert isinstance(world.check_again(who, SMALL), AtCapacity)
        wanted.append(world.limits.wants_size(who))
    assert wanted == [True, False, False, True, True, False]


def test_by_other_rules_nothing_is_known_of_who_was_refused() -> None:
    world, who = World([MINE]), caller()
    world.admit(who)
    world.refusal(who)
    world.limits.replace([rule("mine", amount=1, subject=Subject.USER, window=20.0)])
    assert world.check_again(who) is None


def test_who_may_wait_is_not_refused_at_the_door() -> None:
    queue = rule("queue", Unit.CONCURRENT, 1, queue_timeout=1.0, queue_size=1)
    world, who = World([queue, rule("mine", Unit.CONCURRENT, subject=Subject.USER)]), caller()
    admission = world.admit(who)
    world.refusal(who)
    assert isinstance(world.check_again(who), AtCapacity), "a room without a queue is full as well"
    world.limits.replace([queue])
    assert world.check_again(who) is None
    world.close(admission)


def test_what_is_given_back_makes_it_forgotten() -> None:
    world = World([MINE])
    admission = world.admit()
    world.refusal()
    world.close(admission, counted=False)
    assert world.check() is None
    assert world.admits()


def test_what_others_give_back_does_not() -> None:
    world = World([MINE])
    other = world.admit(caller(BOB))
    world.admit()
    world.refusal()
    world.close(other, counted=False)
    assert world.check() is not None


def test_a_call_that_ends_as_expected_gives_nothing_back() -> None:
    world = World([MINE, rule("held", Unit.CONCURRENT, 9)])
    admission = world.admit()
    world.refusal()
    world.close(admission, Usage())
    assert world.check() is not None


@pytest.mark.parametrize(
    "other",
    [
        rule("queue", Unit.CONCURRENT, 9, queue_timeout=1.0, queue_size=9),
        rule("slots", Unit.CONCURRENT, 1),
    ],
    ids=["a queue", "no place left"],
)
def test_a_wait_that_is_not_certain_is_not_remembered(other: Rule) -> None:
    world = World([MINE, other])
    world.admit(caller(), SIZE)
    world.refusal(caller(), SIZE)
    world.now += 1.0
    world.admits(caller(), SIZE)
    assert len(world.counts.asked) == 3
    assert all(told.uncertain for told in world.limits._refusals.values())


def test_all_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "MOST", 2)
    world = World([MINE])
    names = ("a", "b", "c")
    for name in names:
        who = caller(Actor(id=name, username=name, token_id=name))
        world.admit(who)
        world.refusal(who)
    known = [world.check(caller(Actor(id=name, username=name, token_id=name))) is not None for name in names]
    assert known == [False, False, True]


RULES = st.lists(
    st.sampled_from(
        [
            rule("calls", amount=2, window=1.0, subject=Subject.USER),
            rule("burst", amount=2, window=2.0, burst=3, subject=Subject.ORGANIZATION),
            rule("t", Unit.TOTAL_TOKENS, 100, 3.0, subject=Subject.TOKEN),
            rule("o", Unit.OUTPUT_TOKENS, 90, 5.0, burst=150),
            rule("slots", Unit.CONCURRENT, 2),
            rule("mine", Unit.CONCURRENT, 1, subject=Subject.USER),
            rule("m", amount=1, window=4.0, model="m"),
            rule("room", Unit.CONCURRENT, 1, model="m"),
            rule("day", Unit.TOTAL_TOKENS, 300, 86400.0, subject=Subject.USER),
            rule("dark", Unit.CONCURRENT, 1, mode=Mode.SHADOW),
        ]
    ),
    unique_by=lambda limit: limit.name,
    min_size=1,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([ADA, BOB]),
        st.sampled_from(["admit", "admit", "admit", "close", "give back"]),
        st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        st.sampled_from([SIZE, SMALL, Size(model="o", body_bytes=400, max_output_tokens=0)]),
        st.integers(0, 400),
    ),
    max_size=40,
)


def decided(world: World, who: Caller, size: Size, *, least: bool = False) -> Refusal | None:
    """What the counts say to a call, or to the `least` of it, which is what needs no body; nothing is taken."""
    asks = []
    for place, limit in enumerate(world.rules):
        line = world.limits._lines[place]
        key = line.key(who)
        if key is not None and limit.model in ("*", size.model) and not (least and limit.needs_body):
            asks.append(Ask(place, key, 1.0 if line.measure is None else line.measure.of_expected(size)))
    answer: Held | Refusal = world.counts.try_take(tuple(asks), world.now)
    if isinstance(answer, Refusal):
        return answer
    world.counts.settle(answer, (0.0,) * len(answer.asks), Outcome.IGNORED)
    return None


def agree(told: Refused, expected: Refusal, rules: list[Rule]) -> None:
    """What is told at the door is what the decision says; what is remembered may be short of a debt made since."""
    assert told.rejection is not None
    if rules[expected.rule].held or isinstance(told, AtCapacity):
        assert told.rejection.limit == rules[expected.rule].name
    else:
        assert told.rejection.retry_after <= expected.retry_after + 1e-6
        assert isinstance(told, BudgetSpent) == (told.rejection.retry_after > PATIENCE)


@settings(max_examples=300, deadline=None)
@given(rules=RULES, steps=STEPS)
def test_who_is_refused_at_the_door_would_be_refused_anyway(
    rules: list[Rule], steps: list[tuple[Actor, str, float, Size, int]]
) -> None:
    world = World(rules)
    callers = {actor.id: caller(actor) for actor in (ADA, BOB)}
    admissions = list[Admission]()
    for actor, step, pause, size, used in steps:
        world.now += pause
        who = callers[actor.id]
        if step != "admit":
            if admissions:
                world.close(admissions.pop(), Usage(output_tokens=used), counted=step == "close")
            continue
        refusal = world.check(who)
        if refusal is not None:
            for model in ("m", "another"):
                assert decided(world, who, Size(model=model, body_bytes=0, max_output_tokens=1)) is not None
        elif who.told is not None:
            whole = world.limits.wants_size(who) or not any(limit.needs_body for limit in rules)
            refusal = world.check_again(who, size if whole and world.limits.needs_body else None)
            expected = decided(world, who, size, least=not whole)
            assert (refusal is None) == (expected is None)
            if refusal is not None and expected is not None:
                agree(refusal, expected, rules)
        if refusal is None:
            with suppress(Refused):
                admissions.append(world.admit(who, size))
