"""Requests that another site makes a browser send: refused where the cookie is what they would be let in by.

A browser adds the session cookie to whatever it sends here, whoever made it send. A token in a header or a query was
put there by somebody who has it. So only what is let in by the cookie, and changes something, has to show where it is
from: by `Sec-Fetch-Site` or by `Origin`, which no page can set (https://www.w3.org/TR/fetch-metadata/, RFC 6454).
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from aibridge.domain.errors import Forbidden
from aibridge.overload.caller import presented_token

Headers = Iterable[tuple[bytes, bytes]]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1), as long as we keep to that."""
_OURS = frozenset({"same-origin", "none"})
"""A page of ours, or the person, by the address bar or a bookmark."""
_PORTS = {"http": 80, "https": 443}


def by_cookie(token: str, headers: Headers, query: bytes) -> bool:
    """Whether a token that was accepted is here by the cookie alone.

    Header names are in lower case. Where the same token stands elsewhere, too, whoever put it there has it.
    """
    by_name: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for header in headers:
        if header[0] != b"cookie":
            by_name.setdefault(header[0], []).append(header)
    elsewhere = [presented_token([], query), *(presented_token(named, b"") for named in by_name.values())]
    return token not in elsewhere


def refuse_forged(method: str, headers: Headers, own_origins: Iterable[str]) -> None:
    """Let a request pass that is authenticated by cookie, if a page of ours made it or it changes nothing.

    `own_origins` are URLs that lead here: the external one, and scheme and host of this request.

    Raises:
        Forbidden: another site may have made it.
    """
    if method in _SAFE:
        return
    values: dict[bytes, list[str]] = {b"sec-fetch-site": [], b"origin": []}
    for name, value in headers:
        if name in values:
            values[name].append(value.decode("latin-1").strip())
    sites, origins = values[b"sec-fetch-site"], values[b"origin"]
    if sites and _OURS.issuperset(sites):
        return
    ours = {origin_of(url) for url in own_origins} - {None}
    if origins and ours.issuperset(map(origin_of, origins)):
        return
    raise Forbidden(
        "Another site may have made this request.",
        "It is authenticated by the session cookie, and neither Sec-Fetch-Site nor Origin says that it is from here. "
        'Programs send their token in the header "Authorization: Bearer" or "Coder-Session-Token" instead.',
    )


def refuse_foreign(headers: Headers, own_origins: Iterable[str]) -> None:
    """Refuse what says that a page of another site made it; programs say nothing, and pass.

    For signing in, where there is no cookie yet: a browser must not be signed in as somebody else by another site.

    Raises:
        Forbidden: another site made it.
    """
    said = [header for header in headers if header[0] in {b"sec-fetch-site", b"origin"}]
    if said:
        refuse_forged("POST", said, own_origins)


def origin_of(url: str) -> str | None:
    """Scheme, host and port of an http(s) URL in one form, or None for anything else, `null` included."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}"
