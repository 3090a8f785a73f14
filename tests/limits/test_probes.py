"""A probe that is asked for where places are shared, whatever happens meanwhile; and news kept for who listens late."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aibridge.limits.probes import MOMENT, Trips, ended, give_back, shared_place
from aibridge.overload.breaker import Breaker, BreakerRule, Probe, State, Ticket
from aibridge.overload.outcome import Outcome, Rejection

NOW = 100.0
NO = Rejection("openai", 3, 0.0, 4.0)


class Elsewhere:
    """Answers what it is told to; `meanwhile` is what happens while it is asked."""

    def __init__(self, *answers: int | Rejection | None, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.given_back: list[tuple[int, bool]] = []
        self.told: list[tuple[str, float]] = []
        self._answers = list(answers)
        self._meanwhile = meanwhile

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """It has no news."""

    def tripped(self, breaker: str, seconds: float) -> None:
        self.told.append((breaker, seconds))

    async def probe(self, breaker: str, most: int, lease: float) -> int | Rejection | None:
        assert (breaker, most, lease) == ("openai", 3, 30.0)
        answer = self._answers.pop(0)
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return answer

    def probed(self, number: int, *, succeeded: bool) -> None:
        self.given_back.append((number, succeeded))


def half_open() -> tuple[Breaker, Probe]:
    breaker = Breaker("openai", BreakerRule())
    breaker.trip(NOW - 30.0, 30.0)
    return breaker, probe_of(breaker)


def probe_of(breaker: Breaker) -> Probe:
    probe = breaker.enter(NOW)
    assert isinstance(probe, Probe)
    return probe


def places_left(breaker: Breaker) -> int:
    left = 0
    while isinstance(breaker.enter(NOW + 1.0), Probe):
        left += 1
    return left


def asked(breaker: Breaker, probe: Probe, elsewhere: Elsewhere) -> Ticket | Rejection:
    return finished(shared_place(breaker, probe, elsewhere, lambda: NOW))


def finished(work: Coroutine[Any, Any, Ticket | Rejection]) -> Ticket | Rejection:
    with pytest.raises(StopIteration) as caught:
        work.send(None)
    answer: Ticket | Rejection = caught.value.value
    return answer


@pytest.mark.parametrize("answer", [7, None])
def test_a_probe_goes_if_there_is_a_place_or_nobody_to_ask(answer: int | None) -> None:
    breaker, probe = half_open()
    elsewhere = Elsewhere(answer)
    assert asked(breaker, probe, elsewhere) is probe
    assert probe.number == answer
    give_back(probe, elsewhere, succeeded=True)
    assert elsewhere.given_back == ([] if answer is None else [(7, True)])


@pytest.mark.parametrize("answer", [7, None], ids=["shared", "nobody to ask"])
def test_who_closes_a_breaker_by_a_probe_that_nobody_else_counts_says_so(answer: int | None) -> None:
    breaker, probe = half_open()
    elsewhere = Elsewhere(answer, answer, answer)
    for left in (2, 1, 0):
        assert asked(breaker, probe, elsewhere) is probe
        breaker.leave(probe, Outcome.SUCCESS, NOW)
        ended(probe, breaker.name, elsewhere, succeeded=True)
        if left:
            assert elsewhere.told == []
            probe = probe_of(breaker)
    assert elsewhere.told == ([] if answer else [("openai", 0.0)])


@pytest.mark.parametrize("outcome", [Outcome.IGNORED, Outcome.SUCCESS])
def test_a_probe_of_a_breaker_that_others_closed_meanwhile_tells_nobody(outcome: Outcome) -> None:
    breaker, probe = half_open()
    elsewhere = Elsewhere(None)
    assert asked(breaker, probe, elsewhere) is probe
    breaker.reset(NOW)
    breaker.leave(probe, outcome, NOW)
    ended(probe, breaker.name, elsewhere, succeeded=outcome is Outcome.SUCCESS)
    assert elsewhere.told == []


def test_a_probe_without_a_place_is_refused_and_has_no_place_here_either() -> None:
    breaker, probe = half_open()
    elsewhere = Elsewhere(NO)
    assert asked(breaker, probe, elsewhere) == NO
    assert elsewhere.given_back == []
    assert places_left(breaker) == 3


@pytest.mark.parametrize("answer", [7, NO, None], ids=["place", "no place", "nobody to ask"])
def test_a_breaker_that_opens_meanwhile_refuses(answer: int | Rejection | None) -> None:
    breaker, probe = half_open()
    elsewhere = Elsewhere(answer, meanwhile=lambda: breaker.trip(NOW, 20.0))
    refused = asked(breaker, probe, elsewhere)
    assert isinstance(refused, Rejection)
    assert refused.retry_after == 20.0
    assert breaker.rejections == 1
    assert elsewhere.given_back == ([(7, False)] if answer == 7 else [])


def test_a_breaker_that_closes_meanwhile_lets_the_call_go_as_any_other() -> None:
    breaker, probe = half_open()
    elsewhere = Elsewhere(7, meanwhile=lambda: breaker.reset(NOW))
    ticket = asked(breaker, probe, elsewhere)
    assert isinstance(ticket, Ticket)
    assert not isinstance(ticket, Probe)
    assert elsewhere.given_back == [(7, False)]
    give_back(ticket, elsewhere, succeeded=True)
    assert len(elsewhere.given_back) == 1
    breaker.leave(ticket, Outcome.FAILURE, NOW)
    assert breaker.window(NOW).failures == 1


def test_a_breaker_that_is_half_open_anew_is_asked_about_anew() -> None:
    breaker, probe = half_open()
    elsewhere = Elsewhere(7, 8, meanwhile=lambda: breaker.trip(NOW - 1.0, 1.0))
    again = asked(breaker, probe, elsewhere)
    assert isinstance(again, Probe)
    assert again.number == 8
    assert elsewhere.given_back == [(7, False)]
    assert places_left(breaker) == 2


def test_who_leaves_while_it_is_asked_has_no_place() -> None:
    breaker, probe = half_open()

    def leave() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        shared_place(breaker, probe, Elsewhere(7, meanwhile=leave), lambda: NOW).send(None)
    assert probe.breaker is None
    assert breaker.state(NOW) is State.HALF_OPEN
    assert places_left(breaker) == 3


def test_who_listens_late_hears_of_what_has_not_closed_since() -> None:
    now = [0.0]
    trips, heard = Trips(lambda: now[0]), list[tuple[str, float]]()
    for name in ("open", "half-open", "closed"):
        trips.tell(name, 30.0 if name == "open" else 5.0)
    trips.tell("closed", 0.0)
    trips.tell("unknown", 0.0)
    now[0] = 10.0
    trips.listen(lambda breaker, seconds: heard.append((breaker, seconds)))
    assert heard == [("open", 20.0), ("half-open", MOMENT)]
    trips.tell("open", 0.0)
    trips.listen(lambda breaker, seconds: heard.append((breaker, seconds)))
    assert heard[2:] == [("open", 0.0)]
