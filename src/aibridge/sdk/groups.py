"""Groups of an organization's members."""

from aibridge.contract.groups import CreateGroupRequest, Group, GroupMember, GroupsResponse, UpdateGroupRequest
from aibridge.sdk._async.groups import AsyncGroups
from aibridge.sdk._sync.groups import Groups

__all__ = [
    "AsyncGroups",
    "CreateGroupRequest",
    "Group",
    "GroupMember",
    "Groups",
    "GroupsResponse",
    "UpdateGroupRequest",
]
