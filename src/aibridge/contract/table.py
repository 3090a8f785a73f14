"""Every endpoint of `/api/v2`, in the order in which paths are matched: fixed words before parameters."""

from aibridge.contract import (
    aibridge,
    apikeys,
    audit,
    deployment,
    groups,
    organizations,
    roles,
    signin,
    users,
    workspaces,
)
from aibridge.contract.endpoint import Endpoint

GROUPS: dict[str, tuple[Endpoint, ...]] = {
    "Deployment": deployment.ENDPOINTS,
    "Sign-in": signin.ENDPOINTS,
    "Roles": roles.ENDPOINTS,
    "Tokens": apikeys.ENDPOINTS,
    "Workspaces": workspaces.ENDPOINTS,
    "Users": users.ENDPOINTS,
    "Organizations": organizations.ENDPOINTS,
    "Groups": groups.ENDPOINTS,
    "AI Bridge": aibridge.ENDPOINTS,
    "Audit": audit.ENDPOINTS,
}
"""The endpoints by the group that the documentation shows them in."""


def _specific(endpoint: Endpoint) -> tuple[int, ...]:
    """Sorts a fixed word before a parameter at the same place of a path."""
    return tuple(2 if ":" in part else 1 if part.startswith("{") else 0 for part in endpoint.path.split("/"))


ENDPOINTS: tuple[Endpoint, ...] = tuple(
    sorted((endpoint for group in GROUPS.values() for endpoint in group), key=_specific)
)

BY_OPERATION: dict[str, Endpoint] = {endpoint.operation: endpoint for endpoint in ENDPOINTS}
