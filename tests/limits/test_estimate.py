"""What a call may use, and what its usage is to each rule."""

import pytest

from aibridge.domain.price import Price
from aibridge.domain.rule import Unit
from aibridge.domain.usage import Usage
from aibridge.limits.estimate import Size, Tariff, estimated, expected

USAGE = Usage(input_tokens=10, output_tokens=7, cache_read_input_tokens=200, cache_write_input_tokens=30)


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (100_000, 25_000)])
def test_four_bytes_are_a_token_and_a_part_counts_as_one(size: int, tokens: int) -> None:
    assert expected(Size(model="m", body_bytes=size)).input_tokens == tokens


def test_an_answer_is_expected_to_be_as_long_as_it_may_be() -> None:
    assert expected(Size(model="m", body_bytes=8, max_output_tokens=50)) == Usage(input_tokens=2, output_tokens=50)
    assert expected(Size(model="m", body_bytes=8)) == Usage(input_tokens=2, output_tokens=1024)


def test_a_silent_provider_is_counted_by_its_bytes_but_never_above_what_was_allowed() -> None:
    size = Size(model="m", body_bytes=8, max_output_tokens=50)
    assert estimated(size, 100, streamed=False) == Usage(input_tokens=2, output_tokens=25)
    assert estimated(size, 10_000, streamed=False) == Usage(input_tokens=2, output_tokens=50)
    assert estimated(size, 1001, streamed=True) == Usage(input_tokens=2, output_tokens=6)
    assert estimated(Size(model="m", body_bytes=9), 10_000, streamed=False) == Usage(input_tokens=3, output_tokens=2500)
    assert estimated(Size(model="m", body_bytes=8), 0, streamed=True) == Usage(input_tokens=2)


def test_input_counts_from_the_cache_or_not() -> None:
    tariff = Tariff([Price(input=1_000_000, output=2_000_000, cache_read=0)])
    assert tariff.measure(Unit.INPUT_TOKENS).of(USAGE, "m") == 240
    assert tariff.measure(Unit.OUTPUT_TOKENS).of(USAGE, "m") == 7
    assert tariff.measure(Unit.TOTAL_TOKENS).of(USAGE, "m") == 247
    assert tariff.measure(Unit.COST).of(USAGE, "m") == 10 + 30 + 14


@pytest.mark.parametrize("unit", [Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS, Unit.TOTAL_TOKENS, Unit.COST])
@pytest.mark.parametrize("most", [50, None])
def test_what_is_expected_weighs_as_much_as_the_usage_it_stands_for(unit: Unit, most: int | None) -> None:
    measure = Tariff([Price(input=1_000_000, output=2_000_000)]).measure(unit)
    size = Size(model="m", body_bytes=41, max_output_tokens=most)
    assert measure.of_expected(size) == measure.of(expected(size), "m") > 0


@pytest.mark.parametrize("unit", [Unit.REQUESTS, Unit.CONCURRENT])
def test_what_is_not_weighed_has_no_weight(unit: Unit) -> None:
    with pytest.raises(ValueError, match=f"{unit} is not weighed"):
        Tariff(()).measure(unit)


def test_the_first_price_that_matches_counts() -> None:
    special, cheap, other = (
        Price(model="gpt-5", input=3, output=3),
        Price(model="gpt-*", input=1, output=1),
        Price(input=2, output=2),
    )
    tariff = Tariff([special, cheap, other])
    assert [tariff.price(model) for model in ("gpt-5", "gpt-5-mini", "claude")] == [special, cheap, other]


def test_a_model_without_a_price_costs_as_much_as_the_dearest() -> None:
    tariff = Tariff([Price(model="a", input=3, output=1, cache_read=1), Price(model="b", input=1, output=9)])
    assert tariff.price("new") == Price(input=3, output=9)
    assert Tariff(()).measure(Unit.COST).of(USAGE, "m") == 0
