"""How long a wrong token takes to refuse says nothing about the right one.

After dudect (Reparaz, Balasch and Verbauwhede, 2017): kinds of input in random order, the slowest tenth left out, and
Welch's t between the kinds. |t| below 4.5 is no difference that anybody could find. A machine that does something else
in between can make one, so a few tries are allowed, of which one has to be quiet.

Whether an id is known is no secret: it is in every listing. So between known and unknown ids only what a network could
carry has to be the same: the digest is taken either way.
"""

import gc
import random
import secrets
import statistics
import time
from collections.abc import Callable

from aibridge.domain.actor import Actor
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import ID_LENGTH, PREFIX, KnownToken, mint

SAMPLES = 20_000
TRIES = 6
NO_DIFFERENCE = 4.5
INAUDIBLE = 250
"""Nanoseconds. Over a network, a hundred times as much takes thousands of tries to hear."""

MINTED = [mint(secrets.randbelow) for _ in range(100)]
KNOWN = Snapshot(
    tokens={
        minted.id: KnownToken(digest=minted.digest, actor=Actor(id="u", username="mia", token_id=minted.id))
        for minted in MINTED
    }
)


def _changed(text: str, place: int) -> str:
    other = "0" if text[place] != "0" else "1"
    return text[:place] + other + text[place:][1:]


def nearly_right() -> str:
    """A token of which only the last character is wrong."""
    text = random.choice(MINTED).text
    return _changed(text, len(text) - 1)


def wrong_at_once() -> str:
    """A token with the first character of its secret wrong."""
    return _changed(random.choice(MINTED).text, len(PREFIX) + ID_LENGTH + 1)


def unknown() -> str:
    """A token that nobody ever had."""
    return mint(secrets.randbelow).text


def _timed(*kinds: Callable[[], str]) -> list[list[int]]:
    """Nanoseconds for each kind, the slowest tenth left out."""
    asked = [(number, kind()) for number, kind in enumerate(kinds) for _ in range(SAMPLES)]
    random.shuffle(asked)
    taken: list[list[int]] = [[] for _ in kinds]
    clock, actor_of = time.perf_counter_ns, KNOWN.actor_of
    gc.disable()
    try:
        for number, text in asked:
            begun = clock()
            actor_of(text, 0.0)
            taken[number].append(clock() - begun)
    finally:
        gc.enable()
    every = sorted(one for times in taken for one in times)
    slow = every[int(len(every) * 0.9)]
    return [[one for one in times if one <= slow] for times in taken]


def _welch(one: list[int], other: list[int]) -> float:
    error = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return float((statistics.fmean(one) - statistics.fmean(other)) / error**0.5)


def test_a_token_that_is_nearly_right_takes_as_long_as_one_that_is_wrong_at_once() -> None:
    found: list[float] = []
    for _ in range(TRIES):
        found.append(_welch(*_timed(nearly_right, wrong_at_once)))
        if abs(found[-1]) < NO_DIFFERENCE:
            return
    raise AssertionError(f"t was {found}")


def test_an_unknown_token_takes_as_long_as_a_known_one_that_is_wrong() -> None:
    found: list[float] = []
    for _ in range(TRIES):
        known, strange = (statistics.median(times) for times in _timed(nearly_right, unknown))
        found.append(known - strange)
        if abs(found[-1]) < INAUDIBLE:
            return
    raise AssertionError(f"they differ by {found} ns")


def test_the_measurement_hears_a_difference() -> None:
    """Else it would say that all is quiet whatever there was."""
    quick, slow = _timed(lambda: "short", unknown)
    assert abs(_welch(quick, slow)) > NO_DIFFERENCE


def test_what_is_timed_is_refused_and_the_right_one_is_not() -> None:
    for kind in (nearly_right, wrong_at_once, unknown):
        assert KNOWN.actor_of(kind(), 0.0) is None
    assert KNOWN.actor_of(MINTED[0].text, 0.0) is not None
