"""How the demo provider is asked to behave: every key once, with its limits and its meaning.

The same keys are server-wide flags, request headers (`x-demo-latency`) and a query on the model's name
(`demo?latency=0.2`). The last survives any gateway, since a model's name is forwarded untouched.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta
from msgspec.inspect import BoolType, FloatType, IntType, LiteralType, Metadata, StrType, StructType, type_info

HEADER_PREFIX = "x-demo-"
OK = 200
_FIRST_ERROR = 400


class BehaviourError(ValueError):
    """A key that does not exist, or a value it does not allow; the message names key, value and what is allowed."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer looks like and what goes wrong with it.

    Raises:
        BehaviourError: `status` is neither 200 nor an error.
    """

    latency: Annotated[float, Meta(ge=0, le=3600, description="seconds before the first byte of the answer")] = 0.0
    tokens: Annotated[int, Meta(ge=0, le=100_000, description="output tokens; 0 is one helpful sentence")] = 0
    rate: Annotated[
        float,
        Meta(ge=0, le=1_000_000, description="output tokens a second; 0 is as fast as possible, one write an event"),
    ] = 0.0
    burst: Annotated[bool, Meta(description="write the events without a pause, so that many arrive in one read")] = (
        False
    )
    cached: Annotated[
        int,
        Meta(ge=0, le=10_000_000, description="input tokens reported as read from the prompt cache, beside the others"),
    ] = 0
    tool: Annotated[
        str,
        Meta(max_length=10_000, description="call this tool if the request offers it: `name` or `name {arguments}`"),
    ] = ""
    status: Annotated[int, Meta(ge=200, le=599, description="200, or the error to answer with, from 400 to 599")] = OK
    retry_after: Annotated[
        float, Meta(ge=0, le=86_400, description="seconds in the Retry-After header of that error; 0 is no header")
    ] = 0.0
    fault: Annotated[
        Literal["", "stall_before", "stall", "truncate", "reset", "error_event", "close_idle", "garbage"],
        Meta(description="what goes wrong, see below"),
    ] = ""
    after: Annotated[
        int, Meta(ge=0, le=100_000, description="streamed output tokens before `fault` happens in the stream")
    ] = 0
    times: Annotated[
        int, Meta(ge=0, le=1_000_000, description="only the first so many calls of this `id` fail; 0 is every call")
    ] = 0
    id: Annotated[str, Meta(max_length=100, description="which calls `times` counts together")] = ""

    def __post_init__(self) -> None:
        if OK < self.status < _FIRST_ERROR:
            raise BehaviourError(f"status: {self.status} is not 200 or an error from 400 to 599")

    @property
    def fails(self) -> bool:
        """Whether anything is to go wrong at all."""
        return self.status != OK or self.fault != ""

    def healed(self) -> "Behaviour":
        """The same without what goes wrong."""
        return msgspec.structs.replace(self, status=OK, fault="")


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key as flags, help and documentation show it. `allowed` completes "VALUE is not ..."."""

    name: str
    type: type[float] | type[int] | type[bool] | type[str]
    default: float | int | bool | str
    allowed: str
    choices: tuple[str, ...] = ()
    meaning: str


def _key(name: str, kind: object, default: float | str, meaning: str) -> Key:
    match kind:
        case FloatType(ge=low, le=high):
            return Key(
                name=name, type=float, default=default, allowed=f"a number from {low} to {high}", meaning=meaning
            )
        case IntType(ge=low, le=high):
            allowed = f"a whole number from {low} to {high}"
            return Key(name=name, type=int, default=default, allowed=allowed, meaning=meaning)
        case BoolType():
            return Key(name=name, type=bool, default=default, allowed="true or false", meaning=meaning)
        case LiteralType(values=values):
            choices = tuple(str(value) for value in values if value)
            allowed = f"one of {', '.join(choices)}"
            return Key(name=name, type=str, default=default, allowed=allowed, choices=choices, meaning=meaning)
        case StrType(max_length=longest):
            allowed = f"a text of at most {longest} characters"
            return Key(name=name, type=str, default=default, allowed=allowed, meaning=meaning)
    raise TypeError(f"{name}: no words for {kind!r}")


def _keys() -> dict[str, Key]:
    info = type_info(Behaviour)
    if not isinstance(info, StructType):
        raise TypeError(f"{Behaviour} is not a struct")
    keys = {}
    for field in info.fields:
        kind = field.type
        if not isinstance(kind, Metadata) or kind.extra_json_schema is None:
            raise TypeError(f"{field.name} has no description")
        keys[field.name] = _key(field.name, kind.type, field.default, kind.extra_json_schema["description"])
    return keys


_KEYS = _keys()


def describe() -> tuple[Key, ...]:
    """Every key, in the order of documentation."""
    return tuple(_KEYS.values())


def table() -> str:
    """The keys as a Markdown table: the one in `docs/demo-provider.md`."""
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for key in describe():
        default = msgspec.json.encode(key.default).decode() if key.default != "" else "none"
        rows.append(f"| `{key.name}` | {key.allowed} | {default} | {key.meaning} |")
    return "\n".join(rows) + "\n"


def override(base: Behaviour, pairs: Iterable[tuple[str, str]]) -> Behaviour:
    """`base` with the given keys set; of a key given twice, the last counts. A dash in a name is an underscore.

    Raises:
        BehaviourError: a key does not exist, or a value is not allowed.
    """
    values = {}
    for given, text in pairs:
        name = given.replace("-", "_")
        if name not in _KEYS:
            raise BehaviourError(f"{given!r} is not a key of the demo provider; it has {', '.join(_KEYS)}")
        try:
            values[name] = msgspec.convert(text, Behaviour.__annotations__[name], strict=False)
        except msgspec.ValidationError:
            raise BehaviourError(f"{name}: {text!r} is not {_KEYS[name].allowed}") from None
    return msgspec.structs.replace(base, **values)


@lru_cache(maxsize=256)
def asked(base: Behaviour, model: str, headers: tuple[tuple[str, str], ...]) -> Behaviour:
    """What one call asks for: the server's behaviour, then the model's query, then the headers (prefix removed).

    Remembered, because a load test asks for the same thing a million times.

    Raises:
        BehaviourError: see `override`.
    """
    query = parse_qsl(model.partition("?")[2], keep_blank_values=True)
    return override(base, (*query, *headers))
