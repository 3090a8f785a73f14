"""Users: people and service accounts."""

import uuid
from typing import Annotated

import msgspec

from aibridge.contract.endpoint import Access, Endpoint, Needs, Of
from aibridge.contract.organizations import Organization
from aibridge.contract.shapes import Body, Instant, Line, Page, Username, View
from aibridge.domain.permission import Action, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.user import LoginType, UserStatus

Email = Annotated[str, msgspec.Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
"""One that somebody says they have."""
NewPassword = Annotated[str, msgspec.Meta(max_length=1024, extra_json_schema={"minLength": 8})]
"""One that somebody shall have; all that is wrong with it is said where it is set."""


class User(View, frozen=True, kw_only=True):
    """A person, or a service account of the organization `service_account_of`.

    `roles` are those of the whole site, without `member`, which everybody is.
    """

    id: str
    username: str
    email: str | None
    name: str
    status: UserStatus
    login_type: LoginType
    roles: list[RoleIdentifier]
    organization_ids: list[uuid.UUID]
    service_account_of: uuid.UUID | None
    created_at: Instant
    updated_at: Instant
    last_seen_at: Instant | None


class UsersResponse(View, frozen=True, kw_only=True):
    """A page, and how many match in all."""

    users: list[User]
    count: int


class UsersQuery(Page, frozen=True, kw_only=True):
    """Which users: `q` is looked for in username, email and name."""

    q: Line | None = None
    status: UserStatus | None = None


class CreateUserRequest(Body, frozen=True, kw_only=True):
    """A new user.

    With a password somebody can sign in by it; `oidc` means that the first sign-in by OpenID Connect with this email
    address is theirs. `service_account_of` makes a service account of that organization. Without `organization_ids`
    it is the organization that everything begins with.
    """

    username: Username
    email: Email | None = None
    name: Line = ""
    password: NewPassword | None = None
    login_type: LoginType | None = None
    organization_ids: Annotated[list[uuid.UUID], msgspec.Meta(min_length=1, max_length=100)] | None = None
    service_account_of: uuid.UUID | None = None


class UpdateUserProfileRequest(Body, frozen=True, kw_only=True):
    """What a user is called; what is left out stays. The username is for administrators to change."""

    username: Username | msgspec.UnsetType = msgspec.UNSET
    name: Line | msgspec.UnsetType = msgspec.UNSET
    email: Email | msgspec.UnsetType = msgspec.UNSET


class UpdateUserPasswordRequest(Body, frozen=True, kw_only=True):
    """A new password. Whoever changes their own says the old one as well."""

    password: NewPassword
    old_password: Password | None = None


class UserRoles(View, frozen=True, kw_only=True):
    """All roles of a user: of the site and, by organization, of organizations."""

    roles: list[RoleIdentifier]
    organization_roles: dict[uuid.UUID, list[RoleIdentifier]]


class UpdateRolesRequest(Body, frozen=True, kw_only=True):
    """The roles that somebody shall have: all of them, and no others."""

    roles: Annotated[list[RoleIdentifier], msgspec.Meta(max_length=100)]


_USER = "/users/{user}"

ENDPOINTS = (
    Endpoint(
        operation="users",
        method="GET",
        path="/users",
        summary="List users.",
        needs=Needs(action=Action.READ, resource=Resource.USER, of=Of.VISIBLE),
        query=UsersQuery,
        response=UsersResponse,
    ),
    Endpoint(
        operation="create_user",
        method="POST",
        path="/users",
        summary="Make a user or a service account.",
        needs=Needs(action=Action.CREATE, resource=Resource.USER, of=Of.BODY),
        body=CreateUserRequest,
        response=User,
        status=201,
        errors=(409,),
    ),
    Endpoint(
        operation="user",
        method="GET",
        path=_USER,
        summary="Show a user, by id, by username, or the caller as `me`.",
        needs=Needs(action=Action.READ, resource=Resource.USER),
        response=User,
    ),
    Endpoint(
        operation="delete_user",
        method="DELETE",
        path=_USER,
        summary="Delete a user, with all tokens and memberships.",
        needs=Needs(action=Action.DELETE, resource=Resource.USER),
        status=204,
        errors=(409,),
    ),
    Endpoint(
        operation="update_user_profile",
        method="PUT",
        path=f"{_USER}/profile",
        summary="Change what a user is called.",
        needs=Needs(action=Action.UPDATE_PERSONAL, resource=Resource.USER),
        body=UpdateUserProfileRequest,
        response=User,
        errors=(409,),
    ),
    Endpoint(
        operation="suspend_user",
        method="PUT",
        path=f"{_USER}/status/suspend",
        summary="Shut a user out: no token of theirs is in force any more.",
        needs=Needs(action=Action.UPDATE, resource=Resource.USER),
        response=User,
        errors=(409,),
    ),
    Endpoint(
        operation="activate_user",
        method="PUT",
        path=f"{_USER}/status/activate",
        summary="Let a user in again.",
        needs=Needs(action=Action.UPDATE, resource=Resource.USER),
        response=User,
    ),
    Endpoint(
        operation="update_user_password",
        method="PUT",
        path=f"{_USER}/password",
        summary="Set a password. All other sessions of the user end.",
        needs=Needs(action=Action.UPDATE_PERSONAL, resource=Resource.USER),
        body=UpdateUserPasswordRequest,
        status=204,
    ),
    Endpoint(
        operation="user_roles",
        method="GET",
        path=f"{_USER}/roles",
        summary="Show all roles of a user.",
        needs=Needs(action=Action.READ, resource=Resource.USER),
        response=UserRoles,
    ),
    Endpoint(
        operation="update_user_roles",
        method="PUT",
        path=f"{_USER}/roles",
        summary="Give a user roles of the site, and take those that are not named.",
        needs=Needs(action=Action.ASSIGN, resource=Resource.ASSIGN_ROLE),
        body=UpdateRolesRequest,
        response=User,
        errors=(409,),
    ),
    Endpoint(
        operation="user_organizations",
        method="GET",
        path=f"{_USER}/organizations",
        summary="List the organizations a user belongs to.",
        needs=Needs(action=Action.READ, resource=Resource.USER),
        response=list[Organization],
    ),
    Endpoint(
        operation="first_user",
        method="GET",
        path="/users/first",
        summary="Answer whether there is a user yet: 404 when there is none.",
        needs=Access.PUBLIC,
        response=None,
        status=204,
        errors=(404,),
    ),
)
