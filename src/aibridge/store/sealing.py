"""Secrets at rest: what stands in the database is of no use without a master key that does not.

AES-256-GCM with a random nonce of 96 bits (NIST SP 800-38D, 8.2.2). What is sealed is bound to its place, so that a
ciphertext copied into another row does not open there. Each ciphertext names the master key it needs, so keys can be
changed without a stop: a new one is put first, and the older ones go on opening what they sealed.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_FILE = "encryption.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_OPTION = "--aibridge-encryption-keys (CODER_AIBRIDGE_ENCRYPTION_KEYS)"


class SealingError(Exception):
    """A secret cannot be opened, or there is no key to seal it with. The text is for the operator, and holds none.

    `key_id` is the master key that is needed, empty where none was there at all.
    """

    def __init__(self, message: str, key_id: str = "") -> None:
        super().__init__(message)
        self.key_id = key_id


class Place(msgspec.Struct, frozen=True):
    """Where a sealed secret stands: `table` is a constant of ours, `row` the row's id."""

    table: str
    row: str

    def __str__(self) -> str:
        return f"{self.table} {self.row}"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it is stored: the id of the master key, and nonce and ciphertext in one."""

    key_id: str
    data: bytes


class Keyring:
    """The master keys of 32 bytes, at least one. The first seals, each opens what it sealed.

    Raises:
        ValueError: there is no key, or one of another length.
    """

    __slots__ = ("_ciphers", "_keys", "key_id")

    key_id: str
    """Of the key that seals."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a keyring needs at least one master key")
        for key in keys:
            if len(key) != _KEY_BYTES:
                raise ValueError(f"a master key has {_KEY_BYTES} bytes, not {len(key)}")
        self._keys = tuple(keys)
        self._ciphers = {key_id_of(key): AESGCM(key) for key in keys}
        self.key_id = key_id_of(keys[0])

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._ciphers)})"

    def seal(self, plain: str, place: Place) -> Sealed:
        """Seal a secret for one place, with the first key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = self._ciphers[self.key_id].encrypt(nonce, plain.encode(), _bound_to(place, self.key_id))
        return Sealed(key_id=self.key_id, data=nonce + text)

    def open(self, sealed: Sealed, place: Place) -> str:
        """The secret, as it was sealed for this place.

        Raises:
            SealingError: its master key is not here, or it is not what was sealed with that key for this place.
        """
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise SealingError(
                f"the secret of {place} was sealed with master key {sealed.key_id}, which is not among those given "
                f"({', '.join(self._ciphers)}): add it to {_OPTION}, after the first",
                sealed.key_id,
            )
        nonce, text = sealed.data[:_NONCE_BYTES], sealed.data[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, text, _bound_to(place, sealed.key_id)).decode()
        except (InvalidTag, ValueError):
            raise SealingError(
                f"the secret of {place} does not open with master key {sealed.key_id}: it was changed, or moved here "
                f"from another row; enter the secret again. Which keys there are is said by {_OPTION}",
                sealed.key_id,
            ) from None

    def is_current(self, sealed: Sealed) -> bool:
        """Whether the first key sealed it; otherwise it should be sealed again before its key is dropped."""
        return sealed.key_id == self.key_id

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """Keys of 32 bytes for another purpose, one of each master key, the first's first (HKDF, RFC 5869).

        Every process that has the same master keys has the same ones.
        """
        return tuple(
            HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=f"aibridge {purpose}".encode()).derive(key)
            for key in self._keys
        )


def key_id_of(key: bytes) -> str:
    """The name of a master key: the first 8 hex digits of its SHA-256. It says nothing about the key."""
    return hashlib.sha256(key).hexdigest()[:8]


def keyring(keys: Sequence[bytes], data_dir: Path) -> Keyring:
    """The keys that were given, and behind them the one of the data directory; without any given, one is made there.

    So an installation that began without the option can be given keys later, and still opens what it has.

    Raises:
        SealingError: the file cannot be read or written, or holds no key.
    """
    path = data_dir / KEY_FILE
    try:
        kept = _read(path) if keys else _read(path) or _made(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no key of 64 hex digits"
        raise SealingError(
            f"the file {path} cannot be used: {why}; mend it, or move it away and give the keys by {_OPTION}"
        ) from None
    return Keyring(list(dict.fromkeys([*keys, *kept])))


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ()
    key = bytes.fromhex(text)
    if len(key) != _KEY_BYTES:
        raise ValueError("not a key")
    return (key,)


def _made(path: Path) -> tuple[bytes, ...]:
    """A new key in a file of its own. Of several processes that make one at once, the first decides for all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(_KEY_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        # A link appears whole or not at all, and never replaces what is there.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # what is sealed from now on is lost without this name
    finally:
        os.close(directory)
    return _read(path)


def _bound_to(place: Place, key_id: str) -> bytes:
    if "|" in place.table:
        raise ValueError(f"a table is not called {place.table!r}")
    return f"{place.table}|{place.row}|{key_id}".encode()
