"""What the demo provider decides: a request in, the plan of its answer out. It never waits and never sends."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from itertools import count

import msgspec

from aibridge.demo.answer import Script, answer_to
from aibridge.demo.behaviour import HEADER_PREFIX, OK, Behaviour, BehaviourError, asked
from aibridge.demo.calls import CallLog
from aibridge.demo.chat import Chat
from aibridge.demo.conversation import Ask
from aibridge.demo.dialect import FAILURE, Dialect
from aibridge.demo.exchange import Outcome, Plan, Request
from aibridge.demo.framing import CHUNKED, CLOSE, EVENTS, JSON, ONLY_HTTP_1_1, date_line, status_line
from aibridge.demo.messages import Messages
from aibridge.demo.responses import Responses
from aibridge.demo.vendor import ANTHROPIC, OPENAI, Vendor, encode

_MESSAGES = Messages()
_DIALECTS: dict[str, Dialect] = {
    "/v1/chat/completions": Chat(),
    "/v1/responses": Responses(),
    "/v1/messages": _MESSAGES,
}
_BASES = frozenset({"/", "/v1", "/v1/", "/api/hello"})
"""Where clients look whether anybody is there; the last is Claude Code's."""
_MODEL = "/v1/models/"
_HEADER_PREFIX = HEADER_PREFIX.encode()
_COUNTED_IDS = 10_000
_REMEMBERED_BODY = 4096
"""Bytes of the largest request body that is worth remembering."""
_STAND_IN = secrets.randbits(96)
"""Stands for an answer's number until it has one; random, so that no client's text is mistaken for it."""
_STAND_IN_HEX = b"%024x" % _STAND_IN


