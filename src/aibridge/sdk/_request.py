"""What is asked, before it is sent: where it goes, and what it carries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Final
from urllib.parse import quote
from uuid import UUID

import httpx2
import msgspec

from aibridge.contract.roles import encode_hook

Value = str | int | float | bool | datetime | UUID | Enum
"""What a part of a path or a query may be."""

Query = Mapping[str, Value | Sequence[Value] | None]
"""Parameters by name. None leaves one out; a sequence gives it several times."""

JSON: Final = "application/json"
_DOTS: Final = frozenset({"", ".", ".."})


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to be sent, and to be sent again. `body` is None where there is none."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: object = None
    with_token: bool = True
    replayable: bool = True


def base_of(url: str) -> str:
    """The URL of a server, to be followed by paths; it may have a path of its own.

    Raises:
        ValueError: it is none, or has more in it than where the server is.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as reason:
        raise ValueError(f"url: {url!r} cannot be read: {reason}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"url: {url!r} is not allowed: http:// or https:// and a host are")
    if parsed.userinfo:
        raise ValueError("url: a user or password in it is not allowed: give a session token, or headers")
    if parsed.query or parsed.fragment:
        raise ValueError(f"url: {url!r} is not allowed: it has a query or a fragment")
    return str(parsed).rstrip("/")


def at(template: str, **parts: Value) -> str:
    """A path with its parts filled in, percent-encoded, slashes too.

    Raises:
        ValueError: a part is empty or dots only, so the path would be another one.
    """
    return template.format(**{name: _part(name, part) for name, part in parts.items()})


def url_of(base: str, path: str, query: Query) -> str:
    """The whole URL.

    Raises:
        ValueError: the path does not begin with a slash, so it might lead to another server.
    """
    if not path.startswith("/"):
        raise ValueError(f"path: {path!r} is not allowed: it begins with a slash, and the client knows the server")
    pairs = [(name, text(value)) for name, values in query.items() for value in _several(values)]
    encoded = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    if not encoded:
        return base + path
    return f"{base}{path}{'&' if '?' in path else '?'}{encoded}"


def content_of(body: object) -> bytes:
    """A body that is no stream, as bytes: they themselves, or anything else as JSON.

    Raises:
        TypeError: msgspec cannot encode it.
    """
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    return msgspec.json.encode(body, enc_hook=encode_hook)


def text(value: Value) -> str:
    """A part of a path or a query as text: instants as RFC 3339 has them, booleans as JSON has them."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def _part(name: str, value: Value) -> str:
    part = text(value)
    if part in _DOTS:
        raise ValueError(f"{name}: {part!r} is not allowed in a path")
    return quote(part, safe="")


def _several(values: Value | Sequence[Value] | None) -> Sequence[Value]:
    if values is None:
        return ()
    return values if isinstance(values, Sequence) and not isinstance(values, str) else (values,)
