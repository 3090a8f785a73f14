"""Anthropic Messages: `POST v1/messages`.

A stream is named events: `message_start` holds the message with the usage so far, `message_delta` near the end the
cumulative usage, `message_stop` ends it; `ping` and `error` may come at any time. `input_tokens` excludes what came
from or went into the prompt cache.
"""

import msgspec

from aibridge.domain.errors import CallError
from aibridge.domain.usage import Usage
from aibridge.wire.dialect import Dialect, Reading, UsageReader, View
from aibridge.wire.errors import AnthropicFamily, anthropic_error, server_sent
from aibridge.wire.lenient import (
    Junk,
    ProviderError,
    count,
    decoded,
    decoder_of,
    error_type,
    identifier,
    nonzero,
    present,
    written_count,
)
from aibridge.wire.readers import reader_of, source_of
from aibridge.wire.request import Body, understood
from aibridge.wire.sse import Event

_NEEDLES = (b'"message_', b'"error"')

_LONGEST_METADATA = 4096
_LEGACY_SESSION = "_session_"


class _Request(Body, frozen=True, gc=False):
    metadata: msgspec.Raw = msgspec.Raw()
    max_tokens: msgspec.Raw = msgspec.Raw()


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    user_id: str


class _ClaudeCodeUser(msgspec.Struct, frozen=True, gc=False):
    """What recent Claude Code puts into `metadata.user_id`, as a string of JSON."""

    session_id: str


class _CacheCreation(msgspec.Struct, frozen=True, gc=False):
    ephemeral_5m_input_tokens: object = None
    ephemeral_1h_input_tokens: object = None


class _ServerToolUse(msgspec.Struct, frozen=True, gc=False):
    web_search_requests: object = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    input_tokens: object = None
    output_tokens: object = None
    cache_creation_input_tokens: object = None
    cache_read_input_tokens: object = None
    cache_creation: _CacheCreation | Junk = None
    server_tool_use: _ServerToolUse | Junk = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    """A message, or the body of an error."""

    id: object = None
    usage: _Usage | Junk = None
    error: ProviderError | Junk = None


class _StreamEvent(msgspec.Struct, frozen=True, gc=False):
    type: object = None
    message: _Message | Junk = None
    usage: _Usage | Junk = None
    error: ProviderError | Junk = None


_request = msgspec.json.Decoder(_Request)
_metadata = msgspec.json.Decoder(_Metadata)
_claude_code_user = msgspec.json.Decoder(_ClaudeCodeUser)
_message = decoder_of(_Message)
_stream_event = decoder_of(_StreamEvent)

_NO_MESSAGE = _Message()
_NO_USAGE = _Usage()
_NO_CACHE_CREATION = _CacheCreation()
_NO_SERVER_TOOL_USE = _ServerToolUse()


class _Tally:
    __slots__ = ("_counts", "_error", "_final", "_response_id", "_whole")

    def __init__(self) -> None:
        self._response_id: str | None = None
        self._error: str | None = None
        self._counts: dict[str, int] = {}
        self._final = False
        self._whole = False

    def see_event(self, event: Event) -> None:
        told = decoded(_stream_event, event.data)
        if told is None:
            return
        match told.type:
            case "message_start":
                self._learn(present(told.message, _NO_MESSAGE))
            case "message_delta":
                self._final = self._add(told.usage) or self._final
            case "message_stop":
                self._whole = True
            case "error":
                self._error = self._error or error_type(told.error or ProviderError())

    def see_body(self, body: bytes | bytearray) -> None:
        message = decoded(_message, body)
        if message is not None:
            self._whole = True
            self._final = True
            self._learn(message)

    def _learn(self, message: _Message) -> None:
        self._response_id = self._response_id or identifier(message.id)
        self._error = self._error or error_type(message.error)
        self._add(message.usage)

    def _add(self, usage: _Usage | Junk) -> bool:
        """Take over the counts that are there: the latest of each kind is the whole of it so far."""
        counts = _counts_of(present(usage, _NO_USAGE))
        self._counts |= counts
        return bool(counts)

    def reading(self) -> Reading:
        usage = _usage_of(self._counts) if self._counts else None
        return Reading(
            usage=usage,
            source=source_of(usage, final=self._final),
            response_id=self._response_id,
            error=self._error,
            whole=self._whole,
        )


def _counts_of(usage: _Usage) -> dict[str, int]:
    cache_creation = present(usage.cache_creation, _NO_CACHE_CREATION)
    server_tool_use = present(usage.server_tool_use, _NO_SERVER_TOOL_USE)
    counts = {
        "input": count(usage.input_tokens),
        "output": count(usage.output_tokens),
        "cache_read_input": count(usage.cache_read_input_tokens),
        "cache_creation_input": count(usage.cache_creation_input_tokens),
        "cache_ephemeral_5m_input": count(cache_creation.ephemeral_5m_input_tokens),
        "cache_ephemeral_1h_input": count(cache_creation.ephemeral_1h_input_tokens),
        "web_search_requests": count(server_tool_use.web_search_requests),
    }
    return {kind: number for kind, number in counts.items() if number is not None}


def _usage_of(counts: dict[str, int]) -> Usage:
    return Usage(
        input_tokens=counts.get("input", 0),
        output_tokens=counts.get("output", 0),
        cache_read_input_tokens=counts.get("cache_read_input", 0),
        cache_write_input_tokens=counts.get("cache_creation_input", 0),
        extra=nonzero({kind: number for kind, number in counts.items() if kind not in {"input", "output"}}),
    )


def _session_hint(metadata: bytes) -> str | None:
    """The session id in `metadata.user_id`: a member of a string of JSON, or the end of a name of the older form."""
    if not 0 < len(metadata) <= _LONGEST_METADATA:
        return None
    known = decoded(_metadata, metadata)
    if known is None:
        return None
    if known.user_id.startswith("{"):
        user = decoded(_claude_code_user, known.user_id.encode())
        session = user.session_id if user else ""
    else:
        session = known.user_id.rpartition(_LEGACY_SESSION)[2] if _LEGACY_SESSION in known.user_id else ""
    return identifier(session) if session.isprintable() else None


class _AnthropicMessages(AnthropicFamily):
    name = "anthropic.messages"

    def peek(self, body: bytes) -> View:
        request = understood(_request, body)
        return View(
            model=request.model,
            stream=request.stream is True,
            session_hint=_session_hint(bytes(request.metadata)),
            max_output_tokens=written_count(request.max_tokens),
        )

    def reader(self, *, streaming: bool, content_encoding: bytes | None) -> UsageReader:
        return reader_of(_Tally(), _NEEDLES, streaming=streaming, content_encoding=content_encoding)

    def render_event(self, error: CallError, request_id: str) -> bytes:
        # An event left open becomes a ping, which every client ignores: its half of JSON would hide the error.
        data = {"type": "error", "error": anthropic_error(error), "request_id": request_id}
        return b"\nevent: ping\n\n" + server_sent(data, "error")


DIALECT: Dialect = _AnthropicMessages()
