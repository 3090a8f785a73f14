"""The fifth layer: an interception is written down when it begins and, however it ends, when it ends."""

import asyncio
import dataclasses
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol

from msgspec.structs import replace

from aibridge.domain.actor import Actor
from aibridge.domain.client import client_of, session_of
from aibridge.domain.errors import CallError, LedgerUnavailable
from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import UsageSource
from aibridge.gateway.call import Call, Clock, Handler, Layer
from aibridge.gateway.head import Head
from aibridge.gateway.reply import Reply
from aibridge.limits.estimate import estimated
from aibridge.telemetry import Series, Telemetry
from aibridge.wire.dialect import Reading, View

LONGEST_USER_AGENT: Final = 256
"""Characters that are kept; it is the client's word, and it is stored."""

_ERROR_STATUS: Final = 400

_Outcome = tuple[Status, str | None, int | None]
"""How a call ended, as what error, and with which status of HTTP."""
_COMPLETED: Final = Status.COMPLETED
_FAILED: Final = Status.FAILED
_BY_OUR_FAULT: Final[_Outcome] = (_FAILED, "internal_error", HTTPStatus.INTERNAL_SERVER_ERROR.value)
_INTERRUPTED: Final[_Outcome] = (Status.INTERRUPTED, "interrupted", HTTPStatus.SERVICE_UNAVAILABLE.value)
_LEFT: Final[_Outcome] = (Status.CANCELLED, "client_gone", None)
_PROVIDER: Final = UsageSource.PROVIDER
_UNREAD: Final = Reading()
"""Of all answers that nobody read; nothing is written to it."""


class Journal(Protocol):
    """Where interceptions are written, as far as this layer goes. See `ledger.turn`."""

    @property
    def healthy(self) -> bool:
        """Whether the disk takes what is written."""

    def begin(self, interception: Interception) -> None:
        """Write down, soon, that an interception began."""

    def end(self, ending: Ending) -> None:
        """Write down, soon, that an interception ended."""

    def written(self, then: Callable[[], None]) -> None:
        """Call `then` when all that was said so far is written."""


def record(journal: Journal, telemetry: Telemetry, *, clock: Clock) -> Layer:
    """Open an entry, and close it in `finally`: no call that reached a provider goes unrecorded.

    The edge sends the last byte of the reply when the end is written (`call.written`). What cannot be recorded is not
    served.
    """

    def layer(handle: Handler) -> Handler:
        async def recorded(call: Call, reply: Reply) -> None:
            if not journal.healthy:
                raise LedgerUnavailable(
                    "AI Bridge cannot record calls at the moment. Please try again later.",
                    "The journal cannot be written; the gateway's log says why.",
                    retry_after=5.0,
                )
            interception = _interception(call)
            journal.begin(interception)
            series = _series(call.head, interception, telemetry)
            outcome = _BY_OUR_FAULT
            try:
                await handle(call, reply)
                outcome = _answered(reply)
            except CallError as failure:
                outcome = _FAILED, failure.code, failure.status
                raise
            except asyncio.CancelledError:
                if call.stopping:
                    outcome = _INTERRUPTED
                elif reply.reading is not None and reply.reading.whole:  # it left, but not before it had everything
                    outcome = _answered(reply)
                else:
                    outcome = _LEFT
                raise
            finally:
                status, error, http_status = outcome
                ended, first_byte_at = clock(), reply.first_byte_at
                reading = _read(call, reply, status)
                usage = call.usage = reading.usage
                ending = Ending(
                    id=interception.id,
                    status=status,
                    http_status=reply.status if reply.started else http_status,
                    error=error,
                    first_byte_at=None if first_byte_at is None else _instant(call, first_byte_at),
                    ended_at=_instant(call, ended),
                    response_id=reading.response_id,
                    usage=usage,
                    usage_source=reading.source,
                )
                journal.end(ending)
                call.written = journal.written
                telemetry.ended(series, ending, ended - call.started)

        return recorded

    return layer


def _read(call: Call, reply: Reply, status: Status) -> Reading:
    """What was learned of an answer.

    Where limits weigh a call whose provider was at work and told nothing, or was cut off before it told all, an
    estimate stands in: else a client that does not ask for the numbers, or does not wait for them, would have no limit.
    """
    reading = reply.reading or _UNREAD
    if call.size is None or reading.source is _PROVIDER or not _at_work(call, reply, status):
        return reading
    usage = estimated(call.size, reply.sent, streamed=reply.streaming)
    if reading.usage is not None:  # its input is the provider's count, its output what was counted when it began
        usage = replace(reading.usage, output_tokens=max(reading.usage.output_tokens, usage.output_tokens))
    return dataclasses.replace(reading, usage=usage, source=UsageSource.ESTIMATED)


def _at_work(call: Call, reply: Reply, status: Status) -> bool:
    """Whether a provider was at work, as far as is known: it took the call, or the client left before it could say."""
    if reply.status is None:
        return call.asked and status is Status.CANCELLED
    return reply.status < _ERROR_STATUS


def _answered(reply: Reply) -> _Outcome:
    """How a call ended that was seen through: with success, an error status, or an error in the stream."""
    error = reply.reading.error if reply.reading is not None else None
    if error is None and reply.status is not None and reply.status >= _ERROR_STATUS:
        error = f"http_{reply.status}"
    return (_COMPLETED if error is None else _FAILED), error, reply.status


def _interception(call: Call) -> Interception:
    actor, view, head = call.actor, call.view, call.head
    assert isinstance(actor, Actor) and isinstance(view, View), "record stands behind identify and body"  # noqa: S101, PT018
    like = head.like
    if like is None or like.token_id != actor.token_id:
        like, head.counted = _first_of(head, actor), None
        head.like = like
    began = replace(like, id=call.id, model=view.model, streaming=view.stream, started_at=call.started_at)
    hint = view.session_hint
    return began if hint is None else replace(began, session_id=session_of(began.client, head.fields, hint))


def _series(head: Head, interception: Interception, telemetry: Telemetry) -> Series:
    """Let an interception be counted: where the last one with this head is, if that was to the same model."""
    model, counted = interception.model, head.counted
    if counted is not None and counted[0] == model:
        return telemetry.began(interception, counted[1])
    series = telemetry.began(interception)
    head.counted = model, series
    return series


def _first_of(head: Head, actor: Actor) -> Interception:
    """An interception as far as its head tells it."""
    user_agent = head.fields.get(b"user-agent", b"").decode("latin-1")[:LONGEST_USER_AGENT]
    client = client_of(user_agent, head.fields)
    return Interception(
        id="",
        actor_id=actor.id,
        token_id=actor.token_id,
        provider=head.route.provider.name,
        route=head.route.path,
        model="",
        streaming=False,
        client=client,
        session_id=session_of(client, head.fields, None),
        user_agent=user_agent,
        started_at=0,
    )


def _instant(call: Call, monotonic: float) -> int:
    """An instant of the monotonic clock within a call, as UTC microseconds: a wall clock that is set moves none."""
    return call.started_at + int((monotonic - call.started) * 1e6)
