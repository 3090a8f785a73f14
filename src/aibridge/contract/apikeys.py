"""Tokens: what programs present to the gateway."""

import uuid
from typing import Annotated

import msgspec

from aibridge.contract.endpoint import Endpoint, Needs
from aibridge.contract.shapes import Body, Instant, Name, Page, View
from aibridge.domain.permission import Action, Resource
from aibridge.domain.priority import Priority
from aibridge.domain.token import LONGEST_LIFETIME, LONGEST_OVERLAP

_Scope = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"pattern": r"^(all|[a-z_]+:([a-z_]+|\*))$", "examples": ["all", "api_key:read"]}),
]
_Lifetime = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LIFETIME)]


class APIKey(View, frozen=True, kw_only=True):
    """A token, without its secret.

    `scopes` bound what it may do (`["all"]`: whatever its user may), `allow_list` to which objects (null: any).
    `login_type` is `token`, or `session` for one that signing in made.
    """

    id: str
    user_id: str
    username: str
    organization_id: uuid.UUID
    token_name: str
    login_type: str
    last_four: str
    scopes: list[str]
    allow_list: list[str] | None
    priority: Priority
    created_by: str | None
    parent_id: str | None
    replaced_by: str | None
    created_at: Instant
    expires_at: Instant | None
    last_used: Instant | None
    revoked_at: Instant | None


class APIKeysResponse(View, frozen=True, kw_only=True):
    """A page, and how many there are in all."""

    keys: list[APIKey]
    count: int


class TokensQuery(Page, frozen=True, kw_only=True):
    """Which tokens; those that are expired or revoked only if asked for."""

    include_expired: bool = False


class CreateTokenRequest(Body, frozen=True, kw_only=True):
    """A new token.

    `lifetime` is in seconds, null for no end. It can do nothing that the token it is made with cannot. Without
    `organization_id` it is for the organization that everything begins with, or the one the user belongs to.
    """

    token_name: Name
    lifetime: _Lifetime | None = None
    scopes: Annotated[list[_Scope], msgspec.Meta(min_length=1, max_length=100)] = msgspec.field(
        default_factory=lambda: ["all"]
    )
    allow_list: Annotated[list[str], msgspec.Meta(max_length=1000)] | None = None
    organization_id: uuid.UUID | None = None
    priority: Priority = Priority.INTERACTIVE


class RotateTokenRequest(Body, frozen=True, kw_only=True):
    """A token takes another's place; both are in force for `overlap` seconds. `lifetime` null: that of the old one."""

    overlap: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_OVERLAP)] = 3600
    lifetime: _Lifetime | None = None


class GeneratedToken(View, frozen=True, kw_only=True):
    """A new token: the one time that its text is shown."""

    key: str
    id: str
    expires_at: Instant | None

    def __repr__(self) -> str:
        return f"GeneratedToken(id={self.id!r})"


_KEYS = "/users/{user}/keys"
_KEY = f"{_KEYS}/{{key}}"

ENDPOINTS = (
    Endpoint(
        operation="tokens",
        method="GET",
        path=f"{_KEYS}/tokens",
        summary="List the tokens of a user.",
        needs=Needs(action=Action.READ, resource=Resource.API_KEY),
        query=TokensQuery,
        response=APIKeysResponse,
    ),
    Endpoint(
        operation="create_token",
        method="POST",
        path=f"{_KEYS}/tokens",
        summary="Make a token.",
        needs=Needs(action=Action.CREATE, resource=Resource.API_KEY),
        body=CreateTokenRequest,
        response=GeneratedToken,
        status=201,
        errors=(409,),
    ),
    Endpoint(
        operation="api_key_by_name",
        method="GET",
        path=f"{_KEYS}/tokens/{{token_name}}",
        summary="Show a token in force, by its name.",
        needs=Needs(action=Action.READ, resource=Resource.API_KEY),
        response=APIKey,
    ),
    Endpoint(
        operation="api_key",
        method="GET",
        path=_KEY,
        summary="Show a token.",
        needs=Needs(action=Action.READ, resource=Resource.API_KEY),
        response=APIKey,
    ),
    Endpoint(
        operation="delete_api_key",
        method="DELETE",
        path=_KEY,
        summary="Revoke a token, for good.",
        needs=Needs(action=Action.DELETE, resource=Resource.API_KEY),
        status=204,
    ),
    Endpoint(
        operation="rotate_token",
        method="POST",
        path=f"{_KEY}/rotate",
        summary="Replace a token by a new one with the same bounds.",
        needs=Needs(action=Action.CREATE, resource=Resource.API_KEY),
        body=RotateTokenRequest,
        response=GeneratedToken,
        status=201,
        errors=(409,),
    ),
)
