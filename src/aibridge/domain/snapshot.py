"""All that the data plane knows of the world, frozen. The control plane prepares it; the hot path only reads it."""

from collections.abc import Mapping

import msgspec

from aibridge.domain.token import KnownToken


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that are in force, by their public id.

    Revoked tokens are absent. Expiry is looked at when a token is presented, since a snapshot may outlive it.
    """

    tokens: Mapping[str, KnownToken] = {}