class DemoProvider:
    """One provider: its behaviour, what it saw, and which calls it still has to fail."""

    def __init__(self, behaviour: Behaviour, *, record: bool) -> None:
        self.log = CallLog(record=record)
        self._behaviour = behaviour
        self._numbers = count(1)
        self._failed: OrderedDict[str, int] = OrderedDict()
        self._fixed: dict[tuple[str, str], Callable[[Request, Vendor], bytes]] = {
            ("GET", "/demo/calls"): lambda _request, _vendor: self.log.calls(),
            ("GET", "/demo/stats"): lambda _request, _vendor: self.log.stats(),
            ("DELETE", "/demo/calls"): self._forget,
            ("POST", "/v1/messages/count_tokens"): lambda request, _vendor: _MESSAGES.count(request.body),
            ("GET", "/v1/models"): lambda _request, vendor: vendor.models(),
        }
        self._fixed |= {(method, path): _hello for method in ("GET", "HEAD") for path in _BASES}

    def plan(self, request: Request, now: float) -> Plan:
        """Decide what to answer; `now` is in UTC seconds."""
        number = next(self._numbers)
        dialect = _DIALECTS.get(request.path) if request.method == "POST" else None
        vendor = dialect.vendor if dialect else _vendor_of(request)
        try:
            if request.is_upgrade:
                outcome = Outcome(status=426, error="The demo provider speaks HTTP/1.1 only.", lines=ONLY_HTTP_1_1)
            else:
                outcome = self._call(request, dialect, number, now) if dialect else self._lookup(request, vendor)
        except (BehaviourError, msgspec.DecodeError) as error:
            outcome = Outcome(status=400, error=str(error))
        return _framed(request, outcome, vendor, f"req_{number:024x}", now)

    def _call(self, request: Request, dialect: Dialect, number: int, now: float) -> Outcome:
        """Answer a call of a model, or fail as asked."""
        ask = _read(request.path, request.body) if len(request.body) <= _REMEMBERED_BODY else dialect.read(request.body)
        behaviour = self._behaviour_for(request, ask.model)
        if behaviour.status != OK:
            lines = b"retry-after: %g\r\n" % behaviour.retry_after if behaviour.retry_after else b""
            return _failure(behaviour.status, behaviour, lines)
        if behaviour.fault == "error_event" and not ask.stream:  # there are no events to put it among
            return _failure(500, behaviour)
        if ask.stream:
            script = dialect.script(answer_to(ask, behaviour, number, int(now)))
            return Outcome(body=script, behaviour=behaviour, delay=behaviour.latency)
        body, output_tokens = _whole(request.path, ask, behaviour, int(now))
        writing = output_tokens / behaviour.rate if behaviour.rate else 0.0
        body = body.replace(_STAND_IN_HEX, b"%024x" % number)
        return Outcome(body=body, behaviour=behaviour, delay=behaviour.latency + writing)

    def _behaviour_for(self, request: Request, model: str) -> Behaviour:
        """What this call asks for, with the failures left out that `times` has used up."""
        behaviour = self._behaviour
        headers = [header for header in request.headers if header[0].startswith(_HEADER_PREFIX)]
        if headers or "?" in model:
            start = len(_HEADER_PREFIX)
            pairs = [(name[start:].decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            behaviour = asked(behaviour, model, tuple(pairs))
        if not behaviour.fails or not behaviour.times:
            return behaviour
        failed = self._failed.get(behaviour.id, 0)
        if failed >= behaviour.times:
            return behaviour.healed()
        self._failed[behaviour.id] = failed + 1
        if len(self._failed) > _COUNTED_IDS:
            self._failed.popitem(last=False)
        return behaviour

    def _lookup(self, request: Request, vendor: Vendor) -> Outcome:
        """Answer everything that is not a call of a model."""
        body = None
        if fixed := self._fixed.get((request.method, request.path)):
            body = fixed(request, vendor)
        elif request.method == "GET" and request.path.startswith(_MODEL):
            body = vendor.model(request.path.removeprefix(_MODEL))
        if body is not None:
            return Outcome(body=body)
        return Outcome(status=404, error=f"Unknown request URL: {request.method} {request.path}")

    def _forget(self, _request: Request, _vendor: Vendor) -> bytes:
        """Forget the calls, and which of them have failed."""
        self.log.forget()
        self._failed.clear()
        return self.log.stats()


# A load test sends the same request again and again. Remembering how it was read, and for a second how it was answered,
# halves what a call costs here; only the number within the ids is filled in each time.


@lru_cache(maxsize=256)
def _read(path: str, body: bytes) -> Ask:
    return _DIALECTS[path].read(body)


@lru_cache(maxsize=32)
def _whole(path: str, ask: Ask, behaviour: Behaviour, second: int) -> tuple[bytes, int]:
    """The body of an answer, numbered `_STAND_IN`, and its output tokens."""
    answer = answer_to(ask, behaviour, _STAND_IN, second)
    return _DIALECTS[path].whole(answer), answer.output_tokens


def _hello(_request: Request, _vendor: Vendor) -> bytes:
    return encode({"message": "This is the AI Bridge demo provider."})


def _failure(status: int, behaviour: Behaviour, lines: bytes = b"") -> Outcome:
    return Outcome(status=status, error=FAILURE, lines=lines, behaviour=behaviour, delay=behaviour.latency)


def _vendor_of(request: Request) -> Vendor:
    is_anthropic = request.path.startswith("/v1/messages") or any(
        name == b"anthropic-version" for name, _ in request.headers
    )
    return ANTHROPIC if is_anthropic else OPENAI


def _framed(request: Request, outcome: Outcome, vendor: Vendor, request_id: str, now: float) -> Plan:
    """Put the vendor's headers and HTTP's around an outcome."""
    body = outcome.body if outcome.error is None else vendor.error(outcome.status, outcome.error, request_id)
    streamed = isinstance(body, Script)
    chunked = streamed and not request.is_http_1_0
    keep_alive = request.keep_alive and not (request.is_http_1_0 or request.is_upgrade)
    if isinstance(body, bytes):
        framing = JSON + b"content-length: %d\r\n" % len(body)
    else:
        framing = EVENTS + CHUNKED if chunked else EVENTS
    head = (
        status_line(outcome.status),
        date_line(int(now)),
        framing,
        vendor.headers(request_id),
        outcome.lines,
        b"\r\n" if keep_alive else CLOSE + b"\r\n",
    )
    return Plan(
        status=outcome.status,
        head=b"".join(head),
        body=b"" if request.method == "HEAD" else body,
        chunked=chunked,
        behaviour=outcome.behaviour,
        delay=outcome.delay,
        keep_alive=keep_alive,
    )
