"""The client: every group of methods, on one connection to one server."""

from aibridge.sdk._async.aibridge import AsyncAIBridge
from aibridge.sdk._async.apikeys import AsyncAPIKeys
from aibridge.sdk._async.audit import AsyncAudit
from aibridge.sdk._async.deployment import AsyncDeployment
from aibridge.sdk._async.groups import AsyncGroups
from aibridge.sdk._async.organizations import AsyncOrganizations
from aibridge.sdk._async.roles import AsyncRoles
from aibridge.sdk._async.signin import AsyncSignIn
from aibridge.sdk._async.users import AsyncUsers
from aibridge.sdk._async.workspaces import AsyncWorkspaces


class AsyncClient(
    AsyncUsers,
    AsyncSignIn,
    AsyncOrganizations,
    AsyncRoles,
    AsyncAPIKeys,
    AsyncGroups,
    AsyncAudit,
    AsyncDeployment,
    AsyncAIBridge,
    AsyncWorkspaces,
):
    """A client of the API. Its settings are those of every transport."""
