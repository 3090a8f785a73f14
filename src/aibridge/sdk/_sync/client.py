# Written by `make gen` from `src/aibridge/sdk/_async/client.py`.
"""The client: every group of methods, on one connection to one server."""

from aibridge.sdk._sync.aibridge import AIBridge
from aibridge.sdk._sync.apikeys import APIKeys
from aibridge.sdk._sync.audit import Audit
from aibridge.sdk._sync.deployment import Deployment
from aibridge.sdk._sync.groups import Groups
from aibridge.sdk._sync.organizations import Organizations
from aibridge.sdk._sync.roles import Roles
from aibridge.sdk._sync.signin import SignIn
from aibridge.sdk._sync.users import Users
from aibridge.sdk._sync.workspaces import Workspaces


class Client(
    Users,
    SignIn,
    Organizations,
    Roles,
    APIKeys,
    Groups,
    Audit,
    Deployment,
    AIBridge,
    Workspaces,
):
    """A client of the API. Its settings are those of every transport."""
