"""What can be done with what was just made: OpenAPI links (https://spec.openapis.org/oas/v3.1.1#link-object)."""

from collections.abc import Mapping
from typing import Any

from aibridge.contract.endpoint import Endpoint
from aibridge.contract.table import ENDPOINTS

_ID = "$response.body#/id"
MADE_BY: Mapping[str, tuple[str, str]] = {
    "group": ("create_group", _ID),
    "key": ("create_token", _ID),
    "limit": ("create_limit", "$response.body#/name"),
    "organization": ("create_organization", _ID),
    "provider": ("create_provider", _ID),
    "role_name": ("create_organization_role", "$request.body#/name"),
    "user": ("create_user", _ID),
}
"""By the parameter of a path: the operation that makes what it names, and where that one's exchange has the name."""


def links(made: Endpoint) -> dict[str, Any]:
    """From an endpoint that makes something to every endpoint whose path names it, by operation."""
    names = {name: found for name, (operation, found) in MADE_BY.items() if operation == made.operation}
    known = {name: f"$request.path.{name}" for name in made.path_parameters} | names
    return {
        endpoint.operation: {
            "operationId": endpoint.operation,
            "parameters": {name: known[name] for name in endpoint.path_parameters if name in known},
        }
        for endpoint in ENDPOINTS
        if names.keys() & set(endpoint.path_parameters)
    }
