"""Which rules a call falls under, under whose name it is counted, and what it costs in the end."""

import pytest
from engine_world import ADA, BOB, SIZE, World, caller, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge.domain.actor import Actor
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.price import Price
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.domain.usage import Usage
from aibridge.limits.counts import Ask, Place
from aibridge.limits.engine import Size

TRUTH = Usage(input_tokens=7, output_tokens=20, cache_read_input_tokens=2, cache_write_input_tokens=1)


def asked(world: World) -> list[tuple[str, str]]:
    """By name and key, what was asked last."""
    return [(world.rules[ask.rule].name, ask.key) for ask in world.counts.asked[-1]]


def test_each_kind_of_subject_is_counted_under_its_own_key() -> None:
    world = World([rule(subject.value, amount=9, subject=subject) for subject in Subject])
    world.admit(caller(ADA, "2001:db8:0:7:1234::1"))
    assert asked(world) == [
        ("everyone", ""),
        ("organization", "research"),
        ("user", "u1"),
        ("token", "tokenA"),
        ("address", "2001:db8:0:7::/64"),
    ]


def test_who_is_nobody_is_counted_as_everyone_and_by_address() -> None:
    world = World([rule(subject.value, amount=9, subject=subject) for subject in Subject])
    world.admit(caller(None))
    assert asked(world) == [("everyone", ""), ("address", "192.0.2.1")]


def test_a_rule_counts_its_subjects_apart() -> None:
    world = World([rule("mine", subject=Subject.USER)])
    assert [world.admits(caller(actor)) for actor in (ADA, BOB, ADA, BOB)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("subject", "only", "matches"),
    [
        (Subject.USER, "ad?", True),
        (Subject.USER, "u1", False),
        (Subject.ORGANIZATION, "res*", True),
        (Subject.ORGANIZATION, "sales", False),
        (Subject.TOKEN, "tokenA", True),
        (Subject.TOKEN, "tokenB", False),
        (Subject.ADDRESS, "192.0.2.0/24", True),
        (Subject.ADDRESS, "10.0.0.0/8", False),
    ],
)
def test_a_rule_for_some_concerns_no_others(subject: Subject, only: str, matches: bool) -> None:
    world = World([rule("some", subject=subject, only=("nobody" if subject is not Subject.ADDRESS else "::/0", only))])
    held = world.admit().held
    assert (held is not None) is matches


def test_a_rule_for_some_providers_or_models_concerns_no_others() -> None:
    world = World([rule("a", amount=9, provider="open*"), rule("m", amount=9, model="gpt-*")])
    gpt, other = Size(model="gpt-5", body_bytes=1), Size(model="o3", body_bytes=1)
    world.admit(caller(), gpt)
    assert asked(world) == [("a", ""), ("m", "")]
    world.admit(caller(), other)
    assert asked(world) == [("a", "")]
    world.admit(caller(provider="anthropic"), gpt)
    assert asked(world) == [("m", "")]


def test_a_call_that_no_rule_concerns_asks_nobody_and_can_be_closed() -> None:
    world = World([rule("a", provider="anthropic")])
    admission = world.admit()
    world.close(admission, TRUTH)
    assert admission.held is None
    assert world.counts.asked == []


@pytest.mark.parametrize(
    ("rules", "needs"),
    [
        ([], False),
        ([rule("a"), rule("b", Unit.CONCURRENT)], False),
        ([rule("a"), rule("b", model="gpt-*")], True),
        ([rule("a", Unit.TOTAL_TOKENS)], True),
    ],
)
def test_the_body_is_needed_where_a_rule_weighs_or_looks_at_the_model(rules: list[Rule], needs: bool) -> None:
    assert World(rules).limits.needs_body is needs


def test_without_a_size_only_rules_that_need_none_are_asked() -> None:
    world = World([rule("a", amount=9), rule("t", Unit.TOTAL_TOKENS, 1000), rule("m", amount=9, model="gpt-*")])
    world.admit()
    assert asked(world) == [("a", "")]


