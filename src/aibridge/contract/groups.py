"""Groups: some members of an organization, under a name."""

import uuid
from typing import Annotated

import msgspec

from aibridge.contract.endpoint import Endpoint, Needs, Of
from aibridge.contract.shapes import Body, Instant, Line, Name, Page, View
from aibridge.domain.permission import Action, Resource


class GroupMember(View, frozen=True, kw_only=True):
    """A user in a group."""

    id: str
    username: str


class Group(View, frozen=True, kw_only=True):
    """A group. `source` is `user` where people made it, `oidc` where it came with a sign-in."""

    id: str
    organization_id: uuid.UUID
    name: str
    display_name: str
    source: str
    members: list[GroupMember]
    created_at: Instant
    updated_at: Instant


class GroupsResponse(View, frozen=True, kw_only=True):
    """A page, and how many there are in all."""

    groups: list[Group]
    count: int


class CreateGroupRequest(Body, frozen=True, kw_only=True):
    """A new group, without members."""

    name: Name
    display_name: Line = ""


class UpdateGroupRequest(Body, frozen=True, kw_only=True):
    """What becomes of a group; what is left out stays. Users are named by id or username."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    display_name: Line | msgspec.UnsetType = msgspec.UNSET
    add_users: Annotated[list[str], msgspec.Meta(max_length=1000)] = []
    remove_users: Annotated[list[str], msgspec.Meta(max_length=1000)] = []


ENDPOINTS = (
    Endpoint(
        operation="organization_groups",
        method="GET",
        path="/organizations/{organization}/groups",
        summary="List the groups of an organization.",
        needs=Needs(action=Action.READ, resource=Resource.GROUP, of=Of.VISIBLE),
        query=Page,
        response=GroupsResponse,
    ),
    Endpoint(
        operation="create_group",
        method="POST",
        path="/organizations/{organization}/groups",
        summary="Make a group.",
        needs=Needs(action=Action.CREATE, resource=Resource.GROUP),
        body=CreateGroupRequest,
        response=Group,
        status=201,
        errors=(409,),
    ),
    Endpoint(
        operation="group",
        method="GET",
        path="/groups/{group}",
        summary="Show a group.",
        needs=Needs(action=Action.READ, resource=Resource.GROUP),
        response=Group,
    ),
    Endpoint(
        operation="update_group",
        method="PATCH",
        path="/groups/{group}",
        summary="Change a group, or who is in it.",
        needs=Needs(action=Action.UPDATE, resource=Resource.GROUP),
        body=UpdateGroupRequest,
        response=Group,
        errors=(409,),
    ),
    Endpoint(
        operation="delete_group",
        method="DELETE",
        path="/groups/{group}",
        summary="Delete a group.",
        needs=Needs(action=Action.DELETE, resource=Resource.GROUP),
        status=204,
    ),
)
