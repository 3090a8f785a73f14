# Written by `make gen` from `src/aibridge/sdk/_async/organizations.py`.
"""Organizations and their members."""

from uuid import UUID

from aibridge.contract.organizations import (
    CreateOrganizationRequest,
    Organization,
    OrganizationMember,
    OrganizationMembersResponse,
    OrganizationsResponse,
    UpdateMemberRolesRequest,
    UpdateOrganizationRequest,
)
from aibridge.sdk._request import at
from aibridge.sdk._sync.transport import Transport


class Organizations(Transport):
    """Organizations and their members."""

    def organizations(
        self, *, limit: int | None = None, offset: int | None = None, after_id: str | None = None
    ) -> OrganizationsResponse:
        """List organizations."""
        return self.request(
            "GET",
            "/api/v2/organizations",
            query={"limit": limit, "offset": offset, "after_id": after_id},
            response=OrganizationsResponse,
        )

    def create_organization(self, request: CreateOrganizationRequest) -> Organization:
        """Make an organization. Whoever makes it is its first administrator."""
        return self.request("POST", "/api/v2/organizations", body=request, response=Organization)

    def organization(self, organization: UUID | str) -> Organization:
        """Show an organization, by id or name."""
        return self.request(
            "GET", at("/api/v2/organizations/{organization}", organization=organization), response=Organization
        )

    def update_organization(self, organization: UUID | str, request: UpdateOrganizationRequest) -> Organization:
        """Change an organization."""
        return self.request(
            "PATCH",
            at("/api/v2/organizations/{organization}", organization=organization),
            body=request,
            response=Organization,
        )

    def delete_organization(self, organization: UUID | str) -> None:
        """Delete an organization, with its memberships, groups, roles and limits; its tokens are revoked."""
        self.request("DELETE", at("/api/v2/organizations/{organization}", organization=organization))

    def organization_members(
        self,
        organization: UUID | str,
        *,
        limit: int | None = None,
        offset: int | None = None,
        after_id: str | None = None,
    ) -> OrganizationMembersResponse:
        """List the members of an organization."""
        return self.request(
            "GET",
            at("/api/v2/organizations/{organization}/members", organization=organization),
            query={"limit": limit, "offset": offset, "after_id": after_id},
            response=OrganizationMembersResponse,
        )

    def organization_member(self, organization: UUID | str, user: str) -> OrganizationMember:
        """Show a member of an organization."""
        return self.request(
            "GET",
            at("/api/v2/organizations/{organization}/members/{user}", organization=organization, user=user),
            response=OrganizationMember,
        )

    def add_organization_member(self, organization: UUID | str, user: str) -> OrganizationMember:
        """Make a user a member of an organization."""
        return self.request(
            "POST",
            at("/api/v2/organizations/{organization}/members/{user}", organization=organization, user=user),
            response=OrganizationMember,
        )

    def remove_organization_member(self, organization: UUID | str, user: str) -> None:
        """End a membership; the member's tokens of this organization are revoked."""
        self.request(
            "DELETE", at("/api/v2/organizations/{organization}/members/{user}", organization=organization, user=user)
        )

    def update_organization_member_roles(
        self, organization: UUID | str, user: str, request: UpdateMemberRolesRequest
    ) -> OrganizationMember:
        """Give a member roles in the organization, and take those that are not named."""
        return self.request(
            "PUT",
            at("/api/v2/organizations/{organization}/members/{user}/roles", organization=organization, user=user),
            body=request,
            response=OrganizationMember,
        )
