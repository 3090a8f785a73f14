"""Groups of an organization's members."""

from uuid import UUID

from aibridge.contract.groups import CreateGroupRequest, Group, GroupsResponse, UpdateGroupRequest
from aibridge.sdk._async.transport import AsyncTransport
from aibridge.sdk._request import at


class AsyncGroups(AsyncTransport):
    """Groups of an organization's members."""

    async def organization_groups(
        self,
        organization: UUID | str,
        *,
        limit: int | None = None,
        offset: int | None = None,
        after_id: str | None = None,
    ) -> GroupsResponse:
        """List the groups of an organization."""
        return await self.request(
            "GET",
            at("/api/v2/organizations/{organization}/groups", organization=organization),
            query={"limit": limit, "offset": offset, "after_id": after_id},
            response=GroupsResponse,
        )

    async def create_group(self, organization: UUID | str, request: CreateGroupRequest) -> Group:
        """Make a group."""
        return await self.request(
            "POST",
            at("/api/v2/organizations/{organization}/groups", organization=organization),
            body=request,
            response=Group,
        )

    async def group(self, group: UUID | str) -> Group:
        """Show a group."""
        return await self.request("GET", at("/api/v2/groups/{group}", group=group), response=Group)

    async def update_group(self, group: UUID | str, request: UpdateGroupRequest) -> Group:
        """Change a group, or who is in it."""
        return await self.request("PATCH", at("/api/v2/groups/{group}", group=group), body=request, response=Group)

    async def delete_group(self, group: UUID | str) -> None:
        """Delete a group."""
        await self.request("DELETE", at("/api/v2/groups/{group}", group=group))
