"""Roles: which there are, and what may be done."""

from uuid import UUID

from aibridge.contract.roles import (
    AssignableRole,
    AuthorizationRequest,
    CreateCustomRoleRequest,
    UpdateCustomRoleRequest,
)
from aibridge.sdk._async.transport import AsyncTransport
from aibridge.sdk._request import at


class AsyncRoles(AsyncTransport):
    """Roles: which there are, and what may be done."""

    async def site_roles(self) -> list[AssignableRole]:
        """List the roles of the whole site."""
        return await self.request("GET", "/api/v2/users/roles", response=list[AssignableRole])

    async def organization_roles(self, organization: UUID | str) -> list[AssignableRole]:
        """List the roles there are in an organization."""
        return await self.request(
            "GET",
            at("/api/v2/organizations/{organization}/members/roles", organization=organization),
            response=list[AssignableRole],
        )

    async def create_organization_role(
        self, organization: UUID | str, request: CreateCustomRoleRequest
    ) -> AssignableRole:
        """Make a role of an organization."""
        return await self.request(
            "POST",
            at("/api/v2/organizations/{organization}/members/roles", organization=organization),
            body=request,
            response=AssignableRole,
        )

    async def update_organization_role(
        self, organization: UUID | str, role_name: str, request: UpdateCustomRoleRequest
    ) -> AssignableRole:
        """Change a role that an organization made."""
        return await self.request(
            "PUT",
            at(
                "/api/v2/organizations/{organization}/members/roles/{role_name}",
                organization=organization,
                role_name=role_name,
            ),
            body=request,
            response=AssignableRole,
        )

    async def delete_organization_role(self, organization: UUID | str, role_name: str) -> None:
        """Delete a role that an organization made, and take it from all who hold it."""
        await self.request(
            "DELETE",
            at(
                "/api/v2/organizations/{organization}/members/roles/{role_name}",
                organization=organization,
                role_name=role_name,
            ),
        )

    async def check_authorization(self, request: AuthorizationRequest) -> dict[str, bool]:
        """Ask what the caller may do."""
        return await self.request("POST", "/api/v2/authcheck", body=request, response=dict[str, bool])
