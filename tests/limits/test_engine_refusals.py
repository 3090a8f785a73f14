"""What a caller is told, and how decisions are counted."""

import asyncio

import pytest
import uvloop
from engine_world import ADA, BOB, SIZE, World, caller, rule

from aibridge.domain.errors import AtCapacity, BudgetSpent, RateLimited, Refused
from aibridge.domain.price import Price
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.domain.usage import Usage
from aibridge.limits.engine import WAIT_BOUNDS, Size
from aibridge.overload.outcome import Rejection
from aibridge.overload.retry import Policy

DOLLAR = 1_000_000_000
BY_ADDRESS = (
    "Limit o: address 192.0.2.1 may use 9 output tokens in 9 s; 9 are used, such a call is admitted at 00:16:49.000."
)


def refused(limit: Rule, times: int = 1) -> Refused:
    """The refusal of a limit that was used up by as many calls."""
    world = World([limit], [Price(input=0, output=DOLLAR * 10_000)])
    for _ in range(times):
        world.admit(caller(), SIZE)
    world.now += 0.5
    return world.refusal(caller(), SIZE)


def told(refusal: Refused) -> str:
    """Its detail; all instants are of the first day there is."""
    return refusal.detail.replace("1970-01-01 ", "").replace(" UTC", "")


def test_the_two_options_speak_in_the_words_of_other_gateways() -> None:
    rate = refused(Rule(name="token", unit=Unit.REQUESTS, amount=1, window=1.0, subject=Subject.TOKEN))
    assert (type(rate), rate.message) == (RateLimited, "You've been rate limited. Please try again later.")
    assert told(rate) == (
        "This token may make 1 AI requests in 1 s (--aibridge-rate-limit); the next one is admitted at 00:16:41.000."
    )
    capacity = refused(Rule(name="concurrency", unit=Unit.CONCURRENT, amount=1))
    assert (type(capacity), capacity.message) == (
        AtCapacity,
        "AI Bridge is currently at capacity. Please try again later.",
    )
    assert capacity.detail == "1 AI requests are in progress, as many as --aibridge-max-concurrency allows."


def test_what_a_full_rule_says_is_written_once_for_as_long_as_it_is_in_the_same_words() -> None:
    world = World([rule("mine", Unit.CONCURRENT, subject=Subject.USER)])
    for who in (ADA, BOB):
        world.admit(caller(who))
    adas, again, bobs = (world.refusal(caller(who)) for who in (ADA, ADA, BOB))
    assert adas.prepared is again.prepared is not None
    assert adas.detail == again.detail != bobs.detail
    assert bobs.prepared is not adas.prepared


@pytest.mark.parametrize(
    ("limit", "times", "detail"),
    [
        (
            rule("calls", amount=2, subject=Subject.USER),
            2,
            "Limit calls: user ada may use 2 requests in 10 s; 2 are used, the next one is admitted at 00:16:50.000.",
        ),
        (
            rule("t", Unit.TOTAL_TOKENS, 120, 60.0),
            1,
            "Limit t: all together may use 120 tokens in 1 min; 99 are used, such a call is admitted at 00:17:20.000.",
        ),
        (
            rule("i", Unit.INPUT_TOKENS, 10, 90.0, subject=Subject.TOKEN),
            1,
            (
                "Limit i: token tokenA may use 10 input tokens in 90 s; 10 are used, such a call is "
                "admitted at 00:18:10.000."
            ),
        ),
        (
            rule("o", Unit.OUTPUT_TOKENS, 9, 9.0, subject=Subject.ADDRESS),
            1,
            BY_ADDRESS,
        ),
        (
            rule("day", Unit.COST, DOLLAR, 86400.0, subject=Subject.ORGANIZATION),
            1,
            (
                "Limit day: organization research may use $1.00 in 1 d; $0.90 are used, such a call is "
                "admitted at 19:28:40.000."
            ),
        ),
        (
            rule("hour", amount=1, window=3600.0),
            1,
            "Limit hour: all together may use 1 requests in 1 h; 1 are used, the next one is admitted at 01:16:40.000.",
        ),
        (
            rule("slots", Unit.CONCURRENT, 2, subject=Subject.USER),
            2,
            "Limit slots: user ada may use 2 requests at one time; 2 are in progress, one is expected to end in 1 s.",
        ),
    ],
)
def test_a_refusal_says_which_limit_whose_how_much_and_when(limit: Rule, times: int, detail: str) -> None:
    assert told(refused(limit, times)) == detail


