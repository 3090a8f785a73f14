# Written by `make gen` from `src/aibridge/sdk/_async/roles.py`.
"""Roles: which there are, and what may be done."""

from uuid import UUID

from aibridge.contract.roles import (
    AssignableRole,
    AuthorizationRequest,
    CreateCustomRoleRequest,
    UpdateCustomRoleRequest,
)
from aibridge.sdk._request import at
from aibridge.sdk._sync.transport import Transport


class Roles(Transport):
    """Roles: which there are, and what may be done."""

    def site_roles(self) -> list[AssignableRole]:
        """List the roles of the whole site."""
        return self.request("GET", "/api/v2/users/roles", response=list[AssignableRole])

    def organization_roles(self, organization: UUID | str) -> list[AssignableRole]:
        """List the roles there are in an organization."""
        return self.request(
            "GET",
            at("/api/v2/organizations/{organization}/members/roles", organization=organization),
            response=list[AssignableRole],
        )

    def create_organization_role(self, organization: UUID | str, request: CreateCustomRoleRequest) -> AssignableRole:
        """Make a role of an organization."""
        return self.request(
            "POST",
            at("/api/v2/organizations/{organization}/members/roles", organization=organization),
            body=request,
            response=AssignableRole,
        )

    def update_organization_role(
        self, organization: UUID | str, role_name: str, request: UpdateCustomRoleRequest
    ) -> AssignableRole:
        """Change a role that an organization made."""
        return self.request(
            "PUT",
            at(
                "/api/v2/organizations/{organization}/members/roles/{role_name}",
                organization=organization,
                role_name=role_name,
            ),
            body=request,
            response=AssignableRole,
        )

    def delete_organization_role(self, organization: UUID | str, role_name: str) -> None:
        """Delete a role that an organization made, and take it from all who hold it."""
        self.request(
            "DELETE",
            at(
                "/api/v2/organizations/{organization}/members/roles/{role_name}",
                organization=organization,
                role_name=role_name,
            ),
        )

    def check_authorization(self, request: AuthorizationRequest) -> dict[str, bool]:
        """Ask what the caller may do."""
        return self.request("POST", "/api/v2/authcheck", body=request, response=dict[str, bool])
