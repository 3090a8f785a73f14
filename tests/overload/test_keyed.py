"""`Keyed`: bounded memory under invented keys, and nobody forgiven."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload.keyed import PROBES, Keyed
from aibridge.overload.rate import ExactWindow


def keyed(maximum: int, limit: int = 1) -> Keyed[str, ExactWindow]:
    return Keyed(lambda: ExactWindow(limit, 1.0), ExactWindow.idle, maximum)


def test_a_key_keeps_its_value() -> None:
    limiters = keyed(3)
    first = limiters.get("a", 0.0)
    assert limiters.get("a", 0.0) is first
    assert limiters.get("b", 0.0) is not first
    assert len(limiters) == 2


def test_a_new_key_takes_the_place_of_an_idle_one() -> None:
    limiters = keyed(2)
    busy, idle = limiters.get("busy", 0.0), limiters.get("idle", 0.0)
    busy.take(0.0)
    assert limiters.get("new", 0.5) is not idle
    assert limiters.get("busy", 0.5) is busy
    assert len(limiters) == 2


def test_looking_gives_no_place() -> None:
    limiters = keyed(3)
    first = limiters.get("a", 0.0)
    assert limiters.known("a") is first
    assert limiters.known("b") is None
    assert limiters.keys() == ["a"]


def test_the_keys_are_those_that_have_a_place() -> None:
    limiters = keyed(2)
    for name in ("a", "b"):
        limiters.get(name, 0.0).take(0.0)
    limiters.get("c", 0.5)
    assert limiters.keys() == ["a", "b"]
    limiters.get("c", 1.0)
    assert sorted(limiters.keys()) in (["a", "c"], ["b", "c"])


def test_when_all_are_busy_new_keys_share_one_value() -> None:
    limiters = keyed(2)
    for name in ("a", "b"):
        limiters.get(name, 0.0).take(0.0)
    shared = limiters.get("c", 0.5)
    assert limiters.get("d", 0.5) is shared
    assert shared.take(0.5) is None
    assert limiters.get("e", 0.5).take(0.5) is not None
    assert len(limiters) == 2


def test_a_key_without_a_place_gets_one_when_another_falls_idle() -> None:
    limiters = keyed(1)
    limiters.get("a", 0.0).take(0.0)
    shared = limiters.get("b", 0.5)
    own = limiters.get("b", 1.0)
    assert own is not shared
    assert limiters.get("b", 1.0) is own


@given(calls=st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 0.1, 0.5, 1.0])), max_size=120))
def test_a_key_with_a_place_is_never_forgiven_and_places_never_grow(calls: list[tuple[int, float]]) -> None:
    limiters, now = keyed(3), 0.0
    last: dict[int, float] = {}
    for number, gap in calls:
        now += gap
        limiter = limiters.get(str(number), now)
        if limiter is not limiters._overflow and limiter.take(now) is None:
            assert now - last.get(number, -9.0) >= 1.0 - 1e-9
            last[number] = now
        assert len(limiters) <= 3
        assert set(limiters._keys) == set(limiters._values)


def test_a_look_up_asks_a_bounded_number_of_values_whether_they_are_idle() -> None:
    asked = 0

    def idle(_: object, __: float) -> bool:
        nonlocal asked
        asked += 1
        return False

    values = Keyed[int, object](object, idle, 1000)
    for number in range(1000):
        values.get(number, 0.0)
    assert asked == 0
    shared = values.get(1000, 0.0)
    assert asked == PROBES
    assert values.get(1001, 0.0) is shared


def test_every_idle_place_is_found_in_turn() -> None:
    limiters = keyed(100)
    for number in range(100):
        limiters.get(f"old-{number}", 0.0).take(0.0)
    for number in range(100):
        limiters.get(f"new-{number}", 1.0).take(1.0)
    assert {f"new-{number}" for number in range(100)} == set(limiters._values)


@pytest.mark.thorough
def test_a_hundred_thousand_callers_cost_at_most_twenty_megabytes() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        limiters = keyed(100_000, limit=10)
        for number in range(100_000):
            now = 1e6 + number * 1e-6
            limiters.get(f"tok-{number:06}", now).take(now)
        grown = tracemalloc.get_traced_memory()[0] - before
        for number in range(20_000):
            now = 1e6 + 0.5 + number * 1e-6
            limiters.get(f"new-{number:06}", now).take(now)
        flooded = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(limiters) == 100_000
    assert grown <= 20_000_000
    assert flooded <= grown + 100_000


def test_at_least_one_place_is_needed() -> None:
    with pytest.raises(ValueError, match="maximum must be at least 1, not 0"):
        keyed(0)


def test_who_remembers_values_hears_when_a_key_may_have_another() -> None:
    heard: list[int] = []
    limiters: Keyed[str, ExactWindow] = Keyed(
        lambda: ExactWindow(1, 1.0), ExactWindow.idle, 2, lambda: heard.append(len(limiters))
    )
    for name in ("a", "b", "a"):
        limiters.get(name, 0.0).take(0.0)
    assert heard == []
    limiters.get("c", 0.5)  # shared
    assert heard == [2]
    limiters.get("c", 1.0)  # in the place of another
    assert heard == [2, 2]
