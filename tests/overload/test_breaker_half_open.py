"""`Breaker` once it has opened: how long, who probes, who has a say, and that nothing wedges it."""

import pytest
from breaker_driver import FAILURE, IGNORED, IN_A_ROW, SLOW, SUCCESS, called, entered, opened, refused
from hypothesis import example, given
from hypothesis import strategies as st

from aibridge.overload.breaker import BRIEFLY, LEAST_WAIT, Breaker, BreakerRule, Probe, State, Ticket
from aibridge.overload.outcome import Outcome, Rejection
from aibridge.overload.tally import Tally


def test_an_open_breaker_refuses_with_the_time_left() -> None:
    breaker = opened(IN_A_ROW, 100.0)
    assert breaker.enter(100.0) == Rejection(limit="openai", allowed=0, window=0.0, retry_after=30.0)
    assert refused(breaker, 129.5).retry_after == breaker.time_left(129.5) == 0.5
    assert breaker.rejections == 2
    assert breaker.state(130.0) is State.HALF_OPEN
    assert breaker.time_left(130.0) == 0.0
    entered(breaker, 130.0)


@given(since=st.floats(0.0, 1e9), timeout=st.floats(1e-3, 1e5), share=st.floats(0.0, 1.0))
@example(since=1.3, timeout=30.0, share=0.37)  # the difference is rounded down
def test_who_waits_for_the_time_left_is_let_through(since: float, timeout: float, share: float) -> None:
    breaker = opened(BreakerRule(timeout=timeout), since)
    now = since + timeout * share
    answer = breaker.enter(now)
    if isinstance(answer, Rejection):
        assert 0.0 < answer.retry_after <= timeout * 1.001
        entered(breaker, now + answer.retry_after)
    else:
        assert now >= since + timeout


def test_half_open_has_so_many_places_and_each_end_frees_one() -> None:
    breaker = opened(IN_A_ROW, 100.0)
    tickets = [entered(breaker, 130.0) for _ in range(3)]
    assert breaker.enter(130.0) == Rejection(limit="openai", allowed=3, window=0.0, retry_after=LEAST_WAIT)
    breaker.leave(tickets[0], IGNORED, 131.0)
    entered(breaker, 131.0)
    refused(breaker, 131.0)
    breaker.leave(tickets[1], SUCCESS, 131.0)
    entered(breaker, 131.0)
    refused(breaker, 131.0)


