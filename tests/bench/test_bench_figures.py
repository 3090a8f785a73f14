import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import percentile, ratios, shown, spread


def test_a_spread_is_the_middle_round_and_the_outermost() -> None:
    found = spread([5.0, 1.0, 9.0, 2.0, 3.0])
    assert (found.median, found.least, found.most) == (3.0, 1.0, 9.0)


def test_ratios_are_taken_within_rounds_and_so_free_of_drift() -> None:
    # The machine gets slower from round to round; one side costs twice the other in each.
    assert ratios([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == [2.0, 2.0, 2.0]


def test_rounds_that_do_not_match_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("share", "expected"), [(0.01, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1.0))
def test_at_least_the_share_is_not_above_its_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (1.0, "1.00"),
        (17.25, "17.2"),
        (101.4, "101"),
        (25_131.0, "25,131"),
        (-3.2, "-3.20"),
    ],
)
def test_three_digits_are_shown(value: float, text: str) -> None:
    assert shown(value) == text
