"""How much of a request may be head, and what in a head could be read in two ways (RFC 9112, 6.3 and 11.2).

Pure rules; `guarded` applies them. Where a lenient reader and a strict one could disagree about where a request ends,
the one in front of us and the one behind us may be these two, so it is refused.
"""

from aibridge.domain.errors import BadRequest, CallError, HeadersTooLarge
from aibridge.gateway.headers import Fields, Headers

MAXIMUM_HEADER_BYTES = 64 * 1024
MAXIMUM_HEADERS = 100
FRAMING_ALLOWED = 8
"""Bytes of a body's framing that each of its bytes excuses: a chunk of one byte has five."""

_VERSIONS = ("1.1", "1.0")
_UPGRADE_HEADERS = frozenset((b"upgrade", b"http2-settings"))


def excess(url: bytes, headers: Headers, received: int) -> CallError | None:
    """What there is too much of in a head; `received` bytes came, perhaps of the body as well."""
    if len(headers) > MAXIMUM_HEADERS:
        return HeadersTooLarge(f"The request has {len(headers)} headers; {MAXIMUM_HEADERS} are allowed.")
    if received > MAXIMUM_HEADER_BYTES and len(url) + _size(headers) > MAXIMUM_HEADER_BYTES:
        return too_large()
    return None


def fault(headers: Headers, fields: Fields, version: str) -> CallError | None:
    """What is wrong with a head."""
    if version not in _VERSIONS:
        return BadRequest(f"AI Bridge speaks HTTP/1.1; this is HTTP/{version}.")
    if b"host" in fields and b"transfer-encoding" not in fields and len(fields) == len(headers):
        return None  # nothing stands twice, and nothing is chunked: the usual case
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return BadRequest(f"A request has one Host header; this one has {hosts}.", field="host")
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and (codings != [b"chunked"] or version != "1.1"):
        return BadRequest(
            "A body is framed by Content-Length or by `Transfer-Encoding: chunked`.", field="transfer-encoding"
        )
    return None


def too_large() -> HeadersTooLarge:
    """What is said of a head, or of chunk extensions and trailers, that do not end."""
    return HeadersTooLarge(f"The request's headers are larger than the {MAXIMUM_HEADER_BYTES} bytes allowed.")


def without_upgrade(method: bytes, url: bytes, version: bytes, headers: Headers) -> bytes:
    """The head of a request again, without its wish for another protocol."""
    lines = []
    for name, value in headers:
        if name == b"connection":
            kept = [token for token in value.split(b",") if token.strip().lower() not in _UPGRADE_HEADERS]
            lines.append(b"connection: %b\r\n" % b",".join(kept))
        elif name not in _UPGRADE_HEADERS:
            lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join((b"%b %b HTTP/%b\r\n" % (method, url, version), *lines, b"\r\n"))


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
