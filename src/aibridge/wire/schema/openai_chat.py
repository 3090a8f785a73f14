"""OpenAI Chat Completions, as its reference has it ("Chat"): the request, the completion and the chunk of a stream."""

import msgspec

from aibridge.wire.schema.common import Body, Count, Identifier, Junk, MaxTokens, ProviderError


class Request(Body, frozen=True, gc=False):
    """What a caller sends."""

    max_completion_tokens: MaxTokens = None
    max_tokens: MaxTokens = None
    """Its older name, which other providers know only."""


class PromptDetails(msgspec.Struct, frozen=True, gc=False):
    """What `prompt_tokens` are made of."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None


class CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    """What `completion_tokens` are made of."""

    reasoning_tokens: Count = None
    accepted_prediction_tokens: Count = None
    rejected_prediction_tokens: Count = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """The vendor's count; what came from the prompt cache is counted in."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Completion(msgspec.Struct, frozen=True, gc=False):
    """An answer in one body, or the body of an error."""

    id: Identifier = None
    usage: Usage | None = None
    error: ProviderError | None = None


class Chunk(Completion, frozen=True, gc=False):
    """An event of a stream."""

    choices: list[msgspec.Raw] | Junk = None
