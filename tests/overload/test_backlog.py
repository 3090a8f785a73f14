"""`Backlog`: who goes next, who loses a place, and that none of it is slow."""

import time
from collections import Counter

import pytest
from chance import seeded

from aibridge.overload.backlog import Backlog


def backlog(*waiters: str, size: int = 100) -> Backlog[str]:
    """Waiters that came one after another; the first letter of a name is the flow."""
    queue = Backlog[str](size)
    for waiter in waiters:
        assert join(queue, waiter) is None
    return queue


def join(queue: Backlog[str], waiter: str, now: float = 0.0, *, batch: bool = False) -> str | None:
    return queue.join(waiter, now, flow=waiter[0], deadline=1000.0, batch=batch)


def everyone(queue: Backlog[str], now: float = 0.0) -> list[str]:
    """All who wait, in the order in which they go."""
    order = []
    while (waiter := queue.next(now)) is not None:
        order.append(waiter)
    return order


def test_flows_that_used_the_same_take_turns_however_many_calls_they_have_in_line() -> None:
    assert everyone(backlog("a1", "a2", "a3", "a4", "b1", "b2", "c1")) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_who_used_least_lately_goes_first() -> None:
    queue = backlog("a1", "b1", "c1")
    queue.charge("a", "", 5.0, 0.0)
    queue.charge("b", "", 2.0, 0.0)
    assert everyone(queue) == ["c1", "b1", "a1"]


def test_use_counts_whether_it_was_charged_before_or_while_a_flow_waits() -> None:
    queue = Backlog[str](10)
    queue.charge("a", "", 2.0, 0.0)
    for waiter in ("a1", "b1", "c1"):
        join(queue, waiter)
    queue.charge("b", "", 1.0, 0.0)
    assert everyone(queue) == ["c1", "b1", "a1"]


def test_use_that_is_charged_while_batch_calls_wait_counts() -> None:
    queue = Backlog[str](10)
    for waiter in ("a1", "b1"):
        join(queue, waiter, batch=True)
    queue.charge("a", "", 1.0, 0.0)
    assert everyone(queue) == ["b1", "a1"]


def test_a_heavy_call_counts_by_its_weight() -> None:
    queue = Backlog[str](10)
    for waiter, weight in (("a1", 3.0), ("a2", 3.0), ("b1", 1.0), ("b2", 1.0), ("b3", 1.0), ("b4", 1.0)):
        queue.join(waiter, 0.0, flow=waiter[0], deadline=9.0, weight=weight)
    assert everyone(queue) == ["a1", "b1", "b2", "b3", "a2", "b4"]


def test_groups_share_first_and_the_flows_of_a_group_share_its_part() -> None:
    queue = Backlog[str](10)
    for waiter in ("a1", "a2", "b1", "b2", "c1", "c2", "c3", "c4"):
        queue.join(waiter, 0.0, flow=waiter[0], group="big" if waiter[0] in "ab" else "small", deadline=9.0)
    assert everyone(queue) == ["a1", "c1", "b1", "c2", "a2", "c3", "b2", "c4"]


def test_flows_of_the_same_name_in_two_groups_are_two() -> None:
    queue = Backlog[str](10)
    queue.charge("a", "one", 9.0, 0.0)
    queue.charge("b", "two", 9.5, 0.0)
    queue.join("other", 0.0, flow="b", group="two", deadline=9.0)
    queue.join("same", 0.0, flow="a", group="two", deadline=9.0)
    assert everyone(queue) == ["same", "other"]


def test_batch_goes_when_no_other_waits() -> None:
    queue = Backlog[str](10)
    join(queue, "a1", batch=True)
    join(queue, "b1")
    queue.charge("b", "", 100.0, 0.0)
    assert everyone(queue) == ["b1", "a1"]


def test_a_flow_is_charged_for_its_batch_calls_as_well() -> None:
    queue = Backlog[str](10)
    join(queue, "a1", batch=True)
    assert queue.next(0.0) == "a1"
    for waiter in ("a2", "b1"):
        join(queue, waiter)
    assert everyone(queue) == ["b1", "a2"]


def test_a_flood_is_forgotten() -> None:
    queue = Backlog[str](10, half_life=10.0)
    queue.charge("a", "", 1000.0, 0.0)
    queue.charge("b", "", 1.0, 100.0)
    for waiter in ("b1", "a1"):
        queue.join(waiter, 100.0, flow=waiter[0], deadline=900.0)
    assert everyone(queue, 100.0) == ["a1", "b1"]  # a thousand calls ten half-lives ago are less than one


def test_hours_of_idleness_are_worth_no_more_than_some_half_lives() -> None:
    queue = Backlog[str](1000, half_life=10.0)
    queue.charge("idle", "", 1.0, 0.0)
    now = 36_000.0
    for _ in range(3000):  # ten calls a second: 144 are remembered
        now += 0.1
        queue.charge("busy", "", 1.0, now)
    for number in range(400):
        queue.join(f"i{number}", now, flow="idle", deadline=now + 900.0)
        queue.join(f"b{number}", now, flow="busy", deadline=now + 900.0)
    order = everyone(queue, now)
    assert order.index("b0") <= 145


def test_when_all_places_are_taken_the_newest_of_the_longest_flow_loses_its_place() -> None:
    queue = backlog("a1", "a2", "b1", "a3", size=4)
    assert join(queue, "c1") == "a3"
    assert join(queue, "d1") == "a2"
    assert everyone(queue) == ["a1", "b1", "c1", "d1"]


