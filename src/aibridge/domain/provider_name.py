"""What a provider may be called: its name is the first part of the paths of its routes, and of nothing else's.

A provider's name can stand where the control plane's paths begin, and where a page's do; so it is none of their words.
"""

import re

LONGEST = 32
"""Characters."""

RESERVED_NAMES = frozenset(
    (
        # of the control plane, below the root and beside the providers
        *("api", "healthz", "readyz", "metrics", "docs", "interceptions", "sessions", "models", "clients"),
        *("breakers", "limits", "providers"),
        # of pages for people, and what browsers and crawlers ask for by themselves
        *("assets", "dashboard", "favicon", "login", "logout", "oidc", "robots", "setup", "static"),
    )
)
"""Names that a provider cannot have."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


def checked(name: str) -> str:
    """A provider's name, if it can be one.

    Raises:
        ValueError: it is reserved, too long, or not made of lower-case letters, digits and single dashes.
    """
    if name in RESERVED_NAMES or len(name) > LONGEST or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be a provider's name: it is reserved, or not 1 to {LONGEST} lower-case letters, digits "
            "and dashes"
        )
    return name
