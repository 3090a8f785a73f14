"""What a call used, in tokens."""

from enum import StrEnum

import msgspec


class UsageSource(StrEnum):
    """Where the numbers come from, so that nobody mistakes a part for the whole."""

    PROVIDER = "provider"
    """The provider's own final count."""
    PARTIAL = "partial"
    """The provider's count up to the point where the stream was cut."""
    ESTIMATED = "estimated"
    """The provider was at work and reported nothing: worked out from the sizes of request and answer."""
    UNKNOWN = "unknown"
    """The provider reported nothing, or nothing that could be read."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Token counts of one response, each class apart.

    `input_tokens` excludes what came from or went into the provider's prompt cache, whatever the provider's own
    convention (OpenAI counts cached tokens in, Anthropic does not). `extra` holds the provider's further kinds under
    the names of the ledger, for example `output_reasoning` or `cache_ephemeral_1h_input`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    extra: dict[str, int] = {}
