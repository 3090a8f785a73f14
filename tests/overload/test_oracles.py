"""Other people's limiters as oracles: the same arrivals get the same decisions.

`limits` counts the calls of a window that includes both its ends, so arrivals here never fall exactly on one.
"""

import types

import pytest
import throttled.utils
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.storage.memory import MemoryStorage
from throttled import RateLimiterType, Throttled, rate_limiter, store

from aibridge.overload.rate import ExactWindow, Gcra

ARRIVALS = st.lists(st.integers(0, 40), min_size=1, max_size=200)
"""Sixty-fourths of a second between one call and the next."""


def instants(gaps: list[int]) -> list[float]:
    """Arrivals on a grid that floats hold exactly, each off it by a microsecond more than the one before."""
    at = 1000.0
    moments = []
    for number, gap in enumerate(gaps):
        at += gap / 64
        moments.append(at + number / (1 << 20))
    return moments


@settings(max_examples=100, deadline=None)
@given(gaps=ARRIVALS, limit=st.integers(1, 20))
def test_an_exact_window_decides_as_the_moving_window_of_limits_does(gaps: list[int], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        clock = types.SimpleNamespace(time=lambda: now[0])
        patch.setattr("limits.storage.memory.time", clock)
        patch.setattr(MemoryStorage, "_MemoryStorage__schedule_expiry", lambda _: None)  # no thread, nothing forgotten
        oracle = MemoryStorage()
        ours = ExactWindow(limit, 1.0)
        for now[0] in instants(gaps):
            assert (ours.take(now[0]) is None) is oracle.acquire_entry("key", limit, 1)


@settings(max_examples=100, deadline=None)
@given(gaps=ARRIVALS, burst=st.integers(1, 20), rate=st.sampled_from([1, 2, 8, 32]), cost=st.integers(1, 3))
def test_gcra_decides_and_waits_as_that_of_throttled_does(gaps: list[int], burst: int, rate: int, cost: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        patch.setattr(throttled.utils, "now_mono_f", lambda: now[0])
        quota = rate_limiter.per_sec(rate, burst=burst)
        oracle = Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store.MemoryStore())
        ours = Gcra(rate, burst, "gcra")
        cost = min(cost, burst)
        for now[0] in instants(gaps):
            theirs = oracle.limit("key", cost)
            rejection = ours.take(now[0], cost)
            assert (rejection is not None) is theirs.limited
            if rejection is not None:
                assert rejection.retry_after == pytest.approx(theirs.state.retry_after, abs=1e-6)
