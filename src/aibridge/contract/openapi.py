"""The table of endpoints as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1)."""

import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec

from aibridge.contract.endpoint import PREFIX, Access, Endpoint, Needs, Of
from aibridge.contract.errors import ErrorBody
from aibridge.contract.links import links
from aibridge.contract.serversentevents import MEDIA_TYPE as EVENT_STREAM
from aibridge.contract.serversentevents import EventType
from aibridge.contract.shapes import Parameters
from aibridge.contract.table import GROUPS
from aibridge.domain.role import RoleIdentifier

_TEMPLATE = "#/components/schemas/{name}"
_NO_BODY = frozenset((204, 307))
_PATH_PARAMETERS = {
    "breaker": "Its name, as the list of breakers has it.",
    "group": "Its id.",
    "key": "The token's id.",
    "limit": "Its name.",
    "organization": "Its id or name.",
    "provider": "Its id or name.",
    "role_name": "Its name, without the organization.",
    "token_name": "The token's name.",
    "user": "Their id or username, or `me` for the caller.",
}
_OF = {
    Of.PATH: "",
    Of.BODY: " where the body says",
    Of.VISIBLE: "; the answer holds what may be read",
}


def document(version: str) -> dict[str, Any]:
    """The document, for the server's version."""
    types = [kind for group in GROUPS.values() for endpoint in group for kind in _types(endpoint)]
    schemas, components = msgspec.json.schema_components(
        [*types, ErrorBody], schema_hook=_schema_of, ref_template=_TEMPLATE
    )
    by_type = dict(zip(map(_key, [*types, ErrorBody]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for tag, endpoints in GROUPS.items():
        for endpoint in endpoints:
            for number, path in enumerate((endpoint.path, *endpoint.aliases)):
                operation = _operation(endpoint, tag, by_type, alias=number)
                paths.setdefault(f"{PREFIX}{path.replace(':path}', '}')}", {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "AI Bridge",
            "version": version,
            "description": "Users, organizations, tokens, limits, providers and the audit log of an AI Bridge.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in GROUPS],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "Coder-Session-Token"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "coder_session_token"},
            },
        },
        "security": [{"bearer": []}, {"header": []}, {"cookie": []}],
    }


def statuses(endpoint: Endpoint) -> list[int]:
    """Every status that an endpoint may answer with beside its own, in order."""
    found = {*endpoint.errors, 400, 428, 429, 500, 503}
    if endpoint.needs is not Access.PUBLIC:
        found |= {401, 403}
    if endpoint.path_parameters:
        found.add(404)
    if endpoint.body is not None:
        found.add(413)
    return sorted(found)


def _operation(endpoint: Endpoint, tag: str, schemas: dict[Any, Any], *, alias: int) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.operation}_{alias}" if alias else endpoint.operation,
        "tags": [tag],
        "summary": endpoint.summary,
        "description": _permission(endpoint),
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint, schemas)],
        "responses": {
            str(endpoint.status): _answer(endpoint, schemas) | ({} if alias else _links(endpoint)),
            **{str(status): _error(status, schemas) for status in statuses(endpoint)},
        },
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas[_key(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.needs is Access.PUBLIC:
        operation["security"] = []
    return operation


def _permission(endpoint: Endpoint) -> str:
    needs = endpoint.needs
    if isinstance(needs, Needs):
        return f"Needs the permission `{needs.resource}:{needs.action}`{_OF[needs.of]}."
    return "For everybody." if needs is Access.PUBLIC else "For everybody who is signed in."


def _path_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in endpoint.path_parameters:
        schema = {"type": "string", "minLength": 1}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PARAMETERS[name],
            "schema": schema,
        }


def _query_parameters(endpoint: Endpoint, schemas: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for field in msgspec.structs.fields(endpoint.query) if endpoint.query is not None else ():
        yield {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": _without_null(schemas[_key(field.type)]),
        }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is there: nothing in a URL is null."""
    members = [member for member in schema.get("anyOf", ()) if member != {"type": "null"}]
    return members[0] if len(members) == 1 else schema


def _answer(endpoint: Endpoint, schemas: dict[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.status not in _NO_BODY:
        schema = schemas[_key(endpoint.response)]
        content = _event(schema) if endpoint.media_type == EVENT_STREAM else schema
        answer["content"] = {endpoint.media_type: {"schema": content}}
    return answer


def _event(data: dict[str, Any]) -> dict[str, Any]:
    """An event of a stream as an object of its fields, which is how OpenAPI 3.2 has it; 3.1 says nothing of streams."""
    return {
        "description": "Each event. A ping has no data; an error is an ErrorBody, and the last event.",
        "type": "object",
        "required": ["event"],
        "properties": {
            "event": {"enum": [kind.value for kind in EventType]},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"anyOf": [data, {"$ref": _TEMPLATE.format(name=ErrorBody.__name__)}]},
            },
        },
    }


def _links(endpoint: Endpoint) -> dict[str, Any]:
    found = links(endpoint)
    return {"links": found} if found else {}


def _error(status: int, schemas: dict[Any, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schemas[_key(ErrorBody)]}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _types(endpoint: Endpoint) -> Iterator[Any]:
    if endpoint.body is not None:
        yield endpoint.body
    if endpoint.response is not None:
        yield endpoint.response
    query: type[Parameters] | None = endpoint.query
    for field in msgspec.structs.fields(query) if query is not None else ():
        yield field.type


def _key(kind: Any) -> str:  # noqa: ANN401 (a type expression)
    """Types are looked up by how they are written, since not all are hashable."""
    return repr(kind)


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is RoleIdentifier:
        return {
            "type": "string",
            "pattern": "^[^:]+(:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$",
            "examples": ["owner", f"organization-admin:{uuid.UUID(int=1)}"],
            "description": "A role: its name and, after a colon, the organization that it is held in.",
        }
    raise NotImplementedError(kind)
