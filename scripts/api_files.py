"""What follows from the table of endpoints: the OpenAPI document, a page for people, and types for TypeScript."""

import json
from collections.abc import Iterator
from typing import Any

from aibridge import __version__
from aibridge.contract.endpoint import PREFIX, Access, Endpoint, Of
from aibridge.contract.openapi import document
from aibridge.contract.table import GROUPS

_HEAD = f"""# The API

Written by `make gen` from `src/aibridge/contract/`. All paths are below `{PREFIX}`. The same as an OpenAPI 3.1
document is [openapi.json](openapi.json), which a server answers with at `{PREFIX}/openapi.json` and shows at `/docs`.

* **Who asks** is told by a token or a session: in the header `Authorization: Bearer`, `Coder-Session-Token` or
  `X-Api-Key`, or in the cookie `coder_session_token`. With the cookie alone, a change has to come from a page of this
  server.
* **Errors** are `{{"message", "detail", "validations": [{{"field", "detail"}}]}}`. Unknown fields and parameters are
  errors. What somebody may not read is answered as if it was not there: 404.
* **Lists** take `limit` (1 to 1000, 100 if nothing is said) and either `offset` or `after_id`, the id of the last entry
  of the page before.
* **Too many requests**, more than `--api-rate-limit` in a minute by one user to one endpoint, are answered with 429 and
  a true `Retry-After`. An owner's request with `X-Coder-Bypass-Ratelimit: true` is not counted; from anybody else that
  is a 428. Each of several workers counts its own.
"""


def openapi_json() -> str:
    """`docs/openapi.json`."""
    return json.dumps(document(__version__), indent=1, ensure_ascii=False) + "\n"


def api_page() -> str:
    """`docs/api.md`: every endpoint, and what a caller needs."""
    parts = [_HEAD]
    for group, endpoints in GROUPS.items():
        parts.append(f"\n## {group}\n\n| | | needs | answers |\n|---|---|---|---|\n")
        parts += map(_row, endpoints)
    return "".join(parts)


def _row(endpoint: Endpoint) -> str:
    path = f"`{endpoint.method} {endpoint.path}`"
    also = "".join(f", also `{alias}`" for alias in endpoint.aliases if not alias.startswith("/ai-gateway"))
    return f"| {path}{also} | {endpoint.summary} | {_needs(endpoint)} | {endpoint.status} |\n"


def _needs(endpoint: Endpoint) -> str:
    needs = endpoint.needs
    if isinstance(needs, Access):
        return "nothing" if needs is Access.PUBLIC else "to be known"
    permission = f"`{needs.resource}:{needs.action}`"
    return f"{permission}, shows what may be read" if needs.of is Of.VISIBLE else permission


def typescript() -> str:
    """`docs/api.d.ts`: the schemas of the document as TypeScript."""
    schemas = document(__version__)["components"]["schemas"]
    head = "// Written by `make gen` from src/aibridge/contract/.\n"
    return head + "".join(_declaration(name, schemas[name]) for name in sorted(schemas))


def _declaration(name: str, schema: dict[str, Any]) -> str:
    comment = f"\n/** {schema['description'].splitlines()[0]} */\n" if "description" in schema else "\n"
    if schema.get("type") == "object" and "properties" in schema:
        return f"{comment}export interface {name} {{\n{''.join(_fields(schema))}}}\n"
    return f"{comment}export type {name} = {_type(schema)};\n"


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    for name, kind in schema["properties"].items():
        optional = "" if name in schema["required"] else "?"
        yield f"  {name}{optional}: {_type(kind)};\n"


_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_type(member) for member in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        inner = _type(schema.get("items", {}))
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if kind == "object":
        return f"Record<string, {_type(schema.get('additionalProperties') or {})}>"
    return _PLAIN.get(str(kind), "unknown")
