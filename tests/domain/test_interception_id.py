"""The ids of interceptions: UUIDs that sort by time."""

import uuid
from random import getrandbits

from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.interception_id import InterceptionIds, interception_id

INSTANTS = st.integers(0, (2**48 - 1) * 1000 + 999)
CHANCE = st.integers(0, 2**74 - 1)


@given(INSTANTS, CHANCE)
def test_an_id_is_a_uuid_of_version_7_that_holds_its_millisecond_and_its_chance(instant: int, chance: int) -> None:
    text = interception_id(instant, chance)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == instant // 1000
    assert (parsed.int >> 64 & 0xFFF) << 62 | parsed.int & (1 << 62) - 1 == chance


@given(INSTANTS, INSTANTS, CHANCE, CHANCE)
def test_ids_sort_by_time(earlier: int, later: int, chance: int, other: int) -> None:
    if earlier // 1000 < later // 1000:
        assert interception_id(earlier, chance) < interception_id(later, other)


def test_ids_of_one_instant_differ() -> None:
    assert len({interception_id(1_767_225_600_000_000, getrandbits(74)) for _ in range(10_000)}) == 10_000


def test_an_instant_of_today_is_read_back() -> None:
    assert interception_id(1_767_225_600_123_456, 0) == "019b76da-a87b-7000-8000-000000000000"


@given(INSTANTS, st.integers(0, 2**128))
def test_more_chance_than_needed_does_no_harm(instant: int, chance: int) -> None:
    assert interception_id(instant, chance) == interception_id(instant, chance % 2**74)


def test_a_process_hands_out_ids_that_differ_and_sort_within_a_millisecond() -> None:
    ids = InterceptionIds()
    instant = 1_767_225_600_123_456
    made = [ids.next(instant) for _ in range(4096)]
    assert made == sorted(set(made))
    assert {text[:14] for text in made} == {"019b76da-a87b-"}
    assert {(parsed.version, parsed.variant) for parsed in map(uuid.UUID, made)} == {(7, uuid.RFC_4122)}
    assert len({text[18:] for text in made}) == 1


def test_a_millisecond_has_room_for_more_than_can_be_counted() -> None:
    ids = InterceptionIds()
    made = [ids.next(1_767_225_600_123_456) for _ in range(3 * 4096)]
    assert len(set(made)) == len(made)
    assert len({text[18:] for text in made}) == 3


@given(st.lists(INSTANTS, min_size=1), st.integers(1, 3))
def test_ids_differ_also_where_a_clock_is_set_back(instants: list[int], again: int) -> None:
    ids, others = InterceptionIds(), InterceptionIds()
    made = [each.next(instant) for _ in range(again) for instant in instants for each in (ids, others)]
    assert len(set(made)) == len(made)
    assert [int(text[:8] + text[9:13], 16) for text in made[::2]] == [instant // 1000 for instant in instants] * again
