"""The few things that are relayed, and what each of them is. Everything else is refused."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from aibridge.domain.provider import Provider, ProviderKind
from aibridge.domain.provider_name import checked
from aibridge.gateway.pool import Pool
from aibridge.wire import anthropic_messages, openai_chat, openai_responses
from aibridge.wire.dialect import Dialect

PREFIXES = (b"/api/v2/aibridge/", b"/api/v2/ai-gateway/", b"/")
"""Where a provider's name may stand: the control API's place under both its names, and short."""


class Route(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One thing that is relayed. `path` is the provider's own, for example `/v1/messages`."""

    provider: Provider
    recorded: bool
    """Whether it is an interception, limited and recorded; otherwise it is passed through for any known caller."""
    dialect: Dialect
    path: str
    host: bytes
    """What the provider's `Host` header says."""
    pool: Pool
    """Its connections. A call keeps to the one it found, whatever becomes of the provider meanwhile."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of provider offers.

    `version` is what a client's path has after the provider's name and the base URL already contains. `dialect` is the
    one in which errors are told where no route has its own. A pass-through entry that ends in `/` stands for everything
    below it.
    """

    version: bytes
    dialect: Dialect
    interceptions: Mapping[bytes, Dialect]
    pass_through: tuple[bytes, ...]
    methods: frozenset[bytes] = frozenset((b"GET", b"POST", b"DELETE"))


FAMILIES: Mapping[ProviderKind, Family] = {
    ProviderKind.OPENAI: Family(
        version=b"/v1",
        dialect=openai_chat.DIALECT,
        interceptions={b"/chat/completions": openai_chat.DIALECT, b"/responses": openai_responses.DIALECT},
        pass_through=(b"/models", b"/models/", b"/conversations", b"/conversations/", b"/responses/"),
    ),
    ProviderKind.ANTHROPIC: Family(
        version=b"",
        dialect=anthropic_messages.DIALECT,
        interceptions={b"/v1/messages": anthropic_messages.DIALECT},
        pass_through=(b"/v1/models", b"/v1/models/", b"/v1/messages/count_tokens", b"/api/event_logging/"),
    ),
}
PROBES = (b"", b"/", b"/v1", b"/v1/", b"/api/hello")
"""What clients ask HEAD of to see whether anybody is there."""

_CLIMBING = (b"..", b"//", b"\\", b"%2e", b"%2E", b"%2f", b"%2F", b"%5c", b"%5C", b"%00", b"#")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes: a route and the path to ask the provider for."""

    route: Route
    upstream_path: bytes


class Routes:
    """Finds the route of a request, for a fixed set of providers.

    Raises:
        ValueError: a provider has a name that is reserved or not made of lower-case letters, digits and dashes.
    """

    def __init__(self, providers: Iterable[Provider], pool_of: Callable[[Provider], Pool]) -> None:
        self._exact: dict[tuple[bytes, bytes], Found] = {}
        self._providers: dict[bytes, Provider] = {}
        self._pass_through: dict[bytes, list[tuple[bytes, Route]]] = {}
        for provider in providers:
            name = checked(provider.name).encode()
            host = str(provider.origin).encode()
            pool = pool_of(provider)
            family = FAMILIES[provider.kind]
            self._providers[name] = provider
            for path, dialect in family.interceptions.items():
                route = Route(
                    provider=provider,
                    recorded=True,
                    dialect=dialect,
                    path=(family.version + path).decode(),
                    host=host,
                    pool=pool,
                )
                found = Found(route=route, upstream_path=provider.base_path.encode() + path)
                for prefix in PREFIXES:
                    self._exact[b"POST", prefix + name + family.version + path] = found
            self._pass_through[name] = [
                (
                    entry,
                    Route(
                        provider=provider,
                        recorded=False,
                        dialect=family.dialect,
                        path=(family.version + entry).decode(),
                        host=host,
                        pool=pool,
                    ),
                )
                for entry in family.pass_through
            ]

    def find(self, method: bytes, path: bytes) -> Found | None:
        """The route of a request, or None. `path` is as it came, without the query."""
        found = self._exact.get((method, path))
        return found if found is not None else self._find_pass_through(method, path)

    def provider_of(self, path: bytes) -> Provider | None:
        """The provider whose territory a path lies in, or None when the path is not the data plane's."""
        return self._providers.get(self._split(path)[0])

    def is_probe(self, method: bytes, path: bytes) -> bool:
        """Whether a client only asks if anybody is there. `path` lies in a provider's territory."""
        return method == b"HEAD" and self._split(path)[1] in PROBES

    def _find_pass_through(self, method: bytes, path: bytes) -> Found | None:
        name, inside = self._split(path)
        provider = self._providers.get(name)
        if provider is None:
            return None
        family = FAMILIES[provider.kind]
        if method not in family.methods or not inside.startswith(family.version) or any(c in inside for c in _CLIMBING):
            return None
        rest = inside[len(family.version) :]
        for entry, route in self._pass_through[name]:
            if rest == entry or (entry.endswith(b"/") and rest.startswith(entry)):
                return Found(route=route, upstream_path=provider.base_path.encode() + rest)
        return None

    def _split(self, path: bytes) -> tuple[bytes, bytes]:
        """A path's provider name and what stands after it; an empty name when there is none."""
        for prefix in PREFIXES:
            if path.startswith(prefix):
                name, slash, rest = path[len(prefix) :].partition(b"/")
                if name in self._providers:
                    return name, slash + rest
        return b"", path