def test_a_newcomer_of_the_longest_flow_loses_its_own_place() -> None:
    queue = backlog("a1", "a2", "b1", size=3)
    assert join(queue, "a3") == "a3"
    assert join(queue, "b2") == "b2"  # it would be as long, and it is the newest
    assert len(queue) == 3


def test_batch_loses_its_place_before_others() -> None:
    queue = backlog("a1", "a2", size=3)
    assert join(queue, "b1", batch=True) is None
    assert join(queue, "a3") == "b1"
    assert join(queue, "c1", batch=True) == "c1"
    assert join(queue, "d1") == "a3"


def test_one_whose_deadline_has_passed_loses_its_place_first() -> None:
    queue = Backlog[str](2)
    queue.join("a1", 0.0, flow="a", deadline=1.0)
    queue.join("b1", 0.0, flow="b", deadline=5.0)
    assert queue.join("b2", 1.0, flow="b", deadline=5.0) == "a1"
    assert queue.expire(1.0) == []
    assert len(queue) == 2


def test_who_is_past_the_deadline_does_not_go_and_is_told_once() -> None:
    queue = Backlog[str](10)
    for waiter, deadline in (("a1", 2.0), ("b1", 1.0), ("c1", 3.0)):
        queue.join(waiter, 0.0, flow=waiter[0], deadline=deadline)
    assert queue.first_deadline == 1.0
    assert queue.next(2.0) == "c1"
    assert queue.first_deadline == 1.0
    assert len(queue) == 2
    assert queue.expire(2.0) == ["b1", "a1"]
    assert queue.expire(9.0) == []
    assert queue.first_deadline == float("inf")


def test_expiry_needs_no_other_call_before() -> None:
    queue = Backlog[str](10)
    queue.join("a1", 0.0, flow="a", deadline=1.0)
    assert queue.expire(0.999) == []
    assert queue.expire(1.0) == ["a1"]


def test_who_has_left_does_not_go() -> None:
    queue = backlog("a1", "a2", "b1")
    queue.leave("a1")
    queue.leave("b1")
    queue.leave("unknown")
    assert everyone(queue) == ["a2"]


def test_one_that_is_past_its_deadline_can_still_leave() -> None:
    queue = Backlog[str](10)
    queue.join("a1", 0.0, flow="a", deadline=1.0)
    assert queue.next(1.0) is None
    queue.leave("a1")
    assert queue.expire(1.0) == []


def test_nobody_stands_in_line_twice() -> None:
    queue = backlog("a1")
    with pytest.raises(ValueError, match="stands in line already"):
        join(queue, "a1")
    assert queue.next(1000.0) is None  # past its deadline, and not told yet
    with pytest.raises(ValueError, match="stands in line already"):
        join(queue, "a1", 1000.0)


def test_an_amount_that_is_none_is_charged_as_none() -> None:
    queue = Backlog[str](10)
    queue.charge("a", "", 0.0, 0.0)
    queue.charge("a", "", -1.0, 0.0)
    assert queue.idle(0.0)


def test_it_is_idle_when_nobody_waits_and_all_use_is_forgotten() -> None:
    queue = backlog("a1")
    assert not queue.idle(0.0)
    queue.next(0.0)
    assert not queue.idle(199.0)
    assert queue.idle(201.0)


def test_a_clock_that_steps_back_is_taken_for_one_that_stands_still() -> None:
    queue = Backlog[str](10)
    queue.charge("a", "", 1.0, 1e6)
    queue.charge("b", "", 1.5, 0.0)
    for waiter in ("b1", "a1"):
        queue.join(waiter, 0.0, flow=waiter[0], deadline=2e6)
    assert everyone(queue) == ["a1", "b1"]


def test_equal_demand_gets_equal_shares_and_a_small_one_gets_all_it_asks_for() -> None:
    floods = ("one", "two", "three")
    queue, chance, served = Backlog[tuple[str, int]](100), seeded(1), Counter[str]()
    now = 0.0
    for step in range(3000):  # 100 a second go; each flood asks for more than half of that, and the light one for 5
        now += 0.01
        for flow in floods:
            if chance() < 0.6:
                queue.join((flow, step), now, flow=flow, deadline=now + 60.0)
        if step % 20 == 0:
            queue.join(("light", step), now, flow="light", deadline=now + 60.0)
        waiter = queue.next(now)
        if waiter is not None:
            served[waiter[0]] += 1
    assert served["light"] == 150
    assert max(served[flow] for flow in floods) - min(served[flow] for flow in floods) <= 2
    assert sum(served.values()) >= 2990


def test_at_least_one_place_is_needed() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, not 0"):
        Backlog[str](0)


def test_a_turn_among_a_thousand_flows_costs_little_more_than_among_ten() -> None:
    def turn(flows: int) -> float:
        queue = Backlog[int](4000)
        for waiter in range(4000):
            queue.join(waiter, 0.0, flow=f"f{waiter % flows}", group=f"g{waiter % (flows // 5)}", deadline=100.0)
        began = time.perf_counter()
        for _ in range(1000):
            queue.next(0.0)
        return time.perf_counter() - began

    assert min(turn(1000) for _ in range(3)) <= 4.0 * min(turn(10) for _ in range(3))
