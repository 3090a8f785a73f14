"""Where a provider may be that is not flagged as internal: on the public internet, and reached by TLS.

Who manages providers could otherwise have the gateway ask what only the gateway can reach, and read the answer: the
metadata service of a cloud, a database's port, another service of the host (server-side request forgery, OWASP API7).
The addresses are those of the IANA registries of special-purpose addresses (RFC 6890), and those at which clouds serve
metadata. `objection` looks at what is configured, `fault` at what a name was resolved to; connecting to precisely the
addresses that were looked at is the pool's part.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aibridge.domain.provider import Provider

_V4 = {
    "0.0.0.0/8": "unspecified",  # "this network"; Linux connects it to itself
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared (carrier-grade NAT)",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "metadata",  # Azure's, public only by its number
    "169.254.0.0/16": "link-local",  # with the metadata of most clouds
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",  # with the metadata of Oracle's cloud
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "reserved",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_V6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::ffff:0:0/96": "IPv4-mapped",
    "2001::/23": "reserved",  # Teredo, ORCHID and others
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",  # leads to the IPv4 address in it
    "3fff::/20": "documentation",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_FORBIDDEN_V4: tuple[tuple[IPv4Network, str], ...] = tuple((IPv4Network(net), kind) for net, kind in _V4.items())
_FORBIDDEN_V6: tuple[tuple[IPv6Network, str], ...] = tuple((IPv6Network(net), kind) for net, kind in _V6.items())
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out for the internet; whatever else there is, is not there."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""Leads to the IPv4 address in its last four bytes (RFC 6052): what resolvers say where there is only IPv6."""
_OF_THIS_HOST = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_MOST_PARTS = 4


def fault(address: str) -> str | None:
    """What kind of address it is, when nobody may be connected to it; None where it is public.

    Raises:
        ValueError: it is not an IP address as resolvers write them.
    """
    return _kind(ip_address(address))


def objection(provider: Provider) -> str | None:
    """Why a provider cannot be where it is configured to be, as a sentence without an address; None if it can.

    A name is not resolved here: what it leads to is looked at each time that a connection is opened.
    """
    if provider.internal:
        return None
    return insecure(tls=provider.origin.tls) or _unfit(provider.origin.host)


def insecure(*, tls: bool) -> str | None:
    """Why a provider cannot be reached in this way, as a sentence; None if it can."""
    return None if tls else "The base URL is http://, and the provider's key would be readable on its way."


def forbidden(addresses: Iterable[str]) -> str | None:
    """Why a host with these addresses is not connected to, as a sentence; None if it is.

    One is enough. No vendor has both kinds, and a name that has both is there to get past a check of the first one.
    """
    kinds = (fault(address) for address in addresses)
    return next((_sentence(kind) for kind in kinds if kind is not None), None)


def written_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, however it is written; None for a name.

    As the resolver of the C library reads it (inet_aton(3)): one to four numbers, each decimal, octal after a `0` or
    hexadecimal after `0x`, of which the last fills all bytes that are left. A dot at the end changes nothing.
    """
    host = host.removeprefix("[").removesuffix("]").removesuffix(".")
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            return None
    numbers = [_number(part) for part in host.split(".")]
    *leading, last = [-1 if number is None else number for number in numbers]
    if len(numbers) > _MOST_PARTS or None in numbers:
        return None
    if any(number >= 1 << 8 for number in leading) or last >= 1 << 8 * (_MOST_PARTS - len(leading)):
        return None
    high = sum(number << 8 * (3 - place) for place, number in enumerate(leading))
    return IPv4Address(high + last)


def _unfit(host: str) -> str | None:
    address = written_address(host)
    if address is not None:
        kind = _kind(address)
        return None if kind is None else _sentence(kind)
    name = host.removesuffix(".").lower()
    if name in _OF_THIS_HOST or name.endswith(".localhost"):  # RFC 6761, 6.3
        return _sentence("loopback")
    return None


def _sentence(kind: str) -> str:
    return f"The host of the base URL has an address of a kind that is not public: {kind}."


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _FORBIDDEN_V4 if address in network), None)
    if address in _NAT64:
        return _kind(IPv4Address(int(address) & 0xFFFFFFFF))
    known = next((kind for network, kind in _FORBIDDEN_V6 if address in network), None)
    return known if known is not None or address in _GLOBAL_UNICAST else "reserved"


def _number(part: str) -> int | None:
    """A number as C writes it; None when it is none."""
    if not part.isascii() or not part.isalnum():
        return None
    lower = part.lower()
    try:
        if lower.startswith("0x"):
            return int(lower[2:] or "0", 16)  # a bare 0x is a 0 to inet_aton
        return int(lower, 8 if lower.startswith("0") else 10)
    except ValueError:
        return None