def test_what_is_not_worth_waiting_for_is_a_spent_budget() -> None:
    spent = refused(rule("day", amount=1, window=86400.0))
    assert isinstance(spent, BudgetSpent)
    assert spent.message == "The limit day is used up; there is more at 1970-01-02 00:16:40.000 UTC."
    assert spent.retry_after is None
    assert spent.rejection == Rejection("day", 1, 86400.0, 86399.5)
    assert isinstance(refused(rule("two-minutes", amount=1, window=120.0)), RateLimited)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (
            rule("t", Unit.TOTAL_TOKENS, 120, 86400.0),
            "Less of the limit t is left than this call reserves; there is enough at 1970-01-01 16:16:40.000 UTC.",
        ),
        (
            rule("t", Unit.TOTAL_TOKENS, 120, 86400.0, burst=110),
            "Less of the limit t is left than this call reserves; there is enough at 1970-01-01 18:16:40.000 UTC.",
        ),
        (
            rule("t", Unit.TOTAL_TOKENS, 120, 86400.0, burst=100),
            "The limit t is used up; there is more at 1970-01-01 20:16:40.000 UTC.",
        ),
    ],
)
def test_a_budget_of_which_something_is_left_is_not_called_used_up(limit: Rule, message: str) -> None:
    spent = refused(limit)
    assert isinstance(spent, BudgetSpent)
    assert spent.message == message


def test_all_limits_of_the_call_are_listed_the_one_that_refused_first() -> None:
    prices = [Price(input=DOLLAR, output=DOLLAR)]
    world = World(
        [
            rule("slots", Unit.CONCURRENT, 5),
            rule("shadow", mode=Mode.SHADOW),
            rule("mine", amount=1, subject=Subject.USER),
            rule("cost", Unit.COST, 1_234_567, 60.0),
        ],
        prices,
    )
    world.admit(caller(), SIZE)
    assert world.refusal(caller(), SIZE).policies == (
        Policy("mine", 1, 10.0),
        Policy("slots", 5, 0.0, "concurrent-requests"),
        Policy("cost", 1235, 60.0, "micro-dollars"),
    )


def test_the_refusal_of_another_caller_names_that_one() -> None:
    world = World([rule("mine", subject=Subject.USER)])
    world.admit(caller(BOB))
    world.admit(caller(ADA))
    assert "user bob" in world.refusal(caller(BOB)).detail


def test_a_full_house_is_known_before_the_caller_is() -> None:
    world = World([rule("a"), rule("house", Unit.CONCURRENT, 1)])
    assert world.limits.check_capacity() is None
    admission = world.admit()
    refusal = world.limits.check_capacity()
    assert isinstance(refusal, AtCapacity)
    assert refusal.policies == (Policy("house", 1, 0.0, "concurrent-requests"),)
    world.close(admission)
    assert world.limits.check_capacity() is None
    assert len(world.counts.asked) == 1


def test_a_full_house_is_told_of_again_with_the_wait_of_then() -> None:
    world = World([rule("concurrency", Unit.CONCURRENT, 1)])
    world.admit()
    world.now += 2.0
    told = []
    for _ in range(2):
        refusal = world.limits.check_capacity()
        assert refusal is not None
        assert refusal.rejection is not None
        told.append((refusal, refusal.retry_after, refusal.rejection.retry_after))
    assert told == [(refusal, 2.0, 2.0), (refusal, 4.0, 4.0)]
    assert world.limits.decisions["concurrency", "everyone", "refused"] == 2


def test_a_full_house_is_told_of_in_the_words_of_the_rule_that_is_in_force() -> None:
    world = World([rule("house", Unit.CONCURRENT, 1)])
    details = []
    for amount in (1, 2):
        world.limits.replace([rule("house", Unit.CONCURRENT, amount)])
        world.admit()
        refusal = world.limits.check_capacity()
        assert refusal is not None
        assert refusal.policies == (Policy("house", amount, 0.0, "concurrent-requests"),)
        details.append(refusal.detail)
    assert ["may use 1 requests" in details[0], "may use 2 requests" in details[1]] == [True, True]


