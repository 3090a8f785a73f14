"""Patterns in rules and prices: `*` is any text, `?` any one character, all else is itself, capitals told apart."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from ipaddress import ip_network

REMEMBERED = 4096
"""Names of which is remembered whether they match: callers invent models, so there is a bound."""


def matching(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a name matches one of these patterns. Takes time in proportion to the name's length at worst squared."""
    # A bracket is no wildcard here, as it is to `fnmatch`; brackets around a bracket are one to it.
    expression = re.compile("|".join(translate(pattern.replace("[", "[[]")) for pattern in patterns))

    @lru_cache(REMEMBERED)
    def matches(name: str) -> bool:
        return expression.match(name) is not None

    return matches


def within(networks: Iterable[str]) -> Callable[[str], bool]:
    """Whether an address, or the /64 that stands for one, is within one of these networks (CIDR)."""
    known = tuple(ip_network(network) for network in networks)

    @lru_cache(REMEMBERED)
    def inside(address: str) -> bool:
        try:
            subject = ip_network(address)
        except ValueError:
            return False
        return any(
            subject.version == network.version
            and subject.prefixlen >= network.prefixlen
            and subject.network_address in network
            for network in known
        )

    return inside
