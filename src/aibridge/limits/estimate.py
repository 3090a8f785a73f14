"""What a call may use, before anybody knows; and what it used, as the rules count it.

A limit on tokens or cost takes the estimate when a call is admitted and corrects it to the truth at its end. So an
estimate need not be good: one that is too low lets calls overlap that together spend more than there was, one that is
too high refuses calls while others are under way that would have left room.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from aibridge.domain.price import Price
from aibridge.domain.rule import Unit
from aibridge.domain.usage import Usage
from aibridge.limits.matching import REMEMBERED, matching

BYTES_PER_TOKEN = 4
"""The vendors' own rule of thumb: about four characters of English are a token (OpenAI's help centre, "What are tokens
and how to count them?"; Anthropic's glossary says 3.5). Code has more tokens to the byte; the body's own JSON, which is
counted along, makes up for some of it."""

BYTES_PER_STREAMED_TOKEN = 200
"""An event of OpenAI's chat streams is 200 to 300 bytes long and carries a token or a few: nearly all is framing."""

DEFAULT_OUTPUT_TOKENS = 1024
"""Expected of a call that sets itself no limit: few answers are longer, and the truth is known soon."""


class Size(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a request says of how much it may use. `max_output_tokens` is absent where it sets itself no limit."""

    model: str
    body_bytes: int
    max_output_tokens: int | None = None


def expected(size: Size) -> Usage:
    """What a call may use, by its request."""
    output = DEFAULT_OUTPUT_TOKENS if size.max_output_tokens is None else size.max_output_tokens
    return Usage(input_tokens=_tokens(size.body_bytes), output_tokens=output)


def estimated(size: Size, answer_bytes: int, *, streamed: bool) -> Usage:
    """What a call used whose provider was at work and did not say: by the bytes of its request and of its answer.

    Never more output than the request allowed itself.
    """
    output = -(-answer_bytes // BYTES_PER_STREAMED_TOKEN) if streamed else _tokens(answer_bytes)
    if size.max_output_tokens is not None:
        output = min(output, size.max_output_tokens)
    return Usage(input_tokens=_tokens(size.body_bytes), output_tokens=output)


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


class Tariff:
    """The price of each model: the first in the list whose pattern matches it.

    A model that nobody gave a price costs as much as the dearest of the list: a new one must neither be free of a
    budget nor be shut out by it. Without any price nothing costs.
    """

    def __init__(self, prices: Sequence[Price]) -> None:
        self._prices = tuple((matching([price.model]), price) for price in prices)
        self._dearest = Price(
            input=max((price.input for price in prices), default=0),
            output=max((price.output for price in prices), default=0),
        )
        self.price = lru_cache(REMEMBERED)(self._price)
        """The price of a model, by its name."""

    def _price(self, model: str) -> Price:
        for matches, price in self._prices:
            if matches(model):
                return price
        return self._dearest

    def measure(self, unit: Unit) -> "Measure":
        """How much of a weighed unit a usage of a model is; cost is in nano-dollars.

        Raises:
            ValueError: the unit is not weighed.
        """
        match unit:
            case Unit.INPUT_TOKENS:
                return lambda usage, _: float(_input(usage))
            case Unit.OUTPUT_TOKENS:
                return lambda usage, _: float(usage.output_tokens)
            case Unit.TOTAL_TOKENS:
                return lambda usage, _: float(_input(usage) + usage.output_tokens)
            case Unit.COST:
                return lambda usage, model: float(self.price(model).of(usage))
            case _:
                raise ValueError(f"{unit} is not weighed")


Measure = Callable[[Usage, str], float]
"""How much a usage of a model is, as a rule counts."""


def _input(usage: Usage) -> int:
    """What goes in, from the prompt cache or not: the provider's limits and a person's prompt know no difference."""
    return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens
