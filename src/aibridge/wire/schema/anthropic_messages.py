"""Anthropic Messages, as its reference has it ("Messages"): the request, the message and the event of a stream."""

import msgspec

from aibridge.wire.schema.common import Body, Count, Identifier, MaxTokens, ProviderError, Text


class Request(Body, frozen=True, gc=False):
    """What a caller sends."""

    metadata: msgspec.Raw = msgspec.Raw()
    max_tokens: MaxTokens = None


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """What a caller says of itself."""

    user_id: str


class ClaudeCodeUser(msgspec.Struct, frozen=True, gc=False):
    """What recent Claude Code puts into `metadata.user_id`, as a string of JSON."""

    session_id: str


class CacheCreation(msgspec.Struct, frozen=True, gc=False):
    """What `cache_creation_input_tokens` are made of, by how long they are kept."""

    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class ServerToolUse(msgspec.Struct, frozen=True, gc=False):
    """How often the vendor's own tools were used."""

    web_search_requests: Count = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """The vendor's count; what came from or went into the prompt cache is counted apart."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message, or the body of an error."""

    id: Identifier = None
    usage: Usage | None = None
    error: ProviderError | None = None


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of a stream, whichever of them."""

    type: Text = None
    message: Message | None = None
    usage: Usage | None = None
    error: ProviderError | None = None
