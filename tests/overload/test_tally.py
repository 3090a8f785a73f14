"""`TallyWindow`: what counts, for how long, and in how much memory."""

from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload.tally import PARTS, Tally, TallyWindow


def add(window: TallyWindow, now: float, *, failed: bool = False, slow: bool = False) -> Tally:
    return window.add(now, failed=failed, slow=slow)


def test_a_call_failed_or_was_slow_or_neither() -> None:
    window = TallyWindow(10.0)
    add(window, 100.0)
    add(window, 100.0, failed=True)
    add(window, 100.0, slow=True)
    assert add(window, 100.0, failed=True, slow=True) == Tally(calls=4, failures=2, slow=1)


@given(gaps=st.lists(st.floats(0.0, 4.0), min_size=1, max_size=60), later=st.floats(0.0, 12.0))
def test_a_call_counts_for_nine_tenths_of_the_interval_and_never_longer_than_all_of_it(
    gaps: list[float], later: float
) -> None:
    window, now, calls = TallyWindow(10.0), 100.0, list[float]()
    for gap in gaps:
        window.at(now + gap / 2)
        now += gap
        calls.append(now)
        add(window, now, failed=True)
    now += later
    tally = window.at(now)
    assert sum(now - call < 8.999 for call in calls) <= tally.calls <= sum(now - call < 10.001 for call in calls)
    assert tally.failures == tally.calls


def test_parts_leave_one_after_the_other_with_all_that_they_counted() -> None:
    window = TallyWindow(10.0)
    add(window, 100.0, slow=True)
    add(window, 100.75, failed=True)
    add(window, 101.0, slow=True)
    add(window, 102.25)
    assert window.at(109.75) == Tally(calls=4, failures=1, slow=2)
    assert window.at(110.0) == Tally(calls=2, failures=0, slow=1)
    assert window.at(111.0) == Tally(calls=1)
    assert window.at(112.0) == Tally(calls=1)
    assert window.at(112.25) == Tally()


def test_its_memory_does_not_grow_with_the_calls() -> None:
    window = TallyWindow(10.0)
    for number in range(1000):
        add(window, 100.0 + number / 8)
        assert len(window._parts) <= PARTS
    assert len(window._parts) == PARTS
