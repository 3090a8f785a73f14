"""Credentials of ours: `aib_<id>_<secret><checksum>`.

The id (10 base62 characters) is public and names the row. The secret (43 base62 characters, 256 bits) is shown once and
kept only as a SHA-256. The checksum (CRC-32 in 6 base62 characters) lets secret scanners tell a real token from a
look-alike without asking anybody. Underscores, so that a double click selects the whole.
"""

import hashlib
import hmac
import zlib
from collections.abc import Callable
from enum import StrEnum
from math import inf

import msgspec

from aibridge.domain.actor import Actor
from aibridge.domain.authorize import Subject

PREFIX = "aib_"
ID_LENGTH = 10
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
TOKEN_LENGTH = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALPHABET_SET = frozenset(_ALPHABET)

LONGEST_LIFETIME = 10 * 366 * 86_400
"""Seconds. A token for longer than ten years is one without an end, and says so."""
LONGEST_OVERLAP = 30 * 86_400
"""Seconds for which a token and its replacement may both be in force: for longer, they are two tokens."""


NOBODY = Subject(actor_id="", roles=frozenset())
"""Holds no role, so may nothing."""


class TokenKind(StrEnum):
    """How a token came about."""

    TOKEN = "token"  # noqa: S105 (a word, no credential)
    """Somebody made it, and gave it a name."""
    SESSION = "session"
    """Signing in did. It goes on as long as it is used."""


class KnownToken(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What has to be known to recognise a token, and what its holder may do: never the token itself.

    `expires_at` is in UTC seconds, absent for a token that does not expire. `subject` is what `authorize` asks about:
    one object for all tokens of a user that have the same scope, since there are many tokens.
    """

    digest: bytes
    actor: Actor
    expires_at: float | None = None
    subject: Subject = NOBODY

    @property
    def until(self) -> float:
        """When it expires, in UTC seconds; infinite where it does not."""
        return inf if self.expires_at is None else self.expires_at

    def in_force(self, now: float) -> bool:
        """Whether it has not expired at `now` (UTC seconds)."""
        return now < self.until


class MintedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token, the only time its text exists here."""

    id: str
    text: str
    digest: bytes
    last_four: str

    def __repr__(self) -> str:
        return f"MintedToken(id={self.id!r}, last_four={self.last_four!r})"


def mint(random_below: Callable[[int], int]) -> MintedToken:
    """Make a token. `random_below(n)` gives a uniform integer in [0, n); pass `secrets.randbelow`."""
    token_id = _base62(random_below(62**ID_LENGTH), ID_LENGTH)
    secret = _base62(random_below(62**SECRET_LENGTH), SECRET_LENGTH)
    body = f"{PREFIX}{token_id}_{secret}"
    text = body + _checksum(body)
    return MintedToken(id=token_id, text=text, digest=digest(text), last_four=text[-4:])


def token_id_of(text: str) -> str | None:
    """The public id in a token's text, or None when it does not have the form of a token of ours.

    The checksum is not looked at: this is the hot path, and only the digest decides.
    """
    if len(text) == TOKEN_LENGTH and text.startswith(PREFIX) and text[len(PREFIX) + ID_LENGTH] == "_":
        return text[len(PREFIX) : len(PREFIX) + ID_LENGTH]
    return None


def is_well_formed(text: str) -> bool:
    """Whether text has the form of a token and its checksum is right: what a secret scanner asks."""
    body, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    token_id = token_id_of(text)
    return (
        token_id is not None
        and _ALPHABET_SET.issuperset(token_id)
        and _ALPHABET_SET.issuperset(body[len(PREFIX) + ID_LENGTH + 1 :])
        and checksum == _checksum(body)
    )


def digest(text: str) -> bytes:
    """SHA-256 of a token's text, the only form that is stored.

    A fast hash is right here: the secret has 256 bits, so there is nothing to stretch, and a slow one would be a way
    to exhaust the gateway.
    """
    return hashlib.sha256(text.encode()).digest()


_NOBODY = bytes(32)


def matches(text: str, known: KnownToken | None) -> bool:
    """Whether text is the known token, in time that does not depend on where they differ or whether it is known."""
    return hmac.compare_digest(digest(text), _NOBODY if known is None else known.digest) and known is not None


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)
