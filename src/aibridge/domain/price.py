"""What models cost, as the operator writes it down."""

import msgspec

from aibridge.domain.usage import Usage

PER = 1_000_000
"""Tokens that a price is for, as the vendors' price lists have it."""


class Price(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a million tokens of some models cost, in nano-dollars.

    `model` is a pattern with `*` and `?`. What comes from the provider's prompt cache, or goes into it, costs as much
    as other input unless it has a price of its own.
    """

    model: str = "*"
    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None

    def of(self, usage: Usage) -> int:
        """What this usage costs, in nano-dollars; a part of one counts as a whole one."""
        cache_read = self.input if self.cache_read is None else self.cache_read
        cache_write = self.input if self.cache_write is None else self.cache_write
        total = (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_input_tokens * cache_read
            + usage.cache_write_input_tokens * cache_write
        )
        return -(-total // PER)
