"""Anthropic Messages: `POST v1/messages`.

A stream is named events: `message_start` holds the message with the usage so far, `message_delta` near the end the
cumulative usage, `message_stop` ends it; `ping` and `error` may come at any time. `input_tokens` excludes what came
from or went into the prompt cache.
"""

from typing import Final, TypeAlias

import msgspec

from aibridge.domain.errors import CallError
from aibridge.domain.usage import Usage
from aibridge.wire.dialect import Dialect, Reading, UsageReader, View
from aibridge.wire.errors import AnthropicFamily, anthropic_error, server_sent
from aibridge.wire.event import Event
from aibridge.wire.lenient import decoder_of, error_type, identifier
from aibridge.wire.readers import reader_of, source_of, whole_body
from aibridge.wire.request import peeker_of
from aibridge.wire.schema import anthropic_messages as schema
from aibridge.wire.schema.common import ProviderError

_NEEDLES: Final = (b'"message_', b'"error"')

_LONGEST_METADATA = 4096
_LEGACY_SESSION = "_session_"


_request: Final = peeker_of(schema.Request)
_metadata: Final = decoder_of(schema.Metadata)
_claude_code_user: Final = decoder_of(schema.ClaudeCodeUser)
_message: Final = decoder_of(schema.Message)
_stream_event: Final = decoder_of(schema.StreamEvent)

_NO_CACHE_CREATION: Final = schema.CacheCreation()
_NO_SERVER_TOOL_USE: Final = schema.ServerToolUse()
_NAMELESS: Final = ProviderError()

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

    def _learn(self, message: schema.Message) -> None:
        self._response_id = self._response_id or message.id
        self._error = self._error or error_type(message.error)
        self._add(message.usage)

    def _add(self, usage: schema.Usage | None) -> bool:
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


def _counts_of(usage: schema.Usage | None) -> _Counts:
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
