"""Roles as the tables keep them: a JSON array of names, beside which the organization stands, where there is one.

The one place where a role is a string. What everybody has (`member`, `organization-member`) is not among them: who
checks what is to be written leaves it out.
"""

import uuid
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from aibridge.domain.role import RoleIdentifier

_DECODER = msgspec.json.Decoder(list[str])


def written(roles: Iterable[RoleIdentifier]) -> str:
    """The array, in the order of names, each once."""
    return msgspec.json.encode(sorted({role.name for role in roles})).decode()


@lru_cache(4096)  # thousands of people have the same few roles
def read(text: str, organization_id: uuid.UUID | None = None) -> tuple[RoleIdentifier, ...]:
    """The roles of an array, held in that organization, or on the site."""
    return tuple(RoleIdentifier(name, organization_id) for name in _DECODER.decode(text))


def mention(role: RoleIdentifier) -> str:
    """What stands in every array that has this role in it, and in no other: names have no quotes in them."""
    return msgspec.json.encode(role.name).decode()
