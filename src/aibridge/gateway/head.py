"""The head of a request, and what the layers have worked out from it.

A client sends the same head with nearly every request of a connection; only the length of the body differs. So a head
is parsed and looked at once, and one `Head` serves all requests that repeat it: each layer keeps there what depends on
nothing but the head, or together with what else it depends on. Whatever the passing of time may change (is the token
in force, is there room) is asked for every call.
"""

import re

import msgspec

from aibridge.domain.actor import Actor
from aibridge.domain.interception import Interception
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import KnownToken
from aibridge.gateway.headers import Fields, Headers
from aibridge.gateway.routes import Route, Routes
from aibridge.limits.engine import Caller

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_LONGEST_LENGTH = 10
"""Digits of a length that is looked for: as many as a body of some gigabytes has."""
_NOT_REPEATED = (b"expect", b"transfer-encoding", b"upgrade")
"""With these, more happens between head and body than that one follows the other."""


class Recognised(msgspec.Struct, frozen=True, gc=False):
    """Whose head it is, by a snapshot of the world; the token may expire all the same."""

    snapshot: Snapshot
    token: KnownToken
    own_credential: Headers | None
    """Lines of a credential for the provider; None unless our token came beside one, in the header for that."""


class Head(msgspec.Struct, kw_only=True, eq=False):
    """What the head of a request says. The last four fields are what layers keep here, each its own."""

    route: Route
    method: bytes
    upstream_path: bytes
    query: bytes
    headers: Headers
    fields: Fields
    address: str
    """The client's own, as far as proxies can be trusted."""
    keep_alive: bool = True
    """Whether the connection may serve another request afterwards."""
    may_chunk: bool = True
    """Whether the client understands a chunked answer."""
    recognised: Recognised | None = None
    caller: Caller | None = None
    like: Interception | None = None
    """What is recorded of a request with it, from which the next differs in little."""
    lines: tuple[Actor | None, bytes] | None = None
    """What its provider is sent of it, for an actor."""


class Familiar(msgspec.Struct, frozen=True):
    """A head as it came, cut at the number of its Content-Length: whatever has the same bytes around it is the same."""

    before: bytes
    after: bytes
    head: Head
    routes: Routes
    """By which the head's route was found."""

    def content_of(self, data: bytes) -> bytes | None:
        """The body of a request that is whole in `data` and has this head; None for anything else."""
        before, after = self.before, self.after
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _LONGEST_LENGTH + 1)
        if not data.startswith(after, end):
            return None
        length, begin = data[start:end], end + len(after)
        return data[begin:] if length.isdigit() and int(length) == len(data) - begin else None


def familiar(data: bytes, head: Head, routes: Routes) -> Familiar | None:
    """Remember a head, if `data`, which a parser took for one whole request with it, is what it seems to be.

    The first empty line is the end of the head exactly if as many bytes follow it as the length says, so a reader of
    lines and the parser cannot disagree about what is remembered. None where they might.
    """
    fields = head.fields
    if len(fields) != len(head.headers) or any(name in fields for name in _NOT_REPEATED):
        return None
    end = data.find(b"\r\n\r\n") + 4
    length = _LENGTH.search(data, 0, end)
    if length is None or length[1] != fields.get(b"content-length") or end + int(length[1]) != len(data):
        return None
    return Familiar(data[: length.start(1)], data[length.end(1) : end], head, routes)
