"""Anthropic Messages: `POST v1/messages`.

A stream is named events: `message_start` holds the message with the usage so far, `message_delta` near the end the
cumulative usage, `message_stop` ends it; `ping` and `error` may come at any time. `input_tokens` excludes what came
from or went into the prompt cache.
"""

from typing import TypeAlias

import msgspec

from aibridge.domain.errors import CallError
from aibridge.domain.usage import Usage
from aibridge.wire.dialect import Dialect, Reading, UsageReader, View
from aibridge.wire.errors import AnthropicFamily, anthropic_error, server_sent
from aibridge.wire.event import Event
from aibridge.wire.lenient import (
    Count,
    Identifier,
    MaxTokens,
    ProviderError,
    Text,
    decoder_of,
    error_type,
    identifier,
)
from aibridge.wire.readers import reader_of, source_of, whole_body
from aibridge.wire.request import Body, peeker_of

_NEEDLES = (b'"message_', b'"error"')

_LONGEST_METADATA = 4096
_LEGACY_SESSION = "_session_"


class _Request(Body, frozen=True, gc=False):
    metadata: msgspec.Raw = msgspec.Raw()
    max_tokens: MaxTokens = None


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    user_id: str


class _ClaudeCodeUser(msgspec.Struct, frozen=True, gc=False):
    """What recent Claude Code puts into `metadata.user_id`, as a string of JSON."""

    session_id: str


class _CacheCreation(msgspec.Struct, frozen=True, gc=False):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class _ServerToolUse(msgspec.Struct, frozen=True, gc=False):
    web_search_requests: Count = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    input_tokens: Count = None
    output_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation: _CacheCreation | None = None
    server_tool_use: _ServerToolUse | None = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    """A message, or the body of an error."""

    id: Identifier = None
    usage: _Usage | None = None
    error: ProviderError | None = None


class _StreamEvent(msgspec.Struct, frozen=True, gc=False):
    type: Text = None
    message: _Message | None = None
    usage: _Usage | None = None
    error: ProviderError | None = None


_request = peeker_of(_Request)
_metadata = decoder_of(_Metadata)
_claude_code_user = decoder_of(_ClaudeCodeUser)
_message = decoder_of(_Message)
_stream_event = decoder_of(_StreamEvent)

_NO_CACHE_CREATION = _CacheCreation()
_NO_SERVER_TOOL_USE = _ServerToolUse()
_NAMELESS = ProviderError()

_Counts: TypeAlias = tuple[int | None, ...]
"""The seven counts of `_counts_of`."""
_NO_COUNTS: _Counts = (None,) * 7


class _Tally:
    __slots__ = ("_counts", "_error", "_final", "_response_id", "_whole")

    def __init__(self) -> None:
        self._response_id: str | None = None
        self._error: str | None = None
        self._counts = _NO_COUNTS
        self._final = False
        self._whole = False

    def see_event(self, event: Event) -> None:
        told = _stream_event(event.data)
        if told is None:
            return
        match told.type:
            case "message_start":
                if told.message is not None:
                    self._learn(told.message)
            case "message_delta":
                self._final = self._add(told.usage) or self._final
            case "message_stop":
                self._whole = True
            case "error":
                self._error = self._error or error_type(told.error or _NAMELESS)

    def _learn(self, message: _Message) -> None:
        self._response_id = self._response_id or message.id
        self._error = self._error or error_type(message.error)
        self._add(message.usage)

    def _add(self, usage: _Usage | None) -> bool:
        """Take over the counts that are there: the latest of each kind is the whole of it so far."""
        counts = _counts_of(usage)
        self._counts = tuple([old if new is None else new for old, new in zip(self._counts, counts, strict=True)])
        return counts != _NO_COUNTS

    def reading(self) -> Reading:
        usage = _usage_of(self._counts)
        return Reading(
            usage=usage,
            source=source_of(usage, final=self._final),
            response_id=self._response_id,
            error=self._error,
            whole=self._whole,
        )


def _read(body: bytes | bytearray) -> Reading:
    message = _message(body)
    if message is None:
        return Reading()
    return whole_body(message.id, error_type(message.error), _usage_of(_counts_of(message.usage)))


def _counts_of(usage: _Usage | None) -> _Counts:
    if usage is None:
        return _NO_COUNTS
    cache_creation = usage.cache_creation or _NO_CACHE_CREATION
    server_tool_use = usage.server_tool_use or _NO_SERVER_TOOL_USE
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        cache_creation.ephemeral_5m_input_tokens,
        cache_creation.ephemeral_1h_input_tokens,
        server_tool_use.web_search_requests,
    )


def _usage_of(counts: _Counts) -> Usage | None:
    if counts == _NO_COUNTS:
        return None
    read, written, cache_read, cache_written, written_5m, written_1h, searches = counts
    extra = {}
    if cache_read:
        extra["cache_read_input"] = cache_read
    if cache_written:
        extra["cache_creation_input"] = cache_written
    if written_5m:
        extra["cache_ephemeral_5m_input"] = written_5m
    if written_1h:
        extra["cache_ephemeral_1h_input"] = written_1h
    if searches:
        extra["web_search_requests"] = searches
    return Usage(
        input_tokens=read or 0,
        output_tokens=written or 0,
        cache_read_input_tokens=cache_read or 0,
        cache_write_input_tokens=cache_written or 0,
        extra=extra,
    )


def _session_hint(metadata: msgspec.Raw) -> str | None:
    """The session id in `metadata.user_id`: a member of a string of JSON, or the end of a name of the older form."""
    if not 0 < len(metadata) <= _LONGEST_METADATA:
        return None
    known = _metadata(metadata)
    if known is None:
        return None
    if known.user_id.startswith("{"):
        user = _claude_code_user(known.user_id.encode())
        session = user.session_id if user else ""
    else:
        session = known.user_id.rpartition(_LEGACY_SESSION)[2] if _LEGACY_SESSION in known.user_id else ""
    return identifier(session) if session.isprintable() else None


class _AnthropicMessages(AnthropicFamily):
    name = "anthropic.messages"

    def peek(self, body: bytes) -> View:
        request = _request(body)
        return View(
            model=request.model,
            stream=request.stream is True,
            session_hint=_session_hint(request.metadata),
            max_output_tokens=request.max_tokens,
        )

    def reader(self, *, streaming: bool, content_encoding: bytes | None) -> UsageReader:
        return reader_of(_read, _Tally, _NEEDLES, streaming=streaming, content_encoding=content_encoding)

    def render_event(self, error: CallError, request_id: str) -> bytes:
        # An event left open becomes a ping, which every client ignores: its half of JSON would hide the error.
        data = {"type": "error", "error": anthropic_error(error), "request_id": request_id}
        return b"\nevent: ping\n\n" + server_sent(data, "error")


DIALECT: Dialect = _AnthropicMessages()
