"""What a token is for: an upper bound on what its holder may do with it.

A scope grants nothing. It is asked besides the holder's roles, and both must agree.
"""

from collections.abc import Iterable

import msgspec

from aibridge.domain.permission import PAIRS, Action, Pair, Resource, pairs

_ALL = frozenset(("all", "coder:all"))


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What may be done, and to which objects.

    `only` are the ids of the objects it is for, None for any. With such a list nothing can be created and nothing
    listed: what has no id is on no list.
    """

    allowed: frozenset[Pair]
    only: frozenset[str] | None = None

    def admits(self, pair: Pair, object_id: str | None) -> bool:
        """Whether this may be done to the object of that id, None for one that has none yet."""
        return pair in self.allowed and (self.only is None or object_id in self.only)


EVERYTHING = Scope(allowed=PAIRS)
"""The bound that bounds nothing: of sessions, and of tokens that ask for no scope."""


def narrower(parent: Scope, child: Scope) -> bool:
    """Whether a child has nothing that its parent does not have; equals are narrower too.

    A token may only make tokens that are: else whoever holds one for reading would soon hold one for everything.
    """
    if not child.allowed <= parent.allowed:
        return False
    return parent.only is None or (child.only is not None and child.only <= parent.only)


def parse(names: Iterable[str], only: Iterable[str] | None = None) -> Scope:
    """Read scopes as the API names them: `resource:action`, `resource:*`, or `all` (`coder:all`) for everything.

    Raises:
        ValueError: there is no scope of such a name, or none is named at all.
    """
    allowed: set[Pair] = set()
    for name in names:
        allowed |= PAIRS if name in _ALL else _named(name)
    if not allowed:
        raise ValueError("a scope needs at least one name")
    return Scope(allowed=frozenset(allowed), only=None if only is None else frozenset(only))


def _named(name: str) -> frozenset[Pair]:
    resource, _, action = name.partition(":")
    try:
        found = pairs(Resource(resource), Action(action))
    except ValueError:
        found = frozenset()
    # `*:read` would let what a token may see grow with every version: a scope says what it is for.
    if not found or resource == Resource.ANY:
        raise ValueError(f"there is no scope {name!r}")
    return found
