"""An identity provider as it describes itself, and its keys: fetched when needed, and kept for an hour.

It is asked with a deadline, a cap on what it answers, and without following redirects: what it calls itself is what it
is. Nothing that it says is passed on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import httpx2
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from aibridge.domain.errors import UpstreamBroke, UpstreamFailed, UpstreamTimeout, UpstreamUnreachable

T = TypeVar("T")
Key = RSAKey | ECKey | OKPKey

ALGORITHMS: Mapping[str, str] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""How an ID token may be signed, and with which type of key. Never by `none`, nor by a secret we share (HS256)."""
TIMEOUT = 10.0
"""Seconds for a whole answer."""
LARGEST = 1 << 20
"""Bytes of the largest answer."""
KEPT = 3600.0
"""Seconds that a description and keys are believed."""
ASKED_EVERY = 60.0
"""Seconds between two looks for a key that is not known: whoever invents key ids makes us ask no more often."""
LEFT_ALONE = 5.0
"""Seconds before a provider that failed is asked again: a line of people who each wait for a timeout never ends."""
_SHORTEST_RSA = 2048 // 8
"""Bytes of a modulus (NIST SP 800-131A)."""
_DESCRIPTION = "/.well-known/openid-configuration"


class Description(msgspec.Struct, frozen=True):
    """What we need of a provider's metadata (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Kept(Generic[T]):
    """Something that is fetched once for all who ask, and so is a failure to fetch it."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._turn = asyncio.Lock()
        self._value: tuple[float, T] | None = None
        self._failure: tuple[float, UpstreamFailed] | None = None

    async def at_most(self, age: float) -> T:
        """What was fetched, if that was less than `age` seconds ago, or else what is there now."""
        async with self._turn:
            now = self._clock()
            # What is of the future was fetched before the clock was set back: believed, it would be so until then.
            if self._value is not None and 0 <= now - self._value[0] < age:
                return self._value[1]
            if self._failure is not None and 0 <= now - self._failure[0] < LEFT_ALONE:
                raise self._failure[1]
            try:
                value = await self._fetch()
            except UpstreamFailed as error:
                self._failure = (self._clock(), error)
                raise
            self._value = (now, value)
            return value


class Issuer:
    """The provider at `url`. `clock` gives UTC seconds; `client` is closed by whoever made it."""

    def __init__(self, url: str, client: httpx2.AsyncClient, clock: Callable[[], float]) -> None:
        self.url = url
        self._client = client
        self._description = _Kept(self._described, clock)
        self._keys = _Kept(self._published, clock)

    async def description(self) -> Description:
        """How the provider describes itself.

        Raises:
            UpstreamFailed: it cannot be reached, or describes somebody else.
        """
        return await self._description.at_most(KEPT)

    async def key(self, key_id: str | None, algorithm: str) -> Key | None:
        """The key of that id for an algorithm of `ALGORITHMS`; without an id, the only one that there is for it.

        Raises:
            UpstreamFailed: the keys cannot be fetched.
        """
        found = _chosen(await self._keys.at_most(KEPT), key_id, algorithm)
        return found or _chosen(await self._keys.at_most(ASKED_EVERY), key_id, algorithm)

    async def asked(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of an answer of the provider's.

        Raises:
            UpstreamFailed: there is none within the deadline, or it is too large.
        """
        all_headers = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._client.stream(method, url, headers=all_headers, data=form, follow_redirects=False) as response,
            ):
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > LARGEST:
                        raise _broke(f"it answered with more than {LARGEST} bytes")
                return response.status_code, bytes(body)
        except (TimeoutError, httpx2.TimeoutException):
            raise UpstreamTimeout(
                "The identity provider did not answer in time.", f"{self.url} was given {TIMEOUT:g} s."
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise UpstreamUnreachable(
                "The identity provider cannot be reached.", f"No connection to {self.url}, or it broke off."
            ) from None

    async def _described(self) -> Description:
        found = await self._decoded(f"{self.url.rstrip('/')}{_DESCRIPTION}", Description)
        if found.issuer != self.url:
            raise _broke(
                f"it does not call itself {self.url} (--oidc-issuer-url), which must be the same to the letter"
            )
        endpoints = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint or "")
        allowed = ("https://",) if self.url.startswith("https://") else ("https://", "http://")
        if not all(endpoint.startswith(allowed) for endpoint in endpoints if endpoint):
            raise _broke(f"one of its endpoints is not an {allowed[-1]} URL")
        return found

    async def _published(self) -> list[Key]:
        published = await self._decoded((await self.description()).jwks_uri, _Keys)
        return [key for key in map(_key, published.keys) if key is not None]

    async def _decoded(self, url: str, of: type[T]) -> T:
        status, body = await self.asked("GET", url)
        if status != httpx2.codes.OK:
            raise _broke(f"it answered with status {status}, and redirects are not followed")
        return decoded(body, of)


def decoded(body: bytes, of: type[T]) -> T:
    """An answer of the provider's, read.

    Raises:
        UpstreamBroke: it is not what it should be.
    """
    try:
        return msgspec.json.decode(body, type=of)
    except (msgspec.DecodeError, RecursionError):
        raise _broke("its answer is not the JSON that OpenID Connect has there") from None


def _key(published: dict[str, Any]) -> Key | None:
    """A published key that may sign; one that we do not understand is for others (RFC 7517, section 5)."""
    if published.get("kty") not in ALGORITHMS.values() or published.get("use", "sig") != "sig" or "d" in published:
        return None
    modulus = published.get("n")
    if isinstance(modulus, str) and len(modulus) * 3 // 4 < _SHORTEST_RSA:
        return None
    try:
        key = import_key(published)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _chosen(keys: list[Key], key_id: str | None, algorithm: str) -> Key | None:
    fitting = [
        key for key in keys if key.key_type == ALGORITHMS[algorithm] and key.get("alg", algorithm) in (algorithm, None)
    ]
    if key_id is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.kid == key_id), None)


def _broke(reason: str) -> UpstreamBroke:
    return UpstreamBroke("The identity provider did not answer as OpenID Connect has it.", f"In short: {reason}.")
