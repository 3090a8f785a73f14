"""HTTP/1.1 as bytes: the head of an answer, and the chunks of a streamed one."""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GARBAGE = b"\x00\x01 this is not HTTP \xff\xfe\r\n\r\n"
"""What the fault of that name answers with."""

JSON = b"content-type: application/json\r\n"
EVENTS = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
ONLY_HTTP_1_1 = b"upgrade: HTTP/1.1\r\nconnection: upgrade\r\n"
"""What a 426 has to name (RFC 9110, 15.5.22)."""
CLOSE = b"connection: close\r\n"

_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {529: "Site Overloaded"}


@lru_cache(maxsize=256)
def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}\r\n".encode()


@lru_cache(maxsize=2)
def date_line(second: int) -> bytes:
    """The Date header (RFC 9110, 6.6.1) for an instant in UTC seconds."""
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, 7.1). Data must not be empty: an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