def test_what_is_weighed_is_taken_by_the_estimate() -> None:
    prices = [Price(input=1_000_000, output=10_000_000)]
    world = World(
        [rule("a"), *(rule(unit.value, unit, 10_000) for unit in Unit if unit.value.endswith(("s", "t")))], prices
    )
    world.admit(caller(), SIZE)
    assert {world.rules[ask.rule].unit: ask.cost for ask in world.counts.asked[-1]} == {
        Unit.REQUESTS: 1.0,
        Unit.INPUT_TOKENS: 10.0,
        Unit.OUTPUT_TOKENS: 90.0,
        Unit.TOTAL_TOKENS: 100.0,
        Unit.COST: 910.0,
        Unit.CONCURRENT: 1.0,
    }


WEIGHED = [
    rule("in", Unit.INPUT_TOKENS, 1000),
    rule("out", Unit.OUTPUT_TOKENS, 1000),
    rule("all", Unit.TOTAL_TOKENS, 1000),
    rule("cost", Unit.COST, 1_000_000),
    rule("calls", amount=5),
    rule("held", Unit.CONCURRENT, 5),
]
PRICES = [Price(input=1_000_000, output=10_000_000)]


def test_what_was_weighed_is_settled_to_what_was_used() -> None:
    world = World(WEIGHED, PRICES)
    world.close(world.admit(caller(), SIZE), TRUTH)
    assert world.used() == {("in", ""): 10, ("out", ""): 20, ("all", ""): 30, ("cost", ""): 210, ("calls", ""): 1}


def test_a_usage_that_is_not_known_leaves_the_estimate() -> None:
    world = World(WEIGHED, PRICES)
    world.close(world.admit(caller(), SIZE), None)
    assert world.used() == {("in", ""): 10, ("out", ""): 90, ("all", ""): 100, ("cost", ""): 910, ("calls", ""): 1}


def test_a_call_that_reached_no_provider_counts_for_nothing() -> None:
    world = World(WEIGHED, PRICES)
    world.close(world.admit(caller(), SIZE), TRUTH, counted=False)
    assert world.used() == {}


def test_more_than_was_expected_is_a_debt() -> None:
    world = World([rule("all", Unit.TOTAL_TOKENS, 100)])
    world.close(world.admit(caller(), SIZE), Usage(output_tokens=450))
    assert world.used() == {("all", ""): 450}
    world.now += 34.9
    assert not world.admits(caller(), Size(model="m", body_bytes=0, max_output_tokens=1))
    world.now += 0.3
    assert world.admits(caller(), Size(model="m", body_bytes=0, max_output_tokens=1))


def test_an_estimate_above_the_limit_is_admitted_alone_and_settled_in_full() -> None:
    world = World([rule("all", Unit.TOTAL_TOKENS, 50)])
    admission = world.admit(caller(), SIZE)
    assert world.used() == {("all", ""): 50}
    assert not world.admits(caller(), SIZE)
    world.close(admission, Usage(output_tokens=30))
    assert world.used() == {("all", ""): 30}


@settings(max_examples=40)
@given(
    calls=st.lists(
        st.tuples(st.integers(0, 9999), st.integers(0, 999), st.integers(0, 999), st.booleans()), max_size=25
    ),
    mode=st.sampled_from(Mode),
)
def test_the_counter_equals_the_ledger(calls: list[tuple[int, int, int, bool]], mode: Mode) -> None:
    # The windows are so long that nothing comes back while the test runs.
    world = World(
        [rule("all", Unit.TOTAL_TOKENS, 10**9, 10**9, mode=mode), rule("cost", Unit.COST, 10**12, 10**9)], PRICES
    )
    tokens = cost = 0
    for body_bytes, inputs, outputs, counted in calls:
        admission = world.admit(caller(), Size(model="m", body_bytes=body_bytes, max_output_tokens=50))
        usage = Usage(input_tokens=inputs, output_tokens=outputs)
        world.close(admission, usage, counted=counted)
        tokens += counted * (inputs + outputs)
        cost += counted * PRICES[0].of(usage)
    used = world.used()
    assert used.get(("all", ""), 0) == pytest.approx(tokens, abs=1e-6)
    assert used.get(("cost", ""), 0) == pytest.approx(cost, abs=1e-6)


