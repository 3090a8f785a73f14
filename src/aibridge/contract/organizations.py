"""Organizations and their members."""

import uuid
from typing import Annotated

import msgspec

from aibridge.contract.endpoint import Endpoint, Needs, Of
from aibridge.contract.shapes import Body, Instant, Line, Page, Prose, Slug, View
from aibridge.domain.permission import Action, Resource
from aibridge.domain.role import RoleIdentifier


class Organization(View, frozen=True, kw_only=True):
    """Who belongs together. `is_default` marks the one that everything begins with."""

    id: uuid.UUID
    name: str
    display_name: str
    description: str
    icon: str
    is_default: bool
    created_at: Instant
    updated_at: Instant


class OrganizationsResponse(View, frozen=True, kw_only=True):
    """A page, and how many there are in all."""

    organizations: list[Organization]
    count: int


class CreateOrganizationRequest(Body, frozen=True, kw_only=True):
    """A new organization. The name stands in paths: lower-case letters, digits and single dashes."""

    name: Slug
    display_name: Line = ""
    description: Prose = ""
    icon: Line = ""


class UpdateOrganizationRequest(Body, frozen=True, kw_only=True):
    """What becomes of an organization; what is left out stays."""

    name: Slug | msgspec.UnsetType = msgspec.UNSET
    display_name: Line | msgspec.UnsetType = msgspec.UNSET
    description: Prose | msgspec.UnsetType = msgspec.UNSET
    icon: Line | msgspec.UnsetType = msgspec.UNSET


class OrganizationMember(View, frozen=True, kw_only=True):
    """A user in an organization; `roles` are those in it, without `organization-member`, which every member is."""

    organization_id: uuid.UUID
    user_id: str
    username: str
    name: str
    email: str | None
    roles: list[RoleIdentifier]
    created_at: Instant
    updated_at: Instant


class OrganizationMembersResponse(View, frozen=True, kw_only=True):
    """A page, and how many there are in all."""

    members: list[OrganizationMember]
    count: int


class UpdateMemberRolesRequest(Body, frozen=True, kw_only=True):
    """The roles that a member shall have in the organization: all of them, and no others."""

    roles: Annotated[list[RoleIdentifier], msgspec.Meta(max_length=100)]


_ORGANIZATION = "/organizations/{organization}"
_MEMBER = f"{_ORGANIZATION}/members/{{user}}"

ENDPOINTS = (
    Endpoint(
        operation="organizations",
        method="GET",
        path="/organizations",
        summary="List organizations.",
        needs=Needs(action=Action.READ, resource=Resource.ORGANIZATION, of=Of.VISIBLE),
        query=Page,
        response=OrganizationsResponse,
    ),
    Endpoint(
        operation="create_organization",
        method="POST",
        path="/organizations",
        summary="Make an organization. Whoever makes it is its first administrator.",
        needs=Needs(action=Action.CREATE, resource=Resource.ORGANIZATION),
        body=CreateOrganizationRequest,
        response=Organization,
        status=201,
        errors=(409,),
    ),
    Endpoint(
        operation="organization",
        method="GET",
        path=_ORGANIZATION,
        summary="Show an organization, by id or name.",
        needs=Needs(action=Action.READ, resource=Resource.ORGANIZATION),
        response=Organization,
    ),
    Endpoint(
        operation="update_organization",
        method="PATCH",
        path=_ORGANIZATION,
        summary="Change an organization.",
        needs=Needs(action=Action.UPDATE, resource=Resource.ORGANIZATION),
        body=UpdateOrganizationRequest,
        response=Organization,
        errors=(409,),
    ),
    Endpoint(
        operation="delete_organization",
        method="DELETE",
        path=_ORGANIZATION,
        summary="Delete an organization, with its memberships, groups, roles and limits; its tokens are revoked.",
        needs=Needs(action=Action.DELETE, resource=Resource.ORGANIZATION),
        status=204,
        errors=(409,),
    ),
    Endpoint(
        operation="organization_members",
        method="GET",
        path=f"{_ORGANIZATION}/members",
        summary="List the members of an organization.",
        needs=Needs(action=Action.READ, resource=Resource.ORGANIZATION_MEMBER, of=Of.VISIBLE),
        query=Page,
        response=OrganizationMembersResponse,
    ),
    Endpoint(
        operation="organization_member",
        method="GET",
        path=_MEMBER,
        summary="Show a member of an organization.",
        needs=Needs(action=Action.READ, resource=Resource.ORGANIZATION_MEMBER),
        response=OrganizationMember,
    ),
    Endpoint(
        operation="add_organization_member",
        method="POST",
        path=_MEMBER,
        summary="Make a user a member of an organization.",
        needs=Needs(action=Action.CREATE, resource=Resource.ORGANIZATION_MEMBER),
        response=OrganizationMember,
        status=201,
        errors=(409,),
    ),
    Endpoint(
        operation="remove_organization_member",
        method="DELETE",
        path=_MEMBER,
        summary="End a membership; the member's tokens of this organization are revoked.",
        needs=Needs(action=Action.DELETE, resource=Resource.ORGANIZATION_MEMBER),
        status=204,
        errors=(409,),
    ),
    Endpoint(
        operation="update_organization_member_roles",
        method="PUT",
        path=f"{_MEMBER}/roles",
        summary="Give a member roles in the organization, and take those that are not named.",
        needs=Needs(action=Action.ASSIGN, resource=Resource.ASSIGN_ORG_ROLE),
        body=UpdateMemberRolesRequest,
        response=OrganizationMember,
    ),
)
