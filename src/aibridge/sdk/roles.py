"""Roles: which there are, and what may be done.

`encode_hook` and `decode_hook` let msgspec write and read structs with roles in them.
"""

from aibridge.contract.roles import (
    AssignableRole,
    AuthorizationCheck,
    AuthorizationObject,
    AuthorizationRequest,
    CreateCustomRoleRequest,
    RoleIdentifier,
    UpdateCustomRoleRequest,
    decode_hook,
    encode_hook,
)
from aibridge.contract.words import Action, Permission, Resource
from aibridge.sdk._async.roles import AsyncRoles
from aibridge.sdk._sync.roles import Roles

__all__ = [
    "Action",
    "AssignableRole",
    "AsyncRoles",
    "AuthorizationCheck",
    "AuthorizationObject",
    "AuthorizationRequest",
    "CreateCustomRoleRequest",
    "Permission",
    "Resource",
    "RoleIdentifier",
    "Roles",
    "UpdateCustomRoleRequest",
    "decode_hook",
    "encode_hook",
]
