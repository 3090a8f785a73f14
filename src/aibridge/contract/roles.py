"""Roles: which there are, what they grant, who may give them, and whether somebody may do something."""

import uuid
from typing import Annotated

import msgspec

from aibridge.contract.endpoint import Access, Endpoint, Needs
from aibridge.contract.shapes import Body, Line, RoleName, View
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier, decode_hook, encode_hook

__all__ = [
    "ENDPOINTS",
    "Action",
    "AssignableRole",
    "AuthorizationCheck",
    "AuthorizationObject",
    "AuthorizationRequest",
    "CreateCustomRoleRequest",
    "Permission",
    "Resource",
    "RoleIdentifier",
    "UpdateCustomRoleRequest",
    "decode_hook",
    "encode_hook",
]


class AssignableRole(View, frozen=True, kw_only=True):
    """A role and what it grants on each level; `assignable` says whether the caller may give it."""

    name: RoleIdentifier
    display_name: str
    assignable: bool
    built_in: bool
    site_permissions: list[Permission] = []
    organization_permissions: list[Permission] = []
    user_permissions: list[Permission] = []


class CreateCustomRoleRequest(Body, frozen=True, kw_only=True):
    """A role of one organization. It can grant nothing that its maker may not do there."""

    name: RoleName
    display_name: Line = ""
    organization_permissions: Annotated[list[Permission], msgspec.Meta(max_length=200)]


class UpdateCustomRoleRequest(Body, frozen=True, kw_only=True):
    """What becomes of a role of one organization; what is left out stays."""

    display_name: Line | msgspec.UnsetType = msgspec.UNSET
    organization_permissions: Annotated[list[Permission], msgspec.Meta(max_length=200)] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class AuthorizationObject(Body, frozen=True, kw_only=True):
    """What is asked for: one thing, or all of a kind without `id`."""

    resource: Resource
    organization_id: uuid.UUID | None = None
    owner_id: str | None = None
    id: str | None = None


class AuthorizationCheck(Body, frozen=True, kw_only=True):
    """One question: may I do this to that?"""

    action: Action
    object: AuthorizationObject


class AuthorizationRequest(Body, frozen=True, kw_only=True):
    """Questions by names of the caller's choice."""

    checks: Annotated[dict[str, AuthorizationCheck], msgspec.Meta(max_length=1000)]


_CUSTOM = "/organizations/{organization}/members/roles"

ENDPOINTS = (
    Endpoint(
        operation="site_roles",
        method="GET",
        path="/users/roles",
        summary="List the roles of the whole site.",
        needs=Needs(action=Action.READ, resource=Resource.ASSIGN_ROLE),
        response=list[AssignableRole],
    ),
    Endpoint(
        operation="organization_roles",
        method="GET",
        path=_CUSTOM,
        summary="List the roles there are in an organization.",
        needs=Needs(action=Action.READ, resource=Resource.ASSIGN_ORG_ROLE),
        response=list[AssignableRole],
    ),
    Endpoint(
        operation="create_organization_role",
        method="POST",
        path=_CUSTOM,
        summary="Make a role of an organization.",
        needs=Needs(action=Action.CREATE, resource=Resource.ASSIGN_ORG_ROLE),
        body=CreateCustomRoleRequest,
        response=AssignableRole,
        status=201,
        errors=(409,),
    ),
    Endpoint(
        operation="update_organization_role",
        method="PUT",
        path=f"{_CUSTOM}/{{role_name}}",
        summary="Change a role that an organization made.",
        needs=Needs(action=Action.UPDATE, resource=Resource.ASSIGN_ORG_ROLE),
        body=UpdateCustomRoleRequest,
        response=AssignableRole,
    ),
    Endpoint(
        operation="delete_organization_role",
        method="DELETE",
        path=f"{_CUSTOM}/{{role_name}}",
        summary="Delete a role that an organization made, and take it from all who hold it.",
        needs=Needs(action=Action.DELETE, resource=Resource.ASSIGN_ORG_ROLE),
        status=204,
    ),
    Endpoint(
        operation="check_authorization",
        method="POST",
        path="/authcheck",
        summary="Ask what the caller may do.",
        needs=Access.SIGNED_IN,
        body=AuthorizationRequest,
        response=dict[str, bool],
    ),
)
