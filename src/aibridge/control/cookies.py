"""The cookies that we set: the session's, and the short-lived one that spans a sign-in elsewhere.

All are HttpOnly, so that no script reads them, and SameSite=Lax, so that other sites' forms come without them while
links still work. `csrf` does not rely on that. RFC 6265bis has the words.
"""

import re
from urllib.parse import urlsplit

from aibridge.overload.caller import SESSION_TOKEN

_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""What RFC 6265, 4.1.1 lets stand in a value: no space, quote, comma, semicolon or backslash."""


def is_secure(external_url: str, *, option: bool) -> bool:
    """Whether cookies are for https only: as `--secure-auth-cookie` says, or because people come by https."""
    return option or urlsplit(external_url).scheme == "https"


def session_cookie(token: str, *, max_age: float, secure: bool) -> str:
    """The value of `Set-Cookie` that signs a browser in, for `max_age` seconds."""
    return cookie(SESSION_TOKEN, token, path="/", max_age=max_age, secure=secure)


def cleared_session_cookie(*, secure: bool) -> str:
    """The value of `Set-Cookie` that signs a browser out."""
    return cookie(SESSION_TOKEN, "", path="/", max_age=0, secure=secure)


def cookie(name: str, value: str, *, path: str, max_age: float, secure: bool) -> str:
    """The value of `Set-Cookie`. With a `max_age` of 0 seconds the browser drops the cookie.

    Raises:
        ValueError: the value cannot stand in a cookie.
    """
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of cookie {name} has characters that cannot stand in one")
    words = [f"{name}={value}", f"Path={path}", f"Max-Age={int(max_age)}", "HttpOnly", "SameSite=Lax"]
    return "; ".join([*words, "Secure"] if secure else words)
