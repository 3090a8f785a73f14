"""All that the data plane knows of the world, frozen. The control plane prepares it; the hot path only reads it."""

from collections.abc import Mapping

import msgspec

from aibridge.domain.actor import Actor
from aibridge.domain.provider import Provider
from aibridge.domain.rule import Rule
from aibridge.domain.token import KnownToken, matches, token_id_of


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """The tokens that are in force, by their public id.

    Revoked tokens are absent. Expiry is looked at when a token is presented, since a snapshot may outlive it.
    """

    tokens: Mapping[str, KnownToken] = {}
    providers: tuple[Provider, ...] = ()
    """Those of the database, with their keys as providers want them."""
    has_providers: bool = False
    """Whether the database has any that is enabled, also one that cannot be served: then nothing stands in for them."""
    rules: tuple[Rule, ...] = ()
    """Limits beyond those of the configuration, in the order in which they are asked."""

    def token_of(self, text: str, now: float) -> KnownToken | None:
        """The token that `text` is, when it is in force at `now` (UTC seconds)."""
        token_id = token_id_of(text)
        known = None if token_id is None else self.tokens.get(token_id)
        if not matches(text, known) or known is None:
            return None
        return known if known.in_force(now) else None

    def actor_of(self, text: str, now: float) -> Actor | None:
        """The actor whose token `text` is, when that token is in force at `now` (UTC seconds)."""
        known = self.token_of(text, now)
        return None if known is None else known.actor
