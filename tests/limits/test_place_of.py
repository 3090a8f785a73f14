"""Where a call waits, and for how many calls it counts there."""

import pytest
from engine_world import ADA, caller

from aibridge.limits.counts import Place
from aibridge.limits.engine import Size
from aibridge.limits.estimate import BYTES_PER_TOKEN, DEFAULT_OUTPUT_TOKENS
from aibridge.limits.scope import place_of


@pytest.mark.parametrize(
    ("input_tokens", "max_output_tokens", "weight"),
    [
        (0, 0, 1.0),
        (900, 100, 1.0),
        (1000, 500, 1.5),
        (0, 32_000, 32.0),
        (1000, None, 1.0 + DEFAULT_OUTPUT_TOKENS / 1e3),
    ],
)
def test_a_call_counts_for_each_thousand_tokens_it_may_use_and_for_one_at_least(
    input_tokens: int, max_output_tokens: int | None, weight: float
) -> None:
    size = Size(model="m", body_bytes=input_tokens * BYTES_PER_TOKEN, max_output_tokens=max_output_tokens)
    assert place_of(caller(), size).weight == weight


def test_a_call_whose_size_is_not_known_yet_counts_for_one() -> None:
    assert place_of(caller(), None).weight == 1.0


def test_a_call_waits_with_those_of_its_actor_within_its_organization_and_by_its_address_without_one() -> None:
    assert place_of(caller(), None) == Place(flow=ADA.id, group=ADA.organization_id)
    assert place_of(caller(batch=True), None) == Place(flow=ADA.id, group=ADA.organization_id, batch=True)
    assert place_of(caller(None, address="192.0.2.7"), None) == Place(flow="192.0.2.7")
