"""The head of a request, and what the layers have worked out from it.

A client sends the same head with nearly every request of a connection; only the length of the body differs. So a head
is parsed and looked at once, and one `Head` serves all requests that repeat it: each layer keeps there what depends on
nothing but the head, or together with what else it depends on. Whatever the passing of time may change (is the token
in force, is there room) is asked for every call.
"""

import re
from typing import Final
from weakref import ReferenceType, ref

from aibridge.domain.actor import Actor
from aibridge.domain.interception import Interception
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import KnownToken
from aibridge.gateway.headers import Fields, Headers
from aibridge.gateway.routes import Route, Routes
from aibridge.limits.engine import Caller
from aibridge.telemetry import Series

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_NOT_REPEATED: Final = (b"expect", b"transfer-encoding", b"upgrade")
"""With these, more happens between head and body than that one follows the other."""


class Recognised:
    """The token that a head presents, by a snapshot. Whether it is in force is for every call to ask."""

    __slots__ = ("_by", "_until", "own_credential", "token")

    def __init__(self, token: KnownToken, snapshot: Snapshot, own_credential: Headers | None) -> None:
        self.token = token
        self.own_credential = own_credential
        """Lines of a credential for the provider; None unless our token came beside one, in the header for that."""
        self._by = ref(snapshot)
        """Weak, since a head lasts longer than most snapshots."""
        self._until = token.until

    def stands(self, snapshot: Snapshot, now: float) -> bool:
        """Whether this is still the snapshot, and the token in force at `now` (UTC seconds)."""
        return self._by() is snapshot and now < self._until


class Head:
    """What the head of a request says, and, below, what layers keep here, each its own."""

    __slots__ = (
        *("address", "fields", "headers", "keep_alive", "may_chunk", "method", "query", "route", "upstream_path"),
        *("caller", "counted", "like", "lines", "recognised", "unknown_to"),
    )

    def __init__(  # noqa: PLR0913 (all that it says)
        self,
        *,
        route: Route,
        method: bytes,
        upstream_path: bytes,
        query: bytes,
        headers: Headers,
        fields: Fields,
        address: str,
        keep_alive: bool = True,
        may_chunk: bool = True,
    ) -> None:
        self.route = route
        self.method = method
        self.upstream_path = upstream_path
        self.query = query
        self.headers = headers
        self.fields = fields
        self.address = address
        """The client's own, as far as proxies can be trusted."""
        self.keep_alive = keep_alive
        """Whether the connection may serve another request afterwards."""
        self.may_chunk = may_chunk
        """Whether the client understands a chunked answer."""
        self.recognised: Recognised | None = None
        self.unknown_to: ReferenceType[Snapshot] | None = None
        """By which none of its tokens is in force; weak, as above."""
        self.caller: Caller | None = None
        self.like: Interception | None = None
        """What is recorded of a request with it, from which the next differs in little."""
        self.counted: tuple[str, Series] | None = None
        """The model that was asked for last with it, and where calls to that are counted."""
        self.lines: tuple[Actor | None, bytes] | None = None
        """What its provider is sent of it, for an actor."""


class Familiar:
    """A head as it came, cut at the number of its Content-Length: whatever has the same bytes around it is the same."""

    __slots__ = ("_after", "_before", "_between", "_size", "head", "routes")

    def __init__(self, before: bytes, after: bytes, head: Head, routes: Routes) -> None:
        self._before = before
        self._after = after
        self._size = -1
        self._between: bytes | None = None
        """What is expected of a request of the size of the last one, which may well be the same again."""
        self.head = head
        self.routes = routes
        """By which the head's route was found."""

    def content_of(self, data: bytes) -> bytes | None:
        """The body of a request that is whole in `data` and has this head; None for anything else."""
        size = len(data)
        if size != self._size:
            self._size, self._between = size, self._expected(size)
        before, between = self._before, self._between
        if between is None or not data.startswith(before):
            return None
        start = len(before)
        begin = start + len(between)
        return data[begin:] if data[start:begin] == between else None

    def _expected(self, size: int) -> bytes | None:
        """What stands between the beginning of the head and the body of a request of `size` bytes."""
        rest = size - len(self._before) - len(self._after)
        if rest < 1:
            return None
        most = len(str(rest))
        for digits in (most, most - 1):  # of which one at most leaves room for as many bytes as the number then says
            number = str(rest - digits)
            if len(number) == digits:
                return number.encode() + self._after
        return None


def familiar(data: bytes, head: Head, routes: Routes) -> Familiar | None:
    """Remember a head that a parser found in `data`, if that is one whole request with it and nothing else.

    The first empty line is the end of the head exactly if as many bytes follow it as the length says, so a reader of
    lines and the parser, which takes no lesser line ends, cannot disagree about what is remembered. None where they
    might.
    """
    fields = head.fields
    if len(fields) != len(head.headers) or any(name in fields for name in _NOT_REPEATED):
        return None
    end = data.find(b"\r\n\r\n") + 4
    length = _LENGTH.search(data, 0, end)
    if length is None or length[1] != fields.get(b"content-length") or end + int(length[1]) != len(data):
        return None
    return Familiar(data[: length.start(1)], data[length.end(1) : end], head, routes)
