"""What was found full is believed to be for a moment, and no longer."""

from aibridge.limits import known_full
from aibridge.limits.counts import Ask
from aibridge.limits.known_full import BRIEFLY, KnownFull

HOUSE, MINE = (0, ""), (1, "ada")


def test_it_is_believed_for_a_moment() -> None:
    now = [5.0]
    known = KnownFull[str](lambda: now[0])
    assert known.get(HOUSE) is None
    known.found(HOUSE, "full")
    now[0] += BRIEFLY * 0.9
    assert (known.get(HOUSE), known.get(MINE)) == ("full", None)
    now[0] += BRIEFLY * 0.2
    assert known.get(HOUSE) is None


def test_what_is_given_back_or_has_other_rules_is_not_known_any_more() -> None:
    known = KnownFull[str](lambda: 5.0)
    known.given_back(HOUSE)
    for count in (HOUSE, MINE):
        known.found(count, "full")
    known.given_back(HOUSE)
    assert (known.get(HOUSE), known.get(MINE)) == (None, "full")
    known.clear()
    assert known.get(MINE) is None


def test_of_a_call_the_first_that_is_full_is_told() -> None:
    known = KnownFull[str](lambda: 5.0)
    asks = (Ask(7, ""), Ask(1, "ada"), Ask(0, ""))
    assert known.of(asks) is None
    known.found(HOUSE, "the house")
    assert known.of(asks) == "the house"
    known.found(MINE, "mine")
    assert known.of(asks) == "mine"
    assert known.of(asks[:1]) is None


def test_only_so_many_are_remembered() -> None:
    known = KnownFull[int](lambda: 5.0)
    for key in range(known_full.MOST + 1):
        known.found((0, str(key)), key)
    assert [known.get((0, str(key))) for key in (0, known_full.MOST)] == [None, known_full.MOST]
