"""What the gateway asks of a protocol, whichever it is."""

from dataclasses import dataclass
from typing import Protocol

from aibridge.domain.errors import CallError
from aibridge.domain.usage import Usage, UsageSource
from aibridge.wire.errors import Family


@dataclass(init=False, slots=True)  # a generated `__init__` is interpreted, wherever this is compiled
class View:
    """All that the gateway wants to know of a request body; the bytes themselves are forwarded."""

    model: str
    stream: bool
    background: bool
    """OpenAI Responses only: the caller wants to come back for the answer later."""
    session_hint: str | None
    """Anthropic only: the session id in `metadata.user_id`, for clients that send none in a header."""
    max_output_tokens: int | None
    """The most that may be answered, where the caller says so in a way that can be understood."""

    def __init__(
        self,
        *,
        model: str,
        stream: bool = False,
        background: bool = False,
        session_hint: str | None = None,
        max_output_tokens: int | None = None,
    ) -> None:
        self.model = model
        self.stream = stream
        self.background = background
        self.session_hint = session_hint
        self.max_output_tokens = max_output_tokens


@dataclass(init=False, slots=True)  # as above
class Reading:
    """All that was learned from an answer on its way past."""

    usage: Usage | None
    source: UsageSource
    response_id: str | None
    error: str | None
    """The provider's own error type, when it reported an error."""
    whole: bool
    """Whether the protocol's own end was seen: a terminal event, or a complete body. False as well when the answer
    could not be read."""

    def __init__(
        self,
        *,
        usage: Usage | None = None,
        source: UsageSource = UsageSource.UNKNOWN,
        response_id: str | None = None,
        error: str | None = None,
        whole: bool = False,
    ) -> None:
        self.usage = usage
        self.source = source
        self.response_id = response_id
        self.error = error
        self.whole = whole


class UsageReader(Protocol):
    """Looks at one answer. Never raises, whatever the bytes."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the answer's body, cut anywhere."""

    def finish(self) -> Reading:
        """Say what was learned, once no more bytes come, however the answer ended."""


class Dialect(Family, Protocol):
    """One AI protocol, as far as the gateway speaks it. Stateless; a reader is made for each answer."""

    @property
    def name(self) -> str:
        """The protocol's name in logs and tests; it is on no wire."""

    def peek(self, body: bytes) -> View:
        """Look at a request body.

        Raises:
            BadRequest: the body cannot be understood; it names the field, what it is and what is allowed.
        """

    def reader(self, *, streaming: bool, content_encoding: bytes | None) -> UsageReader:
        """Make a reader for one answer; `streaming` says that its body is an event stream."""

    def render_event(self, error: CallError, request_id: str) -> bytes:
        """The last bytes of a stream that has begun and cannot be completed.

        They first close whatever event the provider left open. The caller breaks the framing after them.
        """
