"""A replica's share: all of them together are what the rule allows, and they know what was admitted before."""

import uvloop
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Ask, Held, Refusal
from aibridge.limits.fallback import Share, share
from aibridge.limits.redis_holds import UNKNOWN, Holds
from aibridge.overload.outcome import Outcome

CALLS = Rule(name="calls", unit=Unit.REQUESTS, amount=10, window=1.0)
HELD = Rule(name="held", unit=Unit.CONCURRENT, amount=4)
TOKENS = Rule(name="tokens", unit=Unit.COST, amount=1000, window=10.0, burst=100)


@given(st.integers(1, 10**6), st.integers(1, 10**4) | st.none(), st.integers(1, 50))
def test_all_shares_are_no_more_than_the_rule(amount: int, burst: int | None, replicas: int) -> None:
    part = share(Rule(name="r", unit=Unit.REQUESTS, amount=amount, window=1.0, burst=burst), replicas)
    assert part.amount * replicas <= max(amount, replicas)
    assert part.amount >= 1
    assert (part.burst is None) == (burst is None)
    if burst is not None and part.burst is not None:
        assert 1 <= part.burst <= max(1, burst // replicas)


def test_what_was_admitted_before_counts_in_the_share() -> None:
    async def scenario() -> None:
        now = [0.0]
        alone = Share([CALLS], lambda: now[0], 2)
        for _ in range(4):
            alone.keep((Ask(0, ""),))
        assert not isinstance(await alone.take((Ask(0, ""),), None), Refusal)
        assert isinstance(await alone.take((Ask(0, ""),), None), Refusal)
        now[0] = 1.0
        assert not isinstance(await alone.take((Ask(0, ""),), None), Refusal)

    uvloop.run(scenario())


def test_what_has_no_room_in_the_share_does_not_keep_the_rest_from_counting() -> None:
    async def scenario() -> None:
        alone = Share([HELD, CALLS], lambda: 0.0, 4)
        kept = [alone.keep((Ask(0, ""), Ask(1, ""))) for _ in range(2)]
        assert [len(one) for one in kept] == [1, 1]
        assert await used(alone) == {0: 1.0, 1: 2.0}
        for one in kept:
            alone.settle(one, {0: 1.0, 1: 1.0}, Outcome.SUCCESS)
        assert await used(alone) == {1: 2.0}

    uvloop.run(scenario())


def test_another_number_of_replicas_is_another_share_and_what_is_held_is_settled_where_it_was() -> None:
    async def scenario() -> None:
        alone = Share([HELD, TOKENS], lambda: 0.0, 1)
        taken = await alone.take((Ask(0, ""), Ask(1, "", 10.0)), None)
        assert isinstance(taken, tuple)
        alone.resize(4)
        assert await used(alone) == {}
        assert isinstance(await alone.take((Ask(0, ""),), None), tuple)
        assert alone.full(0, "") is not None
        alone.settle(taken[1], {0: 1.0, 1: 20.0}, Outcome.SUCCESS)
        assert await used(alone) == {0: 1.0}

    uvloop.run(scenario())


async def used(alone: Share) -> dict[int, float]:
    return {present.rule: present.used for present in await alone.present(10)}


def test_those_refused_are_promised_one_instant_after_another() -> None:
    holds = Holds([HELD])
    assert [holds.wait(0, "", 1, 0.0) for _ in range(2)] == [UNKNOWN / 4, UNKNOWN / 2]
    holds.ended(0, 8.0, Outcome.IGNORED)
    holds.ended(0, 8.0, Outcome.SUCCESS)
    assert holds.wait(0, "other", 1, 0.0) == 2.0
    holds.ended(0, 24.0, Outcome.FAILURE)
    assert holds.wait(0, "", 2, 1.0) == 4.5
    assert max(holds.wait(0, "", 2, 1.0) for _ in range(100)) == 60.0


def test_how_long_a_rule_is_held_is_learnt_while_there_is_one() -> None:
    holds = Holds([HELD])
    holds.ended(0, 8.0, Outcome.SUCCESS)
    holds.replace({})
    holds.ended(0, 8.0, Outcome.SUCCESS)
    holds.replace({0: HELD})
    assert holds.wait(0, "", 1, 0.0) == UNKNOWN / 4


def test_a_share_decides_as_one_process_does() -> None:
    async def scenario() -> None:
        alone = Share([TOKENS], lambda: 0.0, 1)
        taken = await alone.take((Ask(0, "", 500.0),), None)
        assert isinstance(taken, tuple)
        held, _ = taken
        assert isinstance(held, Held)
        assert held.asks == (Ask(0, "", 100.0),)

    uvloop.run(scenario())
