"""Whoever may hold tokens: a person, or a service that is nobody."""

from enum import StrEnum


class UserStatus(StrEnum):
    """Whether somebody may use the gateway."""

    ACTIVE = "active"
    DORMANT = "dormant"
    """Not seen for a long time. The next use of a token, or signing in, makes them active again."""
    SUSPENDED = "suspended"
    """Shut out: no token of theirs is in force until somebody activates them."""


class LoginType(StrEnum):
    """How somebody signs in."""

    PASSWORD = "password"  # noqa: S105 (a word, no credential)
    OIDC = "oidc"
    NONE = "none"
    """Not at all: a service account, or somebody who only has tokens that others made."""
