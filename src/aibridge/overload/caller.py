"""Whose call it is: by the token it presents, else by the address it comes from."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from urllib.parse import parse_qsl

SESSION_TOKEN = "coder_session_token"  # noqa: S105 - the name of a cookie and a query parameter, not a secret

_LONGEST_ADDRESS = 64
_MOST_HOPS = 16
_REMEMBERED = 4096
"""Addresses whose group is not worked out anew: the same ones come again and again."""
_BEARER_FIELDS = 2


def presented_token(headers: Iterable[tuple[bytes, bytes]], query: bytes) -> str | None:
    """The token a request presents, or None.

    Looked for in this order: the cookie `coder_session_token`, the query parameter of that name, the header
    `Coder-Session-Token`, `Authorization: Bearer`, `X-Api-Key`. Values are trimmed, and empty ones count as absent.
    Header names are in lower case, as in ASGI.
    """
    cookies, sessions, authorizations, keys = [], [], [], []
    for name, value in headers:
        match name:
            case b"cookie":
                cookies.append(value)
            case b"coder-session-token":
                sessions.append(value)
            case b"authorization":
                authorizations.append(value)
            case b"x-api-key":
                keys.append(value)
    found = (
        next(_cookie_tokens(cookies), "")
        or next(_query_tokens(query), "")
        or next(_texts(sessions), "")
        or next(_bearer_tokens(authorizations), "")
        or next(_texts(keys), "")
    )
    return found or None


def _texts(values: Iterable[bytes]) -> Iterator[str]:
    return filter(None, (value.decode("latin-1").strip() for value in values))


def _cookie_tokens(values: Iterable[bytes]) -> Iterator[str]:
    for text in _texts(values):
        for pair in text.split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == SESSION_TOKEN and (token := value.strip(' \t"')):
                yield token


def _query_tokens(query: bytes) -> Iterator[str]:
    for name, value in parse_qsl(query.decode("latin-1")):
        if name == SESSION_TOKEN and (token := value.strip()):
            yield token


def _bearer_tokens(values: Iterable[bytes]) -> Iterator[str]:
    for text in _texts(values):
        fields = text.split()
        if len(fields) == _BEARER_FIELDS and fields[0].lower() == "bearer":
            yield fields[1]


@lru_cache(_REMEMBERED)
def address_group(address: str) -> str:
    """The name under which an address is counted.

    An IPv6 address stands for its /64, which is what one customer is given, so that nobody gets a fresh limit by
    changing the lower half. IPv4 mapped into IPv6 is IPv4. What is no address stands for itself, cut to a bounded
    length.
    """
    parsed = _parse(address)
    if parsed is None:
        return address[:_LONGEST_ADDRESS]
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(IPv6Network((int(parsed) >> 64 << 64, 64)))


class TrustedProxies:
    """The proxies whose word about the client's address is taken.

    `cidrs` are networks or single addresses; a bad one is a ValueError that names it.
    """

    __slots__ = ("_networks",)

    def __init__(self, cidrs: Iterable[str]) -> None:
        networks = []
        for cidr in cidrs:
            try:
                networks.append(ip_network(cidr.strip()))
            except ValueError as error:
                raise ValueError(f"bad trusted proxy {cidr!r}: {error}") from error
        self._networks = tuple(networks)

    def client_address(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """The address nearest to us that no trusted proxy has.

        `forwarded_for` are the values of X-Forwarded-For in the order of the message. Each proxy appends whom it saw,
        so they are read from the right, and what stands left of the first untrusted address is that one's invention.
        An entry that is no address ends the walk at the proxy that wrote it. At most 16 entries are read.
        """
        address = _parse(peer)
        if address is None or not self._trusts(address):
            return peer
        for entry in islice(_from_the_right(forwarded_for), _MOST_HOPS):
            before = _parse(entry)
            if before is None:
                break
            address = before
            if not self._trusts(address):
                break
        return str(address)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def _from_the_right(forwarded_for: Iterable[str]) -> Iterator[str]:
    for value in reversed(list(forwarded_for)):
        yield from reversed(value.rsplit(",", _MOST_HOPS))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: with or without a port, brackets, spaces."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
