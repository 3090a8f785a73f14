"""What a call may use, before anybody knows; and what it used, as the rules count it.

A limit on tokens or cost takes the estimate when a call is admitted and corrects it to the truth at its end. So an
estimate need not be good: one that is too low lets calls overlap that together spend more than there was, one that is
too high refuses calls while others are under way that would have left room.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from aibridge.domain.price import Price
from aibridge.domain.rule import Unit
from aibridge.domain.usage import Usage
from aibridge.limits.matching import REMEMBERED, matching

BYTES_PER_TOKEN: Final = 4
"""The vendors' own rule of thumb: about four characters of English are a token (OpenAI's help centre, "What are tokens
and how to count them?"; Anthropic's glossary says 3.5). Code has more tokens to the byte; the body's own JSON, which is
counted along, makes up for some of it."""

BYTES_PER_STREAMED_TOKEN: Final = 200
"""An event of OpenAI's chat streams is 200 to 300 bytes long and carries a token or a few: nearly all is framing."""

DEFAULT_OUTPUT_TOKENS: Final = 1024
"""Expected of a call that sets itself no limit: few answers are longer, and the truth is known soon."""


class Size:
    """What a request says of how much it may use. `max_output_tokens` is absent where it sets itself no limit."""

    __slots__ = ("body_bytes", "max_output_tokens", "model")

    def __init__(self, *, model: str, body_bytes: int, max_output_tokens: int | None = None) -> None:
        self.model = model
        self.body_bytes = body_bytes
        self.max_output_tokens = max_output_tokens


def expected(size: Size) -> Usage:
    """What a call may use, by its request."""
    return Usage(input_tokens=_tokens(size.body_bytes), output_tokens=_expected_output(size))


def expected_tokens(size: Size) -> int:
    """How many tokens a call may use, by its request."""
    return _tokens(size.body_bytes) + _expected_output(size)


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


def _expected_output(size: Size) -> int:
    return DEFAULT_OUTPUT_TOKENS if size.max_output_tokens is None else size.max_output_tokens


class Measure(ABC):
    """How much a usage of a model is, as a rule counts."""

    @abstractmethod
    def of(self, usage: Usage, model: str) -> float:
        """How much this usage is."""

    @abstractmethod
    def of_expected(self, size: Size) -> float:
        """How much it is that a call of this size may use."""


class _Tokens(Measure):
    """Tokens, of one direction or both.

    What goes in counts from the prompt cache or not: the provider's limits and a person's prompt know no difference.
    """

    __slots__ = ("_in", "_out")

    def __init__(self, *, in_: bool, out: bool) -> None:
        self._in = in_
        self._out = out

    def of(self, usage: Usage, model: str) -> float:  # noqa: ARG002 (the same for all models)
        tokens = 0
        if self._in:
            tokens = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens
        if self._out:
            tokens += usage.output_tokens
        return float(tokens)

    def of_expected(self, size: Size) -> float:
        tokens = 0
        if self._in:
            tokens = _tokens(size.body_bytes)
        if self._out:
            tokens += _expected_output(size)
        return float(tokens)


class _Cost(Measure):
    """Nano-dollars, by a tariff."""

    __slots__ = ("_price",)

    def __init__(self, price: Callable[[str], Price]) -> None:
        self._price = price

    def of(self, usage: Usage, model: str) -> float:
        return float(self._price(model).of(usage))

    def of_expected(self, size: Size) -> float:
        return self.of(expected(size), size.model)


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

    def measure(self, unit: Unit) -> Measure:
        """How much of a weighed unit a usage of a model is; cost is in nano-dollars.

        Raises:
            ValueError: the unit is not weighed.
        """
        match unit:
            case Unit.INPUT_TOKENS:
                return _Tokens(in_=True, out=False)
            case Unit.OUTPUT_TOKENS:
                return _Tokens(in_=False, out=True)
            case Unit.TOTAL_TOKENS:
                return _Tokens(in_=True, out=True)
            case Unit.COST:
                return _Cost(self.price)
            case _:
                raise ValueError(f"{unit} is not weighed")