def test_all_rules_of_a_call_are_asked_at_once() -> None:
    world = World([rule("a", amount=9), rule("b", Unit.CONCURRENT, 9), rule("c", Unit.TOTAL_TOKENS, 999)])
    world.admit(caller(), SIZE)
    assert world.counts.asked == [(Ask(0, "", 1.0), Ask(1, "", 1.0), Ask(2, "", 100.0))]


def test_a_call_has_a_place_in_line_only_where_there_is_one() -> None:
    slots = rule("slots", Unit.CONCURRENT, 9, queue_timeout=1.0, queue_size=5)
    long = Size(model="m", body_bytes=8000, max_output_tokens=3000)
    world = World([slots])
    for who, size in ((caller(batch=True), None), (caller(), SIZE), (caller(), long), (caller(None), None)):
        world.admit(who, size)
    assert world.counts.places == [
        Place("u1", "research", 1.0, batch=True),
        Place("u1", "research", 1.0),
        Place("u1", "research", 5.0),
        Place("192.0.2.1", "", 1.0),
    ]
    other = World([rule("a")])
    other.admit()
    assert other.counts.places == [None]


@pytest.mark.parametrize("subject", Subject)
def test_a_rule_of_one_organization_concerns_its_actors_alone(subject: Subject) -> None:
    world = World([rule("a", subject=subject, organization="research", amount=9), rule("b", amount=9)])
    elsewhere = Actor(id="u3", username="eve", token_id="t3", organization_id="sales")
    for actor, names in ((ADA, ["a", "b"]), (elsewhere, ["b"]), (None, ["b"])):
        world.admit(caller(actor))
        assert [name for name, _ in asked(world)] == names


def test_people_without_an_organization_of_their_own_share_one() -> None:
    world = World([rule("a", subject=Subject.ORGANIZATION)])
    world.admit(caller(Actor(id="u3", username="eve", token_id="t3")))
    assert asked(world) == [("a", str(DEFAULT_ORGANIZATION))]


def test_what_one_caller_asks_is_worked_out_once() -> None:
    world = World([rule("calls", amount=9, subject=Subject.USER), rule("t", Unit.TOTAL_TOKENS, 1000)])
    who = caller()
    for body_bytes in (40, 40, 400):
        world.admit(who, Size(model="m", body_bytes=body_bytes, max_output_tokens=0))
    assert world.counts.asked[0][0] is world.counts.asked[2][0]
    assert [asks[1].cost for asks in world.counts.asked] == [10.0, 10.0, 100.0]
    assert world.used() == {("calls", "u1"): 3.0, ("t", ""): 120.0}


def test_one_caller_may_ask_for_other_models_and_without_any() -> None:
    world = World([rule("all", amount=9), rule("m", amount=9, model="m"), rule("t", Unit.TOTAL_TOKENS, 1000)])
    who = caller()
    for size in (SIZE, None, Size(model="n", body_bytes=40, max_output_tokens=0), SIZE):
        world.admit(who, size)
    assert world.used() == {("all", ""): 4.0, ("m", ""): 2.0, ("t", ""): 210.0}


def test_one_caller_is_admitted_by_the_rules_in_force() -> None:
    world = World([rule("a", amount=9)])
    who = caller()
    world.admit(who)
    world.rules = (rule("a", amount=9), rule("b", amount=1))
    world.limits.replace(world.rules)
    world.admit(who)
    assert world.limits.decisions["b", "everyone", "admitted"] == 1
    world.refusal(who)
