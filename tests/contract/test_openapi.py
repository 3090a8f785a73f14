"""The OpenAPI document: valid, whole, and without a secret in what comes back."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from aibridge import __version__
from aibridge.contract.endpoint import PREFIX, Access
from aibridge.contract.links import MADE_BY
from aibridge.contract.openapi import document, statuses
from aibridge.contract.table import ENDPOINTS
from aibridge.domain import provider_name, roles
from aibridge.store import names

DOCUMENT = document(__version__)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[tuple[str, str], Any] = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
ALIASES = {f"{endpoint.operation}_{number}" for endpoint in ENDPOINTS for number in range(1, len(endpoint.aliases) + 1)}
SECRETS = {"key", "password", "old_password", "secret", "session_token", "token"}
SHOWN = {("GeneratedToken", "key"), ("LoginResponse", "session_token")}
"""Secrets that are answered, the one time that they are."""
NO_SECRETS = {("AuthMethods", "password"), ("DeploymentOption", "secret"), ("SubjectUse", "key")}
"""Fields that are only called like one."""


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document from one on."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from parts(value)


def references(node: Any) -> set[str]:
    """The names of the schemas that something refers to, and of those that these refer to."""
    found: set[str] = set()
    new = {part["$ref"] for part in parts(node) if "$ref" in part}
    while new:
        name = new.pop().removeprefix("#/components/schemas/")
        if name not in found:
            found.add(name)
            new |= {part["$ref"] for part in parts(SCHEMAS[name]) if "$ref" in part}
    return found


def schemas() -> Iterator[dict[str, Any]]:
    """Every schema of a parameter, a body and a component."""
    for operation in OPERATIONS.values():
        yield from (parameter["schema"] for parameter in operation["parameters"])
        for said in (*operation["responses"].values(), operation.get("requestBody", {})):
            yield from (content["schema"] for content in said.get("content", {}).values())
    yield from SCHEMAS.values()


def is_schema(part: dict[str, Any]) -> bool:
    """Whether it is one, and not the fields of an object by their names."""
    return isinstance(part.get("type"), str) or isinstance(part.get("anyOf"), list) or isinstance(part.get("$ref"), str)


def test_it_is_openapi_3_1() -> None:
    OPENAPI_31_VALIDATOR.validate(DOCUMENT)


def test_every_schema_is_json_schema() -> None:
    for schema in schemas():
        jsonschema_rs.meta.validate(schema)


def test_every_row_and_alias_of_the_table_is_in_it_once() -> None:
    rows = Counter(
        (endpoint.method, f"{PREFIX}{path.replace(':path', '')}")
        for endpoint in ENDPOINTS
        for path in (endpoint.path, *endpoint.aliases)
    )

    assert rows == Counter(OPERATIONS.keys())


def test_operations_have_names_of_their_own() -> None:
    assert Counter(operation["operationId"] for operation in OPERATIONS.values()) == Counter(
        {*(endpoint.operation for endpoint in ENDPOINTS), *ALIASES}
    )


def test_every_reference_leads_somewhere_and_every_schema_is_referred_to() -> None:
    assert references(DOCUMENT["paths"]) == SCHEMAS.keys()


def test_parameters_of_paths_are_described() -> None:
    for (_, path), operation in OPERATIONS.items():
        named = [parameter for parameter in operation["parameters"] if parameter["in"] == "path"]
        assert [parameter["name"] for parameter in named] == re.findall(r"{(\w+)}", path)
        assert all(parameter["required"] and parameter["description"] for parameter in named)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation)
def test_what_may_be_answered_is_what_is_told(endpoint: Any) -> None:
    operation = OPERATIONS[endpoint.method, f"{PREFIX}{endpoint.path.replace(':path', '')}"]
    public = endpoint.needs is Access.PUBLIC

    assert set(operation["responses"]) == {str(status) for status in (endpoint.status, *statuses(endpoint))}
    assert ("security" in operation, operation.get("security", [])) == (public, [])
    assert public or "401" in operation["responses"]
    assert not endpoint.path_parameters or "404" in operation["responses"]


def test_links_lead_to_operations_that_have_such_parameters() -> None:
    by_id = {operation["operationId"]: operation for operation in OPERATIONS.values()}
    links = [
        (by_id[made.operation], link)
        for made in ENDPOINTS
        for response in by_id[made.operation]["responses"].values()
        for link in response.get("links", {}).values()
    ]

    assert links
    for made, link in links:
        target = by_id[link["operationId"]]
        assert link["parameters"].keys() <= {parameter["name"] for parameter in target["parameters"]}
        for found in link["parameters"].values():
            where, _, name = found.partition("#/")
            if where == "$response.body":
                (schema,) = made["responses"]["201"]["content"].values()
                assert name in SCHEMAS[schema["schema"]["$ref"].rpartition("/")[2]]["properties"]
            elif where == "$request.body":
                (schema,) = made["requestBody"]["content"].values()
                assert name in SCHEMAS[schema["schema"]["$ref"].rpartition("/")[2]]["properties"]
            else:
                assert found.removeprefix("$request.path.") in {parameter["name"] for parameter in made["parameters"]}


def test_whatever_can_be_made_is_linked_to() -> None:
    """A breaker is made by calls; a token has its name beside its id."""
    named = {name for endpoint in ENDPOINTS for name in endpoint.path_parameters}

    assert named - {"breaker", "token_name"} == MADE_BY.keys()


def test_no_answer_has_a_secret_in_it() -> None:
    answered = references([operation["responses"] for operation in OPERATIONS.values()])
    found = {(name, field) for name in answered for field in SCHEMAS[name].get("properties", {}) if field in SECRETS}

    assert found == SHOWN | NO_SECRETS


def test_examples_and_defaults_are_what_their_schemas_allow() -> None:
    said = 0
    for schema in (part for whole in schemas() for part in parts(whole) if is_schema(part)):
        examples = [*schema.get("examples", ()), *([schema["default"]] if "default" in schema else ())]
        for example in examples:
            jsonschema_rs.validate({**schema, "components": DOCUMENT["components"]}, example)
            said += 1
    assert said


@pytest.mark.parametrize(
    ("schema", "field", "pattern", "longest"),
    [
        ("CreateUserRequest", "username", names._USERNAME, names.USERNAME_LENGTH),
        ("CreateOrganizationRequest", "name", names._SLUG, names.SLUG_LENGTH),
        ("CreateProviderRequest", "name", provider_name._NAME, provider_name.LONGEST),
        ("CreateCustomRoleRequest", "name", roles._CUSTOM_NAME, roles._CUSTOM_NAME_LENGTH),
    ],
)
def test_names_are_as_the_rules_have_them(schema: str, field: str, pattern: re.Pattern[str], longest: int) -> None:
    told = SCHEMAS[schema]["properties"][field]

    assert (told["pattern"], told["maxLength"]) == (f"^{pattern.pattern}$", longest)