def test_as_many_successes_as_places_close_it_and_it_starts_afresh() -> None:
    breaker = Breaker("openai", BreakerRule(failure_ratio=0.0, timeout=2.0))
    for _ in range(5):
        called(breaker, 100.0)
    for _ in range(2):
        called(breaker, 102.0, SUCCESS)
        called(breaker, 102.0, IGNORED)
        assert breaker.state(102.0) is State.HALF_OPEN
    assert breaker.window(102.0) == Tally(calls=5, failures=5)
    called(breaker, 102.0, SUCCESS)
    assert breaker.state(102.0) is State.CLOSED
    assert breaker.window(102.0) == Tally()
    assert [called(breaker, 102.0) for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize(("outcome", "first_byte"), [(FAILURE, None), (FAILURE, 9.0), (SUCCESS, 9.0)])
def test_one_probe_that_fails_or_is_slow_opens_it_again(outcome: Outcome, first_byte: float | None) -> None:
    breaker = opened(SLOW, 100.0)
    called(breaker, 130.0, SUCCESS, 0.1)
    called(breaker, 130.0, SUCCESS, 0.1)
    assert called(breaker, 131.0, outcome, first_byte)
    assert breaker.trips == 1
    assert refused(breaker, 131.0).retry_after == 30.0
    assert [called(breaker, 161.0, SUCCESS) for _ in range(2)] == [False, False]
    assert breaker.state(161.0) is State.HALF_OPEN


def test_a_ticket_of_an_older_generation_has_no_say() -> None:
    breaker = Breaker("openai", BreakerRule(max_requests=1, failure_threshold=1))
    from_closed = [entered(breaker, 100.0) for _ in range(3)]
    called(breaker, 100.0)
    assert not breaker.leave(from_closed[0], FAILURE, 101.0)
    assert breaker.time_left(101.0) == 29.0
    probe = entered(breaker, 130.0)
    assert not breaker.leave(from_closed[1], FAILURE, 130.0)
    assert not breaker.leave(from_closed[2], SUCCESS, 130.0)
    assert breaker.state(130.0) is State.HALF_OPEN
    refused(breaker, 130.0)
    breaker.trip(130.0, 10.0)
    entered(breaker, 140.0)
    assert not breaker.leave(probe, FAILURE, 140.0)
    refused(breaker, 140.0)
    assert breaker.state(140.0) is State.HALF_OPEN


def turned_away(breaker: Breaker, now: float, wait: float) -> Rejection:
    """A probe for which there is no place elsewhere."""
    probe = entered(breaker, now)
    assert isinstance(probe, Probe)
    return breaker.turn_away(probe, wait, now)


def test_a_probe_without_a_place_elsewhere_is_refused_and_for_a_moment_so_is_the_next() -> None:
    breaker = opened(IN_A_ROW, 100.0)
    no = Rejection(limit="openai", allowed=3, window=0.0, retry_after=4.0)
    assert turned_away(breaker, 130.0, 4.0) == no
    assert breaker.enter(130.0) == breaker.enter(130.0 + BRIEFLY / 2) == no
    assert breaker.rejections == 3
    for _ in range(3):
        entered(breaker, 130.0 + BRIEFLY)
    refused(breaker, 130.0 + BRIEFLY)


def test_that_there_is_no_place_elsewhere_is_believed_no_longer_once_a_probe_ends_here_or_the_clock_steps_back() -> (
    None
):
    breaker = opened(IN_A_ROW, 100.0)
    probe = entered(breaker, 130.0)
    turned_away(breaker, 130.0, 4.0)
    refused(breaker, 130.0)
    breaker.leave(probe, IGNORED, 130.0)
    entered(breaker, 130.0)
    turned_away(breaker, 131.0, 4.0)
    entered(breaker, 130.5)


def test_a_ticket_has_a_say_until_the_state_changes() -> None:
    breaker = Breaker("openai", IN_A_ROW)
    ticket = entered(breaker, 100.0)
    assert breaker.has_a_say(ticket)
    breaker.trip(100.0, 30.0)
    assert not breaker.has_a_say(ticket)
    probe = entered(breaker, 130.0)
    assert breaker.has_a_say(probe)
    breaker.reset(130.0)
    assert not breaker.has_a_say(probe)


def test_a_lost_probe_gives_its_place_back_when_its_lease_ends_and_closes_nothing() -> None:
    breaker = opened(IN_A_ROW, 100.0)
    for second in (130.0, 131.0, 132.0):
        entered(breaker, second)
    refused(breaker, 159.75)
    entered(breaker, 160.0)
    refused(breaker, 160.0)
    entered(breaker, 161.0)
    assert breaker.state(161.0) is State.HALF_OPEN


@pytest.mark.parametrize(("outcome", "state"), [(SUCCESS, State.CLOSED), (FAILURE, State.OPEN)])
def test_a_lost_probe_that_reports_in_its_generation_still_counts(outcome: Outcome, state: State) -> None:
    breaker = opened(BreakerRule(max_requests=1), 100.0)
    lost = entered(breaker, 130.0)
    entered(breaker, 160.0)
    assert breaker.leave(lost, outcome, 170.0) is (outcome is FAILURE)
    assert breaker.state(170.0) is state


@pytest.mark.parametrize(
    ("age", "wait"), [(0.0, LEAST_WAIT), (0.5, LEAST_WAIT), (2.0, 2.0), (15.0, 15.0), (20.0, 10.0), (29.75, 0.25)]
)
def test_while_all_probes_are_out_the_wait_is_as_long_as_the_oldest_has_taken(age: float, wait: float) -> None:
    breaker = opened(IN_A_ROW, 100.0)
    for _ in range(3):
        entered(breaker, 130.0)
    assert refused(breaker, 130.0 + age).retry_after == wait


def test_a_clock_that_steps_back_does_not_open_it_again_nor_keep_a_lost_place() -> None:
    breaker = opened(IN_A_ROW, 5000.0)
    for _ in range(3):
        entered(breaker, 5030.0)
    assert breaker.state(5010.0) is State.HALF_OPEN
    assert refused(breaker, 1000.0).retry_after == LEAST_WAIT
    refused(breaker, 1029.75)
    entered(breaker, 1030.0)


@given(
    steps=st.lists(st.tuples(st.floats(0.0, 200.0), st.integers(0, 3), st.sampled_from(Outcome)), max_size=60),
    now=st.floats(0.0, 200.0),
)
def test_whatever_the_clock_did_a_probe_goes_within_a_break_and_a_lease(
    steps: list[tuple[float, int, Outcome]], now: float
) -> None:
    rule = BreakerRule(failure_threshold=2, interval=5.0, timeout=8.0, lease=4.0, max_requests=2)
    breaker, tickets = Breaker("openai", rule), list[Ticket]()
    for at, action, outcome in steps:
        answer = breaker.enter(at)
        if isinstance(answer, Ticket):
            tickets.append(answer)
        if action == 0:
            breaker.trip(at, 8.0)
        elif tickets:
            breaker.leave(tickets.pop(-action if action <= len(tickets) else 0), outcome, at)
    assert any(isinstance(breaker.enter(now + later), Ticket) for later in (0.0, 8.0, 8.0 + 4.0))
