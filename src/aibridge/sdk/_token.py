"""Where a client has its session token from."""

from typing import Protocol

HEADER = "Coder-Session-Token"
"""The header that carries the token."""


class SessionTokenProvider(Protocol):
    """Gives the token of a request. It is asked before each one, so a token may be renewed on the way."""

    def token(self) -> str:
        """The token to send; empty for none."""
        ...


class FixedSessionToken:
    """One token for all requests."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        self._token = token

    def __repr__(self) -> str:
        return "FixedSessionToken(…)"

    def token(self) -> str:
        """The token; empty if there is none."""
        return self._token


def provider_of(token: str | SessionTokenProvider) -> SessionTokenProvider:
    """What gives a token, where a token may be given instead."""
    return FixedSessionToken(token) if isinstance(token, str) else token


def sendable(token: str) -> str:
    """The token itself.

    Raises:
        ValueError: no header can carry it. The message does not say what it is.
    """
    if token.isascii() and token.isprintable() and token == token.strip():
        return token
    raise ValueError("session_token: it has blanks around it, line breaks or other characters that no header may have")
