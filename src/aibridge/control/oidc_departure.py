"""What has to be known again when somebody comes back from the identity provider, kept in a cookie meanwhile.

The cookie is signed, so that any of our processes takes it from any other, and nobody makes one. It holds nothing that
is secret from the browser it was given to. It binds the way back to the browser that set out: whoever is made to follow
somebody else's link back has no such cookie, or one with another state.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from urllib.parse import unquote

import msgspec

HOME = "/"
STATE_COOKIE = "aibridge_sign_in"
LIFETIME = 600.0
"""Seconds that somebody may take to sign in at the provider."""
PURPOSE = "sign-in state"
"""What the key is derived for: `Keyring.derived(PURPOSE)`."""

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*")
"""RFC 3986's characters of a path and a query, without the backslash that browsers take for a slash, and without the
tabs and line breaks that they leave out."""
_LONGEST_PATH = 1024
_LONGEST_COOKIE = 4096


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that began. `then` is where it leads here, `expires_at` is in UTC seconds.

    `verifier` is PKCE's (RFC 7636), `nonce` comes back in the ID token.
    """

    state: str
    nonce: str
    verifier: str
    then: str
    expires_at: float

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier: its SHA-256 (RFC 7636, 4.2)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def __repr__(self) -> str:
        return f"Departure(then={self.then!r}, expires_at={self.expires_at!r})"


def departure(then: str, now: float) -> Departure:
    """Set out, to end up at `then`, or at home where that is no path of ours."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Departure(state=state, nonce=nonce, verifier=verifier, then=local_path(then), expires_at=now + LIFETIME)


def signed(begun: Departure, keys: Sequence[bytes]) -> str:
    """The value of the cookie, signed with the first of the keys."""
    body = _text(msgspec.json.encode(begun))
    return f"{body}.{_text(_signature(body, keys[0]))}"


def read(cookie: str | None, keys: Sequence[bytes], now: float) -> Departure | None:
    """What a cookie of ours says, or None: not one, signed with none of the keys, or too old."""
    if not cookie or len(cookie) > _LONGEST_COOKIE or not cookie.isascii():
        return None
    body, _, signature = cookie.partition(".")
    # All keys are tried, whichever fits: how long it takes says nothing.
    fits = [hmac.compare_digest(signature, _text(_signature(body, key))) for key in keys]
    if not any(fits):
        return None
    try:
        begun = msgspec.json.decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Departure)
    except ValueError:  # of another version of ours
        return None
    return begun if now < begun.expires_at else None


def local_path(text: str) -> str:
    """A path here to go on to, as it was given, or `/` for whatever a browser might take for another place."""
    if len(text) > _LONGEST_PATH or not _PATH.fullmatch(text):
        return HOME
    # What is still a second slash after decoding, somewhere on the way, would begin a host.
    path = unquote(unquote(text.partition("?")[0]))
    return HOME if "//" in path or "\\" in path or not path.isprintable() else text


def _signature(body: str, key: bytes) -> bytes:
    return hmac.digest(key, body.encode(), "sha256")


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
