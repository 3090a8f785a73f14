"""A vendor account that calls are relayed to."""

from enum import StrEnum
from urllib.parse import urlsplit

import msgspec


class ProviderKind(StrEnum):
    """Which protocol family a provider speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where connections go: what a pool of connections is for."""

    tls: bool
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.tls else 80
        return host if self.port == default else f"{host}:{self.port}"


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A configured vendor account.

    `base_path` ends without a slash; for OpenAI it includes the version (`/v1`). `key` is the central credential,
    absent when people bring their own. `__repr__` never shows it.
    """

    name: str
    kind: ProviderKind
    origin: Origin
    base_path: str
    key: str | None = None

    @classmethod
    def at(cls, name: str, kind: ProviderKind, base_url: str, key: str | None = None) -> "Provider":
        """Build a provider from its base URL.

        Raises:
            ValueError: the URL is not http(s), has no host, or carries credentials, a query or a fragment.
        """
        if not base_url.isascii() or not base_url.isprintable() or " " in base_url:
            raise ValueError(f"{base_url!r} holds characters that a URL cannot")
        url = urlsplit(base_url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError(f"{base_url!r} is not an http:// or https:// URL with a host")
        if url.username or url.password or url.query or url.fragment:
            raise ValueError("a provider's base URL has no credentials, query or fragment")
        tls = url.scheme == "https"
        origin = Origin(tls=tls, host=url.hostname, port=url.port or (443 if tls else 80))
        return cls(name=name, kind=kind, origin=origin, base_path=url.path.rstrip("/"), key=key)

    def __repr__(self) -> str:
        return f"Provider(name={self.name!r}, kind={self.kind.value!r}, origin={str(self.origin)!r})"
