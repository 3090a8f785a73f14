"""A vendor account that calls are relayed to."""

import re
from enum import StrEnum
from ipaddress import IPv6Address
from urllib.parse import urlsplit

import msgspec

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
"""Names as a resolver takes them (RFC 1035, 2.3.4; the underscore is seen in practice). No percent sign, no backslash,
nothing that two programs read in two ways."""
_LONGEST_HOST = 253
"""Characters, as RFC 1035, 2.3.4 has it when the length octets are taken off."""


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
    absent when people bring their own. `__repr__` never shows it. `internal` providers may be anywhere; all others only
    where `upstream_address` allows.
    """

    name: str
    kind: ProviderKind
    origin: Origin
    base_path: str
    key: str | None = None
    internal: bool = False

    @classmethod
    def at(
        cls, name: str, kind: ProviderKind, base_url: str, key: str | None = None, *, internal: bool = False
    ) -> "Provider":
        """Build a provider from its base URL.

        Whether one that is not internal may be there at all is another question: `upstream_address.objection`.

        Raises:
            ValueError: the URL is not http(s), has no host, or carries credentials, a query or a fragment.
        """
        if not base_url.isascii() or not base_url.isprintable() or " " in base_url:
            raise ValueError(f"{base_url!r} holds characters that a URL cannot")
        url = urlsplit(base_url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError(f"{base_url!r} is not an http:// or https:// URL with a host")
        if "@" in url.netloc or url.query or url.fragment:
            raise ValueError("a provider's base URL has no credentials, query or fragment")
        if not _is_host(url.hostname):
            raise ValueError(f"{url.hostname!r} is not a host: a name of letters, digits and dashes, or an IP address")
        tls = url.scheme == "https"
        origin = Origin(tls=tls, host=url.hostname, port=url.port or (443 if tls else 80))
        return cls(name=name, kind=kind, origin=origin, base_path=url.path.rstrip("/"), key=key, internal=internal)

    @property
    def base_url(self) -> str:
        """Where it is, as a URL that `at` takes."""
        return f"{'https' if self.origin.tls else 'http'}://{self.origin}{self.base_path}"

    def __repr__(self) -> str:
        return f"Provider(name={self.name!r}, kind={self.kind.value!r}, origin={str(self.origin)!r})"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return len(host) <= _LONGEST_HOST and _NAME.fullmatch(host) is not None
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False
