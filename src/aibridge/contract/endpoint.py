"""What an endpoint is: a row of the table from which routes, permissions, OpenAPI and the docs follow."""

from collections.abc import Iterator
from enum import StrEnum
from string import Formatter
from typing import Annotated

import msgspec

from aibridge import __version__
from aibridge.contract.shapes import Parameters
from aibridge.domain.permission import Action, Resource

PREFIX = f"/api/v{__version__.partition('.')[0]}"
"""Where the API is: its version is the major one of the whole."""

BYPASS = "x-coder-bypass-ratelimit"
"""The header by which an owner asks not to be limited. From anybody else, and from nobody, it is an error."""


class Access(StrEnum):
    """Who may call an endpoint that asks for no permission."""

    PUBLIC = "public"
    """Everybody, known or not."""
    SIGNED_IN = "signed_in"
    """Whoever has a token or a session."""


class Of(StrEnum):
    """Of what a permission is asked."""

    PATH = "path"
    """Of what the path names; where it names nothing, of all of the kind."""
    BODY = "body"
    """Of what the body names: the endpoint asks, since only it knows."""
    VISIBLE = "visible"
    """Of each entry: the answer holds those the caller may read, and may be empty."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """The permission that a caller needs."""

    action: Action
    resource: Resource
    of: Of = Of.PATH


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint.

    `path` is below `/api/v2` and names its parameters in braces; one of the form `{name:path}` takes slashes, too.
    `aliases` are further paths of the same. `operation` is its name in OpenAPI and the method of the SDK. `query` and
    `body` are what is sent, `response` what comes back with `status` (None: nothing). `errors` are the statuses beyond
    those that follow from the rest. `browser` marks what only a browser calls, so that no SDK has it; `media_type` what
    is answered instead of JSON.
    """

    operation: str
    method: str
    path: str
    summary: str
    needs: Needs | Access
    query: type[Parameters] | None = None
    body: type[msgspec.Struct] | None = None
    response: object = None
    status: Annotated[int, msgspec.Meta(ge=200, le=399)] = 200
    errors: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    media_type: str = "application/json"
    browser: bool = False

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names in braces, in their order."""
        return tuple(_names(self.path))

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method not in {"GET", "HEAD"}


def both(**row: object) -> Endpoint:
    """An endpoint below `/aibridge`, and below the other name that the gateway goes by."""
    path = str(row["path"])
    return Endpoint(**(row | {"path": f"/aibridge{path}", "aliases": (f"/ai-gateway{path}",)}))  # type: ignore[arg-type]


def _names(path: str) -> Iterator[str]:
    return (name for _, name, _, _ in Formatter().parse(path) if name)
