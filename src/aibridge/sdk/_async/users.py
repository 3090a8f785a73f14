"""Users: people and service accounts."""

from http import HTTPStatus

from aibridge.contract.organizations import Organization
from aibridge.contract.users import (
    CreateUserRequest,
    UpdateRolesRequest,
    UpdateUserPasswordRequest,
    UpdateUserProfileRequest,
    User,
    UserRoles,
    UsersResponse,
)
from aibridge.contract.words import UserStatus
from aibridge.sdk._async.transport import AsyncTransport
from aibridge.sdk._error import Error, is_json
from aibridge.sdk._request import at


class AsyncUsers(AsyncTransport):
    """Users: people and service accounts."""

    async def users(
        self,
        *,
        q: str | None = None,
        status: UserStatus | None = None,
        limit: int | None = None,
        offset: int | None = None,
        after_id: str | None = None,
    ) -> UsersResponse:
        """List users."""
        return await self.request(
            "GET",
            "/api/v2/users",
            query={"q": q, "status": status, "limit": limit, "offset": offset, "after_id": after_id},
            response=UsersResponse,
        )

    async def create_user(self, request: CreateUserRequest) -> User:
        """Make a user or a service account."""
        return await self.request("POST", "/api/v2/users", body=request, response=User)

    async def user(self, user: str) -> User:
        """Show a user, by id, by username, or the caller as `me`."""
        return await self.request("GET", at("/api/v2/users/{user}", user=user), response=User)

    async def delete_user(self, user: str) -> None:
        """Delete a user, with all tokens and memberships."""
        await self.request("DELETE", at("/api/v2/users/{user}", user=user))

    async def update_user_profile(self, user: str, request: UpdateUserProfileRequest) -> User:
        """Change what a user is called."""
        return await self.request("PUT", at("/api/v2/users/{user}/profile", user=user), body=request, response=User)

    async def suspend_user(self, user: str) -> User:
        """Shut a user out: no token of theirs is in force any more."""
        return await self.request("PUT", at("/api/v2/users/{user}/status/suspend", user=user), response=User)

    async def activate_user(self, user: str) -> User:
        """Let a user in again."""
        return await self.request("PUT", at("/api/v2/users/{user}/status/activate", user=user), response=User)

    async def update_user_password(self, user: str, request: UpdateUserPasswordRequest) -> None:
        """Set a password. All other sessions of the user end."""
        await self.request("PUT", at("/api/v2/users/{user}/password", user=user), body=request)

    async def user_roles(self, user: str) -> UserRoles:
        """Show all roles of a user."""
        return await self.request("GET", at("/api/v2/users/{user}/roles", user=user), response=UserRoles)

    async def update_user_roles(self, user: str, request: UpdateRolesRequest) -> User:
        """Give a user roles of the site, and take those that are not named."""
        return await self.request("PUT", at("/api/v2/users/{user}/roles", user=user), body=request, response=User)

    async def user_organizations(self, user: str) -> list[Organization]:
        """List the organizations a user belongs to."""
        return await self.request(
            "GET", at("/api/v2/users/{user}/organizations", user=user), response=list[Organization]
        )

    async def first_user(self) -> bool:
        """Say whether there is a user yet."""
        try:
            await self.request_without_token("GET", "/api/v2/users/first")
        except Error as error:
            # Any server may answer 404, but only ours does so in JSON.
            if error.status == HTTPStatus.NOT_FOUND and is_json(error.response):
                return False
            raise
        return True
