"""`Memory` where calls wait: nobody overtakes, nobody is lost, and a permit never is."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from virtual_time import run, turns

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits import queues
from aibridge.limits.counts import Ask, Held, Place, Refusal
from aibridge.limits.memory import Memory
from aibridge.overload.outcome import Outcome

ADA, BOB, CYD = (Place(name) for name in ("ada", "bob", "cyd"))


def slots(amount: int = 1, *, name: str = "slots", timeout: float = 5.0, size: int = 10) -> Rule:
    return Rule(name=name, unit=Unit.CONCURRENT, amount=amount, queue_timeout=timeout, queue_size=size)


class World:
    """A `Memory` on the loop's virtual clock, and calls that are tasks."""

    def __init__(self, *rules: Rule, most_keys: int = 100_000) -> None:
        self.loop = asyncio.get_running_loop()
        self.memory = Memory(rules, self.loop.time, most_keys=most_keys)
        self.rules = rules

    def asks(self, key: str = "") -> tuple[Ask, ...]:
        return tuple(Ask(number, key) for number in range(len(self.rules)))

    def held(self, *asks: Ask) -> Held:
        answer = self.memory.try_take(asks or self.asks(), self.loop.time())
        assert isinstance(answer, Held)
        return answer

    async def call(self, place: Place = ADA, *asks: Ask) -> "asyncio.Task[Held | Refusal]":
        """A call that has asked, and waits or is answered."""
        task = asyncio.create_task(self.memory.take(asks or self.asks(), place))
        await turns()
        return task

    def end(self, call: "Held | asyncio.Task[Held | Refusal]") -> None:
        ended = granted(call) if isinstance(call, asyncio.Task) else call
        self.memory.settle(ended, (1.0,) * len(ended.asks), Outcome.SUCCESS)

    def in_flight(self, rule: int = 0, key: str = "") -> float:
        return self.memory._counters[rule].limiters.get(key, 0.0).used(self.loop.time())


def granted(task: "asyncio.Task[Held | Refusal]") -> Held:
    answer = task.result()
    assert isinstance(answer, Held)
    return answer


def refused(task: "asyncio.Task[Held | Refusal]") -> Refusal:
    answer = task.result()
    assert isinstance(answer, Refusal)
    return answer


