"""Organizations and their members."""

from aibridge.contract.organizations import (
    CreateOrganizationRequest,
    Organization,
    OrganizationMember,
    OrganizationMembersResponse,
    OrganizationsResponse,
    UpdateMemberRolesRequest,
    UpdateOrganizationRequest,
)
from aibridge.sdk._async.organizations import AsyncOrganizations
from aibridge.sdk._sync.organizations import Organizations

__all__ = [
    "AsyncOrganizations",
    "CreateOrganizationRequest",
    "Organization",
    "OrganizationMember",
    "OrganizationMembersResponse",
    "Organizations",
    "OrganizationsResponse",
    "UpdateMemberRolesRequest",
    "UpdateOrganizationRequest",
]
