"""`RecentUse`: what was used lately, halved with time, for a bounded number of keys."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload import recent_use
from aibridge.overload.recent_use import FORGOTTEN, RecentUse


def test_a_use_is_halved_every_half_life() -> None:
    uses = RecentUse[str](10.0)
    uses.add("a", 8.0, 100.0)
    assert [uses.used("a", 100.0 + later) for later in (0.0, 10.0, 20.0, 30.0)] == [8.0, 4.0, 2.0, 1.0]
    assert uses.used("b", 100.0) == 0.0
    assert uses.level("b") == -inf


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.floats(0.001, 1e6), st.floats(0.0, 30.0)), min_size=1, max_size=60),
    start=st.floats(0.0, 1e7),
)
def test_levels_stand_in_the_order_of_the_uses(steps: list[tuple[int, float, float]], start: float) -> None:
    uses, naive, now = RecentUse[int](5.0), dict.fromkeys(range(4), 0.0), start
    for key, amount, gap in steps:
        now += gap
        naive = {other: used / 2.0 ** (gap / 5.0) for other, used in naive.items()}
        naive[key] += amount
        uses.add(key, amount, now)
    for key, used in naive.items():
        assert uses.used(key, now) == pytest.approx(used, rel=1e-5, abs=1e-5)
        for other, others in naive.items():
            if used < others * 0.999:
                assert uses.level(key) <= uses.level(other)


def test_a_use_that_has_faded_makes_room() -> None:
    uses = RecentUse[str](1.0)
    for key in "abc":
        uses.add(key, 1.0, 0.0)
    for _ in range(3):
        uses.add("d", 1.0, FORGOTTEN + 0.5)
    assert [key for key in "abcd" if uses.level(key) > -inf] == ["d"]


def test_a_use_worth_remembering_is_not_forgotten_for_a_new_one() -> None:
    uses = RecentUse[str](1.0)
    uses.add("a", 2.0, 0.0)
    uses.add("b", 1.0, FORGOTTEN + 0.5)
    assert len(uses) == 2


def test_there_are_never_more_keys_than_the_maximum_and_those_charged_longest_ago_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent_use, "MOST_KEYS", 3)
    uses = RecentUse[str](10.0)
    for key in "abcade":
        uses.add(key, 1.0, 0.0)
    assert [key for key in "abcde" if uses.level(key) > -inf] == ["a", "d", "e"]


def test_it_is_idle_when_all_use_has_faded() -> None:
    uses = RecentUse[str](1.0)
    assert uses.idle(0.0)
    uses.add("a", 1024.0, 5.0)
    assert not uses.idle(5.0 + FORGOTTEN + 9.9)
    assert uses.idle(5.0 + FORGOTTEN + 10.1)


@pytest.mark.parametrize("half_life", [0.0, -1.0, nan, inf])
def test_a_half_life_that_means_nothing_is_refused(half_life: float) -> None:
    with pytest.raises(ValueError, match="half_life must be a positive number of seconds"):
        RecentUse[str](half_life)