def virtual(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a virtual clock."""

    def test() -> None:
        run(scenario())

    test.__name__ = scenario.__name__
    return test


@virtual
async def test_a_call_waits_until_a_permit_comes_back() -> None:
    world = World(slots())
    first = world.held()
    waiting = await world.call()
    await asyncio.sleep(3.0)
    assert not waiting.done()
    world.end(first)
    assert (world.in_flight(), world.memory.waiting) == (1, 0)  # in the same step
    await turns()
    assert granted(waiting).waited == 3.0


@virtual
async def test_nobody_overtakes_who_waits() -> None:
    world = World(slots())
    first = world.held()
    waiting = await world.call(ADA)
    world.end(first)
    newcomer = asyncio.create_task(world.memory.take(world.asks(), BOB))
    assert isinstance(world.memory.try_take(world.asks(), world.loop.time()), Refusal)
    await turns()
    granted(waiting)
    assert not newcomer.done()
    world.end(waiting)
    await turns()
    granted(newcomer)


@virtual
async def test_patience_ends_at_the_deadline() -> None:
    world = World(slots(timeout=2.0))
    world.held()
    early = await world.call(ADA)
    await asyncio.sleep(0.5)
    late = await world.call(BOB)
    await asyncio.sleep(1.49)
    assert not early.done()
    await asyncio.sleep(0.011)
    answer = refused(early)
    assert (answer.rule, answer.key, answer.used) == (0, "", 1.0)
    assert answer.waited == pytest.approx(2.0)
    assert answer.retry_after == pytest.approx(2.0)  # the permit is that old
    assert not late.done()
    await asyncio.sleep(0.5)
    assert refused(late).waited == pytest.approx(2.0)
    assert world.memory.waits() == {0: 0}


@virtual
async def test_a_call_with_an_earlier_deadline_is_told_in_time() -> None:
    world = World(slots(timeout=9.0, name="patient"), slots(timeout=1.0, name="hasty"))
    patient, hasty = world.held(Ask(0, "")), world.held(Ask(1, ""))
    moved = await world.call(ADA, Ask(1, ""), Ask(0, ""))  # waits for the hasty rule first
    other = await world.call(BOB, Ask(0, ""))
    await asyncio.sleep(0.5)
    world.end(hasty)
    await turns()
    assert world.memory.waits() == {1: 0, 0: 2}
    await asyncio.sleep(0.501)
    assert refused(moved).waited == pytest.approx(1.0)
    assert not other.done()
    world.end(patient)
    await turns()
    granted(other)


@virtual
async def test_a_timer_that_goes_off_early_is_set_again() -> None:
    world = World(slots(timeout=2.0))
    world.held()
    behind = [0.3]
    world.memory._queues._clock = lambda: world.loop.time() - behind[0]
    waiting = await world.call()
    await asyncio.sleep(2.1)
    assert not waiting.done()
    behind[0] = 0.0
    await asyncio.sleep(0.301)
    refused(waiting)


@virtual
async def test_the_longest_flow_is_pushed_out_when_the_queue_is_full() -> None:
    world = World(slots(size=2))
    first = world.held()
    old, new = await world.call(ADA), await world.call(ADA)
    await asyncio.sleep(1.0)
    light = await world.call(BOB)
    assert refused(new).waited == 1.0
    assert not old.done()
    assert not light.done()
    another = await world.call(ADA)
    assert refused(another).waited == 0.0
    world.end(first)
    await turns()
    granted(old)
    assert world.memory.waiting == 1


@virtual
async def test_a_call_that_is_cancelled_frees_its_place_at_once() -> None:
    world = World(slots(size=1))
    first = world.held()
    leaving = await world.call(ADA)
    leaving.cancel()
    await turns()
    assert leaving.cancelled()
    assert world.memory.waiting == 0
    next_one = await world.call(BOB)
    world.end(first)
    await turns()
    granted(next_one)


@virtual
async def test_what_was_granted_to_one_that_is_cancelled_before_it_knows_goes_to_the_next() -> None:
    rate = Rule(name="rate", unit=Unit.REQUESTS, amount=2, window=60.0)
    tokens = Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=100, window=60.0)
    world = World(slots(), rate, tokens)
    first = world.held(Ask(0, ""))
    asks = (Ask(0, ""), Ask(1, ""), Ask(2, "", 60.0))
    leaving, after = await world.call(ADA, *asks), await world.call(BOB, *asks)
    world.end(first)
    leaving.cancel()
    assert world.in_flight(2) == 60.0
    await turns()
    assert leaving.cancelled()
    assert granted(after).asks == asks
    assert [world.in_flight(rule) for rule in range(3)] == [1.0, 1.0, 60.0]
    assert world.memory.waiting == 0
    world.end(after)
    assert world.in_flight() == 0


@virtual
async def test_a_permit_that_comes_back_in_the_turn_of_a_cancellation_goes_to_the_next() -> None:
    world = World(slots())
    first = world.held()
    leaving, after = await world.call(ADA), await world.call(BOB)
    leaving.cancel()
    world.end(first)
    await turns()
    assert leaving.cancelled()
    granted(after)
    assert (world.in_flight(), world.memory.waiting) == (1, 0)


@virtual
async def test_one_that_is_cancelled_and_pushed_out_in_one_turn_is_answered_once() -> None:
    world = World(slots(size=2))
    world.held()
    await world.call(ADA)
    leaving = await world.call(ADA)
    light = asyncio.create_task(world.memory.take(world.asks(), BOB))  # will push it out before it can leave
    leaving.cancel()
    await turns()
    assert leaving.cancelled()
    assert not light.done()
    assert world.memory.waiting == 2


@virtual
async def test_one_that_is_refused_and_cancelled_in_one_turn_holds_nothing() -> None:
    world = World(slots(size=1))
    first = world.held()
    leaving = await world.call(ADA)
    closing = asyncio.create_task(world.memory.close())
    await asyncio.sleep(0)
    leaving.cancel()
    await turns()
    assert closing.done()
    assert leaving.cancelled()
    world.end(first)
    assert world.in_flight() == 0


@virtual
async def test_several_permits_that_come_back_in_one_turn_wake_as_many() -> None:
    world = World(slots(3))
    running = [world.held() for _ in range(3)]
    waiting = [await world.call(place) for place in (ADA, BOB, CYD, ADA)]
    for call in running:
        world.end(call)
    await turns()
    assert [task.done() for task in waiting] == [True, True, True, False]
    assert world.in_flight() == 3


@virtual
async def test_a_call_that_holds_two_permits_wakes_one_that_needs_both() -> None:
    world = World(slots(name="all"), slots(name="own"))
    first = world.held()
    waiting = await world.call()
    assert world.memory.waits() == {0: 1}
    world.end(first)
    await turns()
    assert granted(waiting).asks == world.asks()


@virtual
async def test_who_lacks_another_permit_when_its_turn_comes_waits_for_that_one() -> None:
    world = World(slots(name="all"), slots(name="own"))
    one, two = world.held(Ask(0, "")), world.held(Ask(1, ""))
    both, after = await world.call(ADA), await world.call(BOB, Ask(0, ""))
    await asyncio.sleep(1.0)
    world.end(one)
    await turns()
    granted(after)  # nobody keeps a permit that he cannot use
    assert world.memory.waits() == {0: 0, 1: 1}
    world.end(after)
    await asyncio.sleep(1.0)
    world.end(two)
    await turns()
    assert granted(both).waited == 2.0


@virtual
async def test_who_is_over_a_rate_does_not_wait() -> None:
    world = World(slots(), Rule(name="rate", unit=Unit.REQUESTS, amount=1, window=60.0))
    world.held()
    answer = refused(await world.call())
    assert (answer.rule, answer.retry_after) == (0, 60.0)
    assert world.memory.waiting == 0


@virtual
async def test_who_is_over_a_rate_when_its_turn_comes_is_refused_and_the_permit_goes_on() -> None:
    world = World(slots(), Rule(name="rate", unit=Unit.REQUESTS, amount=1, window=60.0))
    first = world.held(Ask(0, ""))
    limited, after = await world.call(ADA), await world.call(BOB, Ask(0, ""))
    world.held(Ask(1, ""))
    await asyncio.sleep(1.0)
    world.end(first)
    await turns()
    answer = refused(limited)
    assert (answer.rule, answer.retry_after, answer.waited) == (1, 59.0, 1.0)
    granted(after)


@virtual
async def test_a_call_lacking_what_has_no_queue_does_not_wait() -> None:
    no_queue = Rule(name="own", unit=Unit.CONCURRENT, amount=1)
    world = World(slots(), no_queue)
    world.held()
    refused(await world.call())
    assert world.memory.waiting == 0


@virtual
async def test_batch_goes_last() -> None:
    world = World(slots())
    first = world.held()
    batch, interactive = await world.call(Place("ada", batch=True)), await world.call(BOB)
    world.end(first)
    await turns()
    granted(interactive)
    assert not batch.done()
    world.end(interactive)
    await turns()
    granted(batch)


@virtual
async def test_calls_that_did_not_wait_count_for_who_goes_next() -> None:
    world = World(slots(2))
    for place in (CYD, BOB):  # now there is a queue
        waiting, running = place, [world.held(), world.held()]
        task = await world.call(waiting)
        for call in running:
            world.end(call)
        await turns()
        world.end(task)
    for _ in range(5):
        world.end(await world.call(BOB))
    running = [world.held(), world.held()]
    hog, light = await world.call(BOB), await world.call(CYD)
    world.end(running[0])
    await turns()
    granted(light)
    assert not hog.done()


@virtual
async def test_a_call_that_waited_counts_once() -> None:
    world = World(slots())
    first = world.held()
    waiting = await world.call()
    world.end(first)
    await turns()
    world.end(waiting)
    (queue,) = world.memory._queues._queues.values()
    assert queue._backlog._uses.used(("", "ada"), world.loop.time()) == 1.0


@virtual
async def test_a_call_that_waited_for_one_rule_counts_for_the_others() -> None:
    world = World(slots(name="first"), slots(name="second"))
    opening = world.held()
    opener = await world.call(CYD, Ask(1, ""))  # now the second rule has a queue
    world.end(opening)
    await turns()
    world.end(opener)
    running = world.held(Ask(0, ""))
    for _ in range(3):
        hog = await world.call(ADA)
        world.end(running)
        await turns()
        running = granted(hog)
    hog, light = await world.call(ADA, Ask(1, "")), await world.call(BOB, Ask(1, ""))
    world.end(running)
    await turns()
    granted(light)
    assert not hog.done()


@virtual
async def test_closing_refuses_those_who_wait() -> None:
    world = World(slots())
    first = world.held()
    waiting = await world.call()
    await world.memory.close()
    await turns()
    refused(waiting)
    assert all(timer.cancelled() for timer in vars(world.loop)["_scheduled"])
    world.end(first)
    assert world.in_flight() == 0


@virtual
async def test_nobody_is_left_to_refuse_when_patience_had_ended_before_closing() -> None:
    world = World(slots(timeout=1.0))
    world.held()
    waiting = await world.call()
    await asyncio.sleep(1.1)
    refused(waiting)
    await world.memory.close()
    assert world.memory.waiting == 0


@virtual
async def test_subjects_beyond_the_maximum_wait_for_what_they_share() -> None:
    rule = Rule(name="own", unit=Unit.CONCURRENT, amount=1, subject=Subject.USER, queue_timeout=5.0, queue_size=5)
    world = World(rule, most_keys=1)
    world.held(Ask(0, "ada"))
    shared = world.held(Ask(0, "bob"))
    waiting = await world.call(CYD, Ask(0, "cyd"))
    world.end(shared)
    await turns()
    granted(waiting)


@virtual
async def test_queues_that_nobody_needs_are_forgotten() -> None:
    rule = Rule(name="own", unit=Unit.CONCURRENT, amount=1, subject=Subject.USER, queue_timeout=0.5, queue_size=5)
    world = World(rule)
    for number in range(queues._SWEPT_FROM + 10):
        key = f"user-{number}"
        first = world.held(Ask(0, key))
        waiting = await world.call(ADA, Ask(0, key))
        world.end(first)
        await turns()
        world.end(waiting)
        await asyncio.sleep(0.2)
    assert 10 <= len(world.memory._queues._queues) <= queues._SWEPT_FROM
