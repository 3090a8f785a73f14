"""OpenAI Responses: `POST v1/responses`.

A stream is named events, each with its `type` and `sequence_number` in the data. Those that carry a whole response
object begin it (`response.created`, `.queued`, `.in_progress`) or end it (`response.completed`, `.incomplete`,
`.failed`); the deltas between name it only by item.
"""

from typing import Final

from aibridge.domain.errors import CallError
from aibridge.domain.usage import Usage
from aibridge.wire.dialect import Dialect, Reading, UsageReader, View
from aibridge.wire.errors import OpenAIFamily, openai_error, server_sent
from aibridge.wire.event import Event
from aibridge.wire.lenient import decoder_of, error_type
from aibridge.wire.readers import reader_of, source_of, whole_body
from aibridge.wire.request import peeker_of
from aibridge.wire.schema import openai_responses as schema
from aibridge.wire.schema.common import ProviderError

_NEEDLES: Final = (b'"response"', b'"error"')
_TERMINAL = {"response.completed", "response.incomplete", "response.failed"}


_request: Final = peeker_of(schema.Request)
_response: Final = decoder_of(schema.Response)
_stream_event: Final = decoder_of(schema.StreamEvent)

_NO_INPUT_DETAILS: Final = schema.InputDetails()
_NO_OUTPUT_DETAILS: Final = schema.OutputDetails()
_NAMELESS: Final = ProviderError()


class _Tally:
    __slots__ = ("_error", "_response_id", "_usage", "_whole")

    def __init__(self) -> None:
        self._response_id: str | None = None
        self._error: str | None = None
        self._usage: Usage | None = None
        self._whole = False

    def see_event(self, event: Event) -> None:
        told = _stream_event(event.data)
        if told is None:
            return
        if told.response is not None:
            self._learn(told.response)
        if told.type == "error":
            # The reference has the error's fields flat, the service nests them; either may come.
            nested = told.error or _NAMELESS
            self._error = self._error or error_type(ProviderError(nested.type, nested.code or told.code))
        elif told.type in _TERMINAL:
            self._whole = True

    def _learn(self, response: schema.Response) -> None:
        self._response_id = self._response_id or response.id
        self._error = self._error or error_type(response.error)
        self._usage = _usage_of(response.usage) or self._usage

    def reading(self) -> Reading:
        return Reading(
            usage=self._usage,
            source=source_of(self._usage, final=self._whole),
            response_id=self._response_id,
            error=self._error,
            whole=self._whole,
        )


def _read(body: bytes | bytearray) -> Reading:
    response = _response(body)
    if response is None:
        return Reading()
    return whole_body(response.id, error_type(response.error), _usage_of(response.usage))


def _usage_of(usage: schema.Usage | None) -> Usage | None:
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    input_details = usage.input_tokens_details or _NO_INPUT_DETAILS
    output_details = usage.output_tokens_details or _NO_OUTPUT_DETAILS
    cached = input_details.cached_tokens or 0
    cache_written = input_details.cache_write_tokens or 0
    return Usage(
        input_tokens=max(0, (usage.input_tokens or 0) - cached - cache_written),
        output_tokens=usage.output_tokens or 0,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=cache_written,
        extra=_extra_of(cached, output_details.reasoning_tokens, usage.total_tokens),
    )


def _extra_of(cached: int, reasoning: int | None, total: int | None) -> dict[str, int]:
    extra = {}
    if cached:
        extra["input_cached"] = cached
    if reasoning:
        extra["output_reasoning"] = reasoning
    if total:
        extra["total_tokens"] = total
    return extra


class _OpenAIResponses(OpenAIFamily):
    name = "openai.responses"

    def peek(self, body: bytes) -> View:
        request = _request(body)
        return View(
            model=request.model,
            stream=request.stream is True,
            background=request.background is True,
            max_output_tokens=request.max_output_tokens,
        )

    def reader(self, *, streaming: bool, content_encoding: bytes | None) -> UsageReader:
        return reader_of(_read, _Tally, _NEEDLES, streaming=streaming, content_encoding=content_encoding)

    def render_event(self, error: CallError, request_id: str) -> bytes:
        # Flat as the reference has it, nested as the service sends it: OpenAI's SDKs raise only on the nested form.
        # Vercel's SDK insists on a sequence number; events are not counted here, and nobody orders by the last one.
        nested = openai_error(error)
        flat = {"code": nested["code"], "message": nested["message"], "param": nested["param"]}
        data = {"type": "error", "sequence_number": 0, **flat, "error": nested, "request_id": request_id}
        return b"\n\n" + server_sent(data, "error")


DIALECT: Dialect = _OpenAIResponses()
