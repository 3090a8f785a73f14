"""What passes between a connection and the provider: a request that has arrived, and the plan of its answer."""

import msgspec

from aibridge.demo.answer import Script
from aibridge.demo.behaviour import Behaviour

PLAIN = Behaviour()
"""Nothing asked for: answer at once."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One whole request. `target` is as it was sent, `path` the same without its query; header names are lower case.

    `keep_alive` says whether the client wants to use the connection again. HTTP/1.0 clients do not: they get
    no chunks either, and read until the connection closes. An upgrade to another protocol has no body.
    """

    method: str
    target: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    keep_alive: bool
    is_http_1_0: bool = False
    is_upgrade: bool = False

    @property
    def is_call(self) -> bool:
        """Whether it is meant for a vendor; the others ask what the vendor saw."""
        return not self.path.startswith("/demo/")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider decided, before a vendor's form is put around it.

    `error` is the message of an error, and then there is no body yet. `lines` are further headers; `delay` is in
    seconds.
    """

    status: int = 200
    error: str | None = None
    body: bytes | Script = b""
    lines: bytes = b""
    behaviour: Behaviour = PLAIN
    delay: float = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, ready to be sent: `delay` seconds of nothing, the head, then the body in chunks or as it is."""

    status: int
    head: bytes
    body: bytes | Script
    chunked: bool
    behaviour: Behaviour
    delay: float
    keep_alive: bool

    @property
    def whole(self) -> bytes | None:
        """The answer, when it is simply to be written and that is all; None when it needs time or goes wrong."""
        if self.delay == 0 and isinstance(self.body, bytes) and self.behaviour.fault in {"", "close_idle"}:
            return self.head + self.body
        return None
