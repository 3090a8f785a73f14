"""What the structs of the contract have in common."""

from datetime import datetime
from typing import Annotated

import msgspec

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
LARGEST_OFFSET = 2**31 - 1

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment with its zone, RFC 3339."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""What is called by it in paths and lists."""

_SLUG = "^[a-z0-9]+(-[a-z0-9]+)*$"

Username = Annotated[Name, msgspec.Meta(extra_json_schema={"pattern": "^[A-Za-z0-9][A-Za-z0-9._@+-]*$"})]
"""A user's name. What it is made of is checked where it is kept, as of those below: this tells it to whoever asks."""

Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=36, extra_json_schema={"pattern": _SLUG})]
"""The name of an organization."""

RoleName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=32, extra_json_schema={"pattern": "^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$"})
]
"""The name of a role that an organization made."""

ProviderName = Annotated[str, msgspec.Meta(min_length=1, max_length=32, extra_json_schema={"pattern": _SLUG})]
"""The name of a provider."""

Line = Annotated[str, msgspec.Meta(max_length=256)]
"""One line for people."""

Prose = Annotated[str, msgspec.Meta(max_length=4096)]
"""Some lines for people."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Something as the API shows it. Later versions may show more."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is sent to the API. A field it does not know is an error, never passed over."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands behind the question mark of a URL. An empty parameter is as if it was not there."""


class Page(Parameters, frozen=True, kw_only=True):
    """Which part of a list: `limit` of it after the entry `after_id`, or after `offset` entries; not both."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT
    offset: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_OFFSET)] = 0
    after_id: str | None = None
