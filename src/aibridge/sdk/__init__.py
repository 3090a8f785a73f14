"""The client of the API, typed, for threads and for asyncio.

May import `contract`, httpx2 and msgspec; nothing else of ours, so that it can be taken along without the server. Each
module holds the structs of one group of endpoints and the methods that a client has for it. All of them can be had from
here, too, as `aibridge.sdk.User`.
"""

from aibridge.sdk.aibridge import *  # noqa: F403 - their `__all__` says what
from aibridge.sdk.apikeys import *  # noqa: F403
from aibridge.sdk.audit import *  # noqa: F403
from aibridge.sdk.client import AsyncClient, Client, Error
from aibridge.sdk.deployment import *  # noqa: F403
from aibridge.sdk.groups import *  # noqa: F403
from aibridge.sdk.organizations import *  # noqa: F403
from aibridge.sdk.roles import *  # noqa: F403
from aibridge.sdk.roles import RoleIdentifier
from aibridge.sdk.users import *  # noqa: F403
from aibridge.sdk.workspaces import *  # noqa: F403

__all__ = ["AsyncClient", "Client", "Error", "RoleIdentifier"]
