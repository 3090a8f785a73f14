"""OpenAI Responses, as its reference has it ("Responses"): the request, the response and the event of a stream."""

import msgspec

from aibridge.wire.schema.common import Body, Count, Identifier, MaxTokens, ProviderError, Text


class Request(Body, frozen=True, gc=False):
    """What a caller sends."""

    background: bool | None = None
    max_output_tokens: MaxTokens = None


class InputDetails(msgspec.Struct, frozen=True, gc=False):
    """What `input_tokens` are made of."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    """What `output_tokens` are made of."""

    reasoning_tokens: Count = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """The vendor's count; what came from the prompt cache is counted in."""

    input_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Response(msgspec.Struct, frozen=True, gc=False):
    """An answer in one body or in an event, or the body of an error."""

    id: Identifier = None
    usage: Usage | None = None
    error: ProviderError | None = None


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of a stream. That of an error has its fields flat by the reference, nested by the service."""

    type: Text = None
    response: Response | None = None
    error: ProviderError | None = None
    code: Text = None
