"""OpenAI Responses: `POST v1/responses`.

A stream is named events, each with its `type` and `sequence_number` in the data. Those that carry a whole response
object begin it (`response.created`, `.queued`, `.in_progress`) or end it (`response.completed`, `.incomplete`,
`.failed`); the deltas between name it only by item.
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

_NEEDLES = (b'"response"', b'"error"')
_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
"""A tuple, since what is looked for in it may be anything, unhashable too."""


class _Request(Body, frozen=True, gc=False):
    background: bool | None = None
    max_output_tokens: msgspec.Raw = msgspec.Raw()


class _InputDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: object = None
    cache_write_tokens: object = None


class _OutputDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: object = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    input_tokens: object = None
    output_tokens: object = None
    total_tokens: object = None
    input_tokens_details: _InputDetails | Junk = None
    output_tokens_details: _OutputDetails | Junk = None


class _Response(msgspec.Struct, frozen=True, gc=False):
    id: object = None
    usage: _Usage | Junk = None
    error: ProviderError | Junk = None


class _StreamEvent(msgspec.Struct, frozen=True, gc=False):
    type: object = None
    response: _Response | Junk = None
    error: ProviderError | Junk = None
    code: object = None


_request = msgspec.json.Decoder(_Request)
_response = decoder_of(_Response)
_stream_event = decoder_of(_StreamEvent)

_NO_RESPONSE = _Response()
_NO_USAGE = _Usage()
_NO_INPUT_DETAILS = _InputDetails()
_NO_OUTPUT_DETAILS = _OutputDetails()


class _Tally:
    __slots__ = ("_error", "_response_id", "_usage", "_whole")

    def __init__(self) -> None:
        self._response_id: str | None = None
        self._error: str | None = None
        self._usage: Usage | None = None
        self._whole = False

    def see_event(self, event: Event) -> None:
        told = decoded(_stream_event, event.data)
        if told is None:
            return
        self._learn(present(told.response, _NO_RESPONSE))
        if told.type == "error":
            # The reference has the error's fields flat, the service nests them; either may come.
            self._error = self._error or error_type(told.error or ProviderError(code=told.code))
        elif told.type in _TERMINAL:
            self._whole = True

    def see_body(self, body: bytes | bytearray) -> None:
        response = decoded(_response, body)
        if response is not None:
            self._whole = True
            self._learn(response)

    def _learn(self, response: _Response) -> None:
        self._response_id = self._response_id or identifier(response.id)
        self._error = self._error or error_type(response.error)
        self._usage = _usage_of(present(response.usage, _NO_USAGE)) or self._usage

    def reading(self) -> Reading:
        return Reading(
            usage=self._usage,
            source=source_of(self._usage, final=self._whole),
            response_id=self._response_id,
            error=self._error,
            whole=self._whole,
        )


def _usage_of(usage: _Usage) -> Usage | None:
    read, written = count(usage.input_tokens), count(usage.output_tokens)
    if read is None and written is None:
        return None
    input_details = present(usage.input_tokens_details, _NO_INPUT_DETAILS)
    output_details = present(usage.output_tokens_details, _NO_OUTPUT_DETAILS)
    cached = count(input_details.cached_tokens) or 0
    cache_written = count(input_details.cache_write_tokens) or 0
    return Usage(
        input_tokens=max(0, (read or 0) - cached - cache_written),
        output_tokens=written or 0,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=cache_written,
        extra=nonzero(
            {
                "input_cached": cached,
                "output_reasoning": count(output_details.reasoning_tokens),
                "total_tokens": count(usage.total_tokens),
            }
        ),
    )


class _OpenAIResponses(OpenAIFamily):
    name = "openai.responses"

    def peek(self, body: bytes) -> View:
        request = understood(_request, body)
        return View(
            model=request.model,
            stream=request.stream is True,
            background=request.background is True,
            max_output_tokens=written_count(request.max_output_tokens),
        )

    def reader(self, *, streaming: bool, content_encoding: bytes | None) -> UsageReader:
        return reader_of(_Tally(), _NEEDLES, streaming=streaming, content_encoding=content_encoding)

    def render_event(self, error: CallError, request_id: str) -> bytes:
        # Flat as the reference has it, nested as the service sends it: OpenAI's SDKs raise only on the nested form.
        # Vercel's SDK insists on a sequence number; events are not counted here, and nobody orders by the last one.
        nested = openai_error(error)
        flat = {"code": nested["code"], "message": nested["message"], "param": nested["param"]}
        data = {"type": "error", "sequence_number": 0, **flat, "error": nested, "request_id": request_id}
        return b"\n\n" + server_sent(data, "error")


DIALECT: Dialect = _OpenAIResponses()