def test_a_provider_that_is_full_is_known_when_it_is_known_who_is_called() -> None:
    world = World([rule("house", Unit.CONCURRENT, 1, provider="anthropic")])
    world.admit(caller(provider="anthropic"))
    assert world.limits.check_capacity() is None
    assert isinstance(world.check(caller(provider="anthropic")), AtCapacity)
    assert world.check(caller(provider="openai")) is None


@pytest.mark.parametrize(
    "house",
    [
        rule("house", Unit.CONCURRENT, 1, mode=Mode.SHADOW),
        rule("house", Unit.CONCURRENT, 1, model="gpt-*"),
        rule("house", Unit.CONCURRENT, 1, subject=Subject.USER),
    ],
    ids=["shadow", "model", "user"],
)
def test_what_may_not_concern_the_call_is_no_full_house(house: Rule) -> None:
    world = World([house])
    world.admit(caller(), Size(model="gpt-5", body_bytes=1))
    assert world.limits.check_capacity() is None
    assert world.check() is None


def test_decisions_are_counted_by_rule_kind_of_subject_and_outcome() -> None:
    world = World([rule("first", amount=9), rule("second", subject=Subject.USER)])
    for _ in range(3):
        world.admits()
    assert world.limits.decisions == {
        ("first", "everyone", "admitted"): 1,
        ("first", "everyone", "refused"): 0,
        ("first", "everyone", "shadow_refused"): 0,
        ("first", "everyone", "queued"): 0,
        ("second", "user", "admitted"): 1,
        ("second", "user", "refused"): 2,
        ("second", "user", "shadow_refused"): 0,
        ("second", "user", "queued"): 0,
    }


def test_a_shadow_rule_refuses_nothing_and_counts_what_it_would_have_refused() -> None:
    world = World([rule("shadow", amount=2, mode=Mode.SHADOW)])
    assert all(world.admits() for _ in range(5))
    assert world.decided("shadow") == {"admitted": 2, "shadow_refused": 3}
    assert world.used() == {("shadow", ""): 2}


def test_refusals_at_the_door_are_counted_too() -> None:
    world = World([rule("a"), rule("house", Unit.CONCURRENT, 1)])
    world.admit()
    world.limits.check_capacity()
    world.limits.check_capacity()
    assert world.decided("house") == {"admitted": 1, "refused": 2}


def test_waits_in_a_queue_are_counted_whatever_came_of_them() -> None:
    world = World([rule("a", amount=9), rule("slots", Unit.CONCURRENT, 1, queue_timeout=0.05, queue_size=5)])

    async def wait() -> None:
        first = await world.limits.admit(caller(ADA))
        second = asyncio.ensure_future(world.limits.admit(caller(BOB)))
        await asyncio.sleep(0)
        world.now += 0.03
        world.close(first)
        await second
        with pytest.raises(AtCapacity) as caught:
            await asyncio.gather(world.limits.admit(caller(ADA)), pass_time(world, 0.07))
        assert caught.value.detail.endswith("This one waited 0.1 s for its turn.")

    uvloop.run(wait())
    assert world.decided("slots") == {"admitted": 2, "refused": 1, "queued": 2}
    ((name, counts, seconds),) = world.limits.waits
    assert (name, sum(counts)) == ("slots", 2)
    assert seconds == pytest.approx(0.1)
    assert [counts[WAIT_BOUNDS.index(bound)] for bound in (0.05, 0.1)] == [1, 1]


async def pass_time(world: World, seconds: float) -> None:
    await asyncio.sleep(0)
    world.now += seconds


def test_a_debt_that_outlives_the_calendar_is_told_until_its_end() -> None:
    world = World([rule("ban", Unit.TOTAL_TOKENS, 1, 366 * 86400.0)])
    world.close(world.admit(caller(), SIZE), Usage(output_tokens=1_000_000))
    error = world.refusal(caller(), SIZE)
    assert isinstance(error, BudgetSpent)
    assert "9999-12-31 23:59:59" in error.message


def test_a_call_that_leaves_the_queue_holds_nothing() -> None:
    world = World([rule("slots", Unit.CONCURRENT, 1, queue_timeout=5.0, queue_size=5)])

    async def leave() -> None:
        first = await world.limits.admit(caller(ADA))
        second = asyncio.ensure_future(world.limits.admit(caller(BOB)))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        world.close(first, Usage())

    uvloop.run(leave())
    assert world.used() == {}
