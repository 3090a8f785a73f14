"""What usage costs."""

from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.price import PER, Price
from aibridge.domain.usage import Usage

DOLLAR = 1_000_000_000
tokens = st.integers(0, 10**9)
prices = st.integers(0, 10**12)


def test_each_class_of_tokens_has_its_own_price() -> None:
    price = Price(input=3 * DOLLAR, output=15 * DOLLAR, cache_read=DOLLAR * 3 // 10, cache_write=DOLLAR * 15 // 4)
    usage = Usage(
        input_tokens=1_000_000,
        output_tokens=2_000_000,
        cache_read_input_tokens=10_000_000,
        cache_write_input_tokens=4_000_000,
    )
    assert price.of(usage) == (3 + 30 + 3 + 15) * DOLLAR


def test_the_prompt_cache_costs_as_much_as_other_input_unless_it_has_a_price() -> None:
    usage = Usage(cache_read_input_tokens=1_000_000, cache_write_input_tokens=1_000_000)
    assert Price(input=5, output=0).of(usage) == 10
    assert Price(input=5, output=0, cache_read=0, cache_write=1).of(usage) == 1


def test_a_part_of_a_nano_dollar_counts_as_a_whole_one() -> None:
    assert Price(input=1, output=0).of(Usage(input_tokens=1)) == 1
    assert Price(input=1, output=0).of(Usage(input_tokens=PER + 1)) == 2
    assert Price(input=1, output=1).of(Usage()) == 0


@given(input_price=prices, output_price=prices, inputs=tokens, outputs=tokens, more=tokens)
def test_a_cost_is_whole_and_never_less_for_more(
    input_price: int, output_price: int, inputs: int, outputs: int, more: int
) -> None:
    price = Price(input=input_price, output=output_price)
    less = price.of(Usage(input_tokens=inputs, output_tokens=outputs))
    assert less <= price.of(Usage(input_tokens=inputs + more, output_tokens=outputs + more))
    assert less * PER - (inputs * input_price + outputs * output_price) in range(PER)
