"""OpenAI Chat Completions: `POST v1/chat/completions`.

A stream is nameless events with a `chat.completion.chunk` each, ended by `data: [DONE]`. Usage comes in the last chunk
before it, without choices, and only when the caller asked for it (`stream_options.include_usage`); the other chunks say
`"usage":null` then. Some compatible providers count along in every chunk instead.
"""

import msgspec

from aibridge.domain.errors import CallError
from aibridge.domain.usage import Usage
from aibridge.wire.dialect import Dialect, Reading, UsageReader, View
from aibridge.wire.errors import OpenAIFamily, openai_error, server_sent
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

_NEEDLES = (b'_tokens"', b'"error"', b"[DONE]")


class _Request(Body, frozen=True, gc=False):
    max_completion_tokens: msgspec.Raw = msgspec.Raw()
    max_tokens: msgspec.Raw = msgspec.Raw()
    """Its older name, which other providers know only."""


class _PromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: object = None
    cache_write_tokens: object = None


class _CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: object = None
    accepted_prediction_tokens: object = None
    rejected_prediction_tokens: object = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    prompt_tokens: object = None
    completion_tokens: object = None
    prompt_tokens_details: _PromptDetails | Junk = None
    completion_tokens_details: _CompletionDetails | Junk = None


class _Completion(msgspec.Struct, frozen=True, gc=False):
    """A chunk of a stream, or a whole body: the fields have the same names."""

    id: object = None
    choices: list[msgspec.Raw] | Junk = None
    usage: _Usage | Junk = None
    error: ProviderError | Junk = None


_request = msgspec.json.Decoder(_Request)
_completion = decoder_of(_Completion)

_NO_USAGE = _Usage()
_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


class _Tally:
    __slots__ = ("_error", "_final", "_response_id", "_usage", "_whole")

    def __init__(self) -> None:
        self._response_id: str | None = None
        self._error: str | None = None
        self._usage: Usage | None = None
        self._final = False
        self._whole = False

    def see_event(self, event: Event) -> None:
        if event.data.startswith(b"[DONE]"):
            self._whole = True
            return
        self._learn(event.data)

    def see_body(self, body: bytes | bytearray) -> None:
        self._whole = self._learn(body)

    def _learn(self, data: bytes | bytearray) -> bool:
        completion = decoded(_completion, data)
        if completion is None:
            return False
        self._response_id = self._response_id or identifier(completion.id)
        self._error = self._error or error_type(completion.error)
        usage = _usage_of(present(completion.usage, _NO_USAGE))
        if usage is not None:
            self._usage = usage
            self._final = not completion.choices
        return True

    def reading(self) -> Reading:
        return Reading(
            usage=self._usage,
            source=source_of(self._usage, final=self._final or self._whole),
            response_id=self._response_id,
            error=self._error,
            whole=self._whole,
        )


def _usage_of(usage: _Usage) -> Usage | None:
    prompt, completion = count(usage.prompt_tokens), count(usage.completion_tokens)
    if prompt is None and completion is None:
        return None
    prompt_details = present(usage.prompt_tokens_details, _NO_PROMPT_DETAILS)
    completion_details = present(usage.completion_tokens_details, _NO_COMPLETION_DETAILS)
    cached = count(prompt_details.cached_tokens) or 0
    written = count(prompt_details.cache_write_tokens) or 0
    return Usage(
        input_tokens=max(0, (prompt or 0) - cached - written),
        output_tokens=completion or 0,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=written,
        extra=nonzero(
            {
                "prompt_cached": cached,
                "completion_reasoning": count(completion_details.reasoning_tokens),
                "completion_accepted_prediction": count(completion_details.accepted_prediction_tokens),
                "completion_rejected_prediction": count(completion_details.rejected_prediction_tokens),
            }
        ),
    )


class _OpenAIChat(OpenAIFamily):
    name = "openai.chat"

    def peek(self, body: bytes) -> View:
        request = understood(_request, body)
        return View(
            model=request.model,
            stream=request.stream is True,
            max_output_tokens=written_count(request.max_completion_tokens) or written_count(request.max_tokens),
        )

    def reader(self, *, streaming: bool, content_encoding: bytes | None) -> UsageReader:
        return reader_of(_Tally(), _NEEDLES, streaming=streaming, content_encoding=content_encoding)

    def render_event(self, error: CallError, request_id: str) -> bytes:
        # No `[DONE]` after it: that would call the stream complete.
        return b"\n\n" + server_sent({"error": openai_error(error), "request_id": request_id})


DIALECT: Dialect = _OpenAIChat()
