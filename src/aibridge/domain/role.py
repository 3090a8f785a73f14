"""The name of a role, and the organization it is held in.

A role's name alone does not say where it holds: an administrator of one organization is nobody in the next. So a role
never travels as a string, only as this.

In JSON it is its string form, both ways. msgspec writes the fields of every struct and dataclass, so this is a plain
class, which it hands to hooks instead. Structs have fields of this type (`roles: tuple[RoleIdentifier, ...]`) and know
nothing of it; whoever encodes or decodes them passes the hooks along:

    msgspec.json.encode(member, enc_hook=encode_hook)
    msgspec.json.decode(body, type=Member, dec_hook=decode_hook)

What is wrong with a role is then an ordinary `msgspec.ValidationError` that names its place in the document.
"""

import uuid
from functools import total_ordering
from typing import Never, final

_SEPARATOR = ":"
_NIL = uuid.UUID(int=0)


@final
@total_ordering
class RoleIdentifier:
    """A role's name with the organization it is held in, None where it holds for the whole site.

    Immutable, hashable, and ordered by name and then by organization, the site's first.

    Raises:
        ValueError: the name is empty or has a colon in it, or the organization is the nil UUID.
    """

    __slots__ = ("_hash", "_key", "name", "organization_id")

    name: str
    organization_id: uuid.UUID | None
    _key: tuple[str, str]
    _hash: int

    def __init__(self, name: str, organization_id: uuid.UUID | None = None) -> None:
        if not name:
            raise ValueError("role cannot be the empty string")
        if _SEPARATOR in name:
            raise ValueError("too many colons in role name")
        if organization_id == _NIL:
            raise ValueError(f"role {name!r} is in no organization: leave it out, the nil UUID is none")
        key = (name, "" if organization_id is None else str(organization_id))
        setting = object.__setattr__
        setting(self, "name", name)
        setting(self, "organization_id", organization_id)
        setting(self, "_key", key)
        # Sets of roles are what decisions are remembered by: their hashes are asked for again and again.
        setting(self, "_hash", hash(key))

    @classmethod
    def parse(cls, text: str) -> "RoleIdentifier":
        """Read the string form, `name` or `name:<organization uuid>`; the nil UUID is the site, as if it was left out.

        Raises:
            ValueError: it is empty, has several colons, or its organization is no UUID of 36 characters.
        """
        name, *organizations = text.split(_SEPARATOR)
        if not organizations:
            return cls(name)
        if len(organizations) > 1:
            raise ValueError("too many colons in role name")
        organization_id = _organization(organizations[0], text)
        return cls(name, None if organization_id == _NIL else organization_id)

    @property
    def unique_name(self) -> str:
        """The string form: no two different roles share it."""
        return self.name if self.organization_id is None else f"{self.name}{_SEPARATOR}{self.organization_id}"

    @property
    def is_organization_role(self) -> bool:
        """Whether it holds in one organization only."""
        return self.organization_id is not None

    def __str__(self) -> str:
        return self.unique_name

    def __repr__(self) -> str:
        return f"RoleIdentifier({self.unique_name!r})"

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, RoleIdentifier) else NotImplemented

    def __lt__(self, other: "RoleIdentifier") -> bool:
        return self._key < other._key if isinstance(other, RoleIdentifier) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type["RoleIdentifier"], tuple[str, uuid.UUID | None]]:
        return RoleIdentifier, (self.name, self.organization_id)

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"a role cannot be changed, nor its {name}")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"a role cannot be changed, nor its {name}")


def encode_hook(value: object) -> str:
    """Write a role for msgspec, as its string form.

    Raises:
        NotImplementedError: it is no role; msgspec takes this for "not supported".
    """
    if isinstance(value, RoleIdentifier):
        return value.unique_name
    raise NotImplementedError(f"objects of type {type(value).__name__} are not supported")


def decode_hook(wanted: type, value: object) -> RoleIdentifier:
    """Read a role for msgspec, from its string form.

    Raises:
        ValueError, TypeError: it is no role's string form; msgspec adds where it stands.
        NotImplementedError: something else than a role is wanted; msgspec takes this for "not supported".
    """
    if wanted is not RoleIdentifier:
        raise NotImplementedError(f"objects of type {wanted.__name__} are not supported")
    if not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    return RoleIdentifier.parse(value)


def _organization(text: str, whole: str) -> uuid.UUID:
    try:
        found = uuid.UUID(text)
    except ValueError:
        found = None
    # `UUID` also reads braces, the words urn:uuid and no dashes at all: many forms of one role would be many roles.
    if found is None or str(found) != text.lower():
        raise ValueError(f"invalid organization id {text!r} in role {whole!r}: it is not a UUID")
    return found
