"""Whether an answer is a call of a tool, of which, and with what arguments.

A prompt asks for it by `demo-tool:NAME {arguments}` or by "use the tool NAME", a behaviour by its key `tool`. Without
arguments they are made up from the tool's schema, so that a client that checks them is content.
"""

import json
import re
from typing import Annotated, Any

import msgspec

from aibridge.demo.behaviour import BehaviourError
from aibridge.demo.conversation import Ask

_NAME = r"([\w-]+(?:\.[\w-]+)*)"
_IN_PROMPT = (re.compile(rf"demo-tool:\s*{_NAME}\s*"), re.compile(rf"\buse the tool\s+`?{_NAME}`?\s*", re.IGNORECASE))
_IN_BEHAVIOUR = re.compile(rf"\s*{_NAME}\s*")


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A tool's name and its arguments as JSON."""

    name: str
    arguments: str


class _Tool(msgspec.Struct, frozen=True):
    """A tool on offer: Anthropic's, that of Responses, and that of Chat Completions (inside `function`)."""

    name: str = ""
    input_schema: msgspec.Raw = msgspec.Raw()
    parameters: msgspec.Raw = msgspec.Raw()
    function: "_Tool | None" = None


class _Schema(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a JSON Schema that decides what a simple value for it looks like."""

    type: str | Annotated[list[str], msgspec.Meta(min_length=1)] = "object"
    const: Any = msgspec.UNSET
    default: Any = msgspec.UNSET
    enum: list[Any] = []
    any_of: list["_Schema | bool"] = []
    properties: dict[str, "_Schema | bool"] = {}
    required: list[str] = []
    items: "_Schema | bool" = True
    min_items: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    minimum: int | float = 1


_AnySchema = _Schema | bool
_schema_of = msgspec.json.Decoder(_Schema | None).decode
_NO_ARGUMENTS = _Schema()
_offers = msgspec.json.Decoder(list[_Tool] | None).decode


def tool_asked(ask: Ask, wanted: str) -> ToolCall | None:
    """The tool that prompt or behaviour (`wanted`) asks for, None when text is to be answered.

    A tool the request does not offer is not called: agents also send the user's prompt in side calls without tools.

    Raises:
        BehaviourError: the arguments that were given are not a JSON object.
        msgspec.ValidationError: the tools on offer are not tools.
    """
    if not ask.tools or not (ask.turn or wanted):
        return None
    found = next(filter(None, (pattern.search(ask.turn) for pattern in _IN_PROMPT)), None)
    if found is None and wanted and not ask.after_tool:
        found = _IN_BEHAVIOUR.match(wanted)
    if found is None:
        return None
    name = found[1]
    for offer in _offers(ask.tools) or ():
        tool = offer.function or offer
        if tool.name == name:
            arguments = _arguments(name, found.string[found.end() :])
            if arguments is None:
                arguments = _sample(_schema_of(tool.input_schema or tool.parameters or b"null") or _NO_ARGUMENTS)
            return ToolCall(name=name, arguments=json.dumps(arguments))
    return None


def _arguments(name: str, rest: str) -> dict[str, Any] | None:
    if not rest.startswith("{"):
        return None
    try:
        arguments, _ = json.JSONDecoder().raw_decode(rest)
    except ValueError as error:
        raise BehaviourError(f"tool: the arguments for {name} are not a JSON object: {error}") from None
    return arguments if isinstance(arguments, dict) else None


def _sample(schema: _AnySchema) -> Any:  # noqa: ANN401 - a value of any JSON type
    """A value that the schema accepts: what it fixes, else the first choice, the required properties, the minimum."""
    if isinstance(schema, bool):
        return None
    fixed = [value for value in (schema.const, schema.default, *schema.enum) if value is not msgspec.UNSET]
    if fixed:
        return fixed[0]
    if schema.any_of:
        return _sample(schema.any_of[0])
    kind = schema.type if isinstance(schema.type, str) else schema.type[0]
    if kind == "object":
        return {name: _sample(schema.properties.get(name, True)) for name in schema.required}
    if kind == "array":
        return [_sample(schema.items) for _ in range(schema.min_items)]
    return {"string": "demo", "boolean": True, "integer": schema.minimum, "number": schema.minimum}.get(kind)
