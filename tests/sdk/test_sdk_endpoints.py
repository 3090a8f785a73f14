"""Every endpoint of the API has one method in each flavour of the client, and that method asks it."""

import enum
import importlib
import inspect
import types
import typing
import uuid
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from aibridge import sdk
from aibridge.contract.endpoint import PREFIX, Access, Endpoint
from aibridge.contract.serversentevents import PING, encode
from aibridge.contract.table import BY_OPERATION, GROUPS
from aibridge.sdk import AsyncClient, Client, Error
from aibridge.sdk._async.transport import AsyncTransport
from aibridge.sdk._sync.transport import Transport
from sdk.sdk_server import Answer, Ask, Asked, Server

MODULES = ("users", "organizations", "roles", "apikeys", "groups", "audit", "deployment", "aibridge", "workspaces")
OPERATIONS = [endpoint.operation for endpoint in BY_OPERATION.values() if not endpoint.browser]


def methods(client: type, transport: type) -> dict[str, str]:
    """The methods of a client beyond what every client can do, and the class that has each."""
    return {
        name: owner.__name__
        for owner in client.__mro__
        for name, value in vars(owner).items()
        if owner not in transport.__mro__ and not name.startswith("_") and inspect.isfunction(value)
    }


@pytest.mark.parametrize(("client", "transport"), [(Client, Transport), (AsyncClient, AsyncTransport)])
def test_there_is_one_method_for_each_endpoint_and_no_other(client: type, transport: type) -> None:
    assert sorted(methods(client, transport)) == sorted(OPERATIONS)


def test_an_endpoint_is_in_one_group_only() -> None:
    assert len(BY_OPERATION) == sum(map(len, GROUPS.values()))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_method_asks_its_endpoint(ask: Ask, server: Server, operation: str) -> None:
    endpoint = BY_OPERATION[operation]
    method = getattr(Client, operation)
    hints = typing.get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    places = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "request"]
    filters = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    # A slash in a part must not begin another one.
    arguments: dict[str, Any] = {name: f"{name}/ü" for name in places}
    if endpoint.body is not None:
        arguments["request"] = sample(endpoint.body)
        assert hints["request"] is endpoint.body
    arguments |= {name: sample(hints[name]) for name in filters}
    server.otherwise = lambda _: reply(endpoint)

    found = ask(lambda client: called(client, operation, arguments), session_token="t")

    path, _, query = server.only.path.partition("?")
    expected = PREFIX + endpoint.path.replace(":path", "").format(**{name: f"{name}%2F%C3%BC" for name in places})
    assert (server.only.method, path) == (endpoint.method, expected)
    assert sorted(part.partition("=")[0] for part in query.split("&") if part) == sorted(filters)
    assert ("coder-session-token" in server.only.headers) == (endpoint.needs is not Access.PUBLIC)
    assert_query(endpoint, filters, server.only)
    assert_body(endpoint, arguments.get("request"), server.only)
    assert_response(endpoint, hints["return"], found)


def assert_query(endpoint: Endpoint, filters: list[str], asked: Asked) -> None:
    """The server has the same parameters, and understands what stands in them."""
    known = [] if endpoint.query is None else list(endpoint.query.__struct_fields__)
    assert sorted(filters) == sorted(known)
    if endpoint.query is not None:
        pairs = dict(parse_qsl(urlsplit(asked.path).query, strict_parsing=True))
        msgspec.convert(pairs, endpoint.query, strict=False)


def assert_body(endpoint: Endpoint, request: object, asked: Asked) -> None:
    if endpoint.body is None:
        assert asked.body == b""
    else:
        assert msgspec.json.decode(asked.body, type=endpoint.body, dec_hook=sdk.roles.decode_hook) == request


def assert_response(endpoint: Endpoint, hint: Any, found: object) -> None:
    if endpoint.operation == "first_user":
        assert found is True
    elif endpoint.media_type == "text/event-stream":
        assert typing.get_origin(hint) is AbstractContextManager
        assert found == []
    else:
        assert hint is type(None) if endpoint.response is None else hint == endpoint.response
        assert found == (None if endpoint.response is None else sample(endpoint.response))


def called(client: Any, operation: str, arguments: Mapping[str, Any]) -> Any:
    """Call it; of a stream, read all."""
    answer = getattr(client, operation)(**arguments)
    if isinstance(answer, AbstractContextManager):
        with answer as reader:
            return list(reader)
    return whole(answer) if isinstance(answer, AbstractAsyncContextManager) else answer


async def whole(stream: Any) -> list[Any]:
    async with stream as reader:
        return [value async for value in reader]


def reply(endpoint: Endpoint) -> Answer:
    headers = {"content-type": endpoint.media_type}
    if endpoint.media_type == "text/event-stream":
        return Answer(endpoint.status, encode(PING), headers)
    if endpoint.response is None:
        return Answer(endpoint.status, b"", {})
    value = sample(endpoint.response)
    body = value.encode() if endpoint.response is str else msgspec.json.encode(value, enc_hook=sdk.roles.encode_hook)
    return Answer(endpoint.status, body, headers)


def sample(kind: Any) -> Any:  # noqa: PLR0911 - a line for each kind
    """Some value of a type, the same each time."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        pattern = next((at.pattern for at in inner[1:] if isinstance(at, msgspec.Meta) and at.pattern), "")
        return sample(inner[0]) if not pattern else "me@bridge.example" if "@" in pattern else "https://bridge.example"
    if origin in (typing.Union, types.UnionType):
        return sample(next(one for one in inner if one not in (type(None), msgspec.UnsetType)))
    if origin is typing.Literal:
        return inner[0]
    if origin in (dict, Mapping):
        return {sample(inner[0]): sample(inner[1])}
    if origin in (list, tuple):
        return origin([sample(inner[0])])
    if kind is Any:
        return "x"
    if issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        return kind(
            **{at.name: at.default if at.default is not msgspec.NODEFAULT else sample(at.type) for at in fields}
        )
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    some: dict[type, Any] = {
        str: "some",
        int: 7,
        float: 0.5,
        bool: True,
        uuid.UUID: uuid.UUID("6c1e7bb4-0d8e-4a8e-9a51-0e7a4d0c8e11"),
        datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        sdk.RoleIdentifier: sdk.RoleIdentifier("auditor"),
    }
    return some[kind]


def test_whether_there_is_a_user_is_said_by_the_status(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(404, b'{"message":"There is no user yet."}'))
    assert ask(lambda client: client.first_user()) is False
    server.answers.append(Answer(404, b"<html>", {"content-type": "text/html"}))
    with pytest.raises(Error):
        ask(lambda client: client.first_user())


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_part_that_would_change_the_path_is_refused(ask: Ask, server: Server, part: str) -> None:
    with pytest.raises(ValueError, match="user: "):
        ask(lambda client: client.user(part))
    assert not server.asked


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_the_structs_of_its_group_and_both_kinds_of_methods(name: str) -> None:
    module = importlib.import_module(f"aibridge.sdk.{name}")
    contracts = [importlib.import_module(f"aibridge.contract.{one}") for one in (name, "signin")]
    shown = [struct for struct in structs(contracts[0]) if not struct.endswith("Query")]
    assert set(shown) - {"LimitBody"} <= set(module.__all__)
    mixins = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Transport)]
    both = {f"Async{mixin.__name__}" for mixin in mixins} | {mixin.__name__ for mixin in mixins}
    assert mixins
    assert both <= set(module.__all__)
    assert all(issubclass(Client, mixin) for mixin in mixins)
    for exported in module.__all__:
        assert getattr(sdk, exported) is getattr(module, exported)


def structs(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    ]
