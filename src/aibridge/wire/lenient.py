"""Reading JSON that is not ours: strict where it must be, and never stricter than those it is meant for.

Decoders decode only the fields their struct names. Each has the type that the vendor's reference gives it; a value of
another type counts as absent, and does not cost its neighbours.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_args

import msgspec

from aibridge.wire.schema.common import (
    LARGEST_COUNT,
    LONGEST_COUNT,
    LONGEST_IDENTIFIER,
    Count,
    Identifier,
    Junk,
    MaxTokens,
    ProviderError,
    Text,
)

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Json: TypeAlias = bytes | bytearray | msgspec.Raw

_LONGEST_ERROR_TYPE = 128

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_LONGEST_DECODED_TWICE = 4 * 1024 * 1024
"""Bytes of JSON that get a second chance; replacing in more would hold up all other calls."""

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decoder_of(type_: type[S]) -> Callable[[Json], S | None]:
    """Make a decoder. It gives None for what is no JSON object, or lacks what has no default; it never raises.

    Nearly all JSON is of its type altogether, which decoding checks in passing. All else is decoded once more by
    `lenient_decoder_of`, which would give the same for the former, at four times the cost.
    """
    decode_typed = msgspec.json.Decoder(type_).decode
    decode_leniently = lenient_decoder_of(type_)

    def decoded(data: Json) -> S | None:
        try:
            return decode_typed(data)
        except _UNDECODABLE:
            return decode_leniently(data)

    return decoded


def lenient_decoder_of(type_: type[S]) -> Callable[[Json], S | None]:
    """Make a decoder as `decoder_of` does, but one that takes values of any type first and then judges each alone."""
    relaxed, judged = _relaxed(type_)
    # An untyped float becomes None, so that `1e999` cannot spoil its neighbours.
    decoder = msgspec.json.Decoder(relaxed, float_hook=lambda _text: None)

    def decoded(data: Json) -> S | None:
        try:
            return judged(decode(decoder, data))
        except _UNDECODABLE:
            return None

    return decoded


def decode(decoder: msgspec.json.Decoder[T], data: Json) -> T:
    r"""Decode, half a surrogate pair (`\ud83d` alone) anywhere notwithstanding.

    The grammar allows it (RFC 8259, section 8.2) and a JavaScript client that cuts a string in the middle of an emoji
    sends it, but msgspec refuses it even in fields that it skips. Whether it is good is the provider's to say.

    Raises:
        msgspec.MsgspecError: not JSON, or not of the decoder's type.
        UnicodeDecodeError: invalid UTF-8 in a field that is decoded.
        RecursionError: nested too deeply.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if len(data) > _LONGEST_DECODED_TWICE:
            raise
    return decoder.decode(_SURROGATE.sub(rb"\\ufffd", data))


def error_type(error: ProviderError | None) -> str | None:
    """What kind of error the provider reports: its type, else its code, else only that it is one; None for none."""
    if error is None:
        return None
    return (error.type or error.code or "error")[:_LONGEST_ERROR_TYPE]


def identifier(value: object) -> Identifier:
    """A name, or None for what is none."""
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_IDENTIFIER else None


def _count(value: object) -> Count:
    return value if type(value) is int and 0 <= value <= LARGEST_COUNT else None


def _max_tokens(value: msgspec.Raw) -> MaxTokens:
    digits = bytes(value) if len(value) <= LONGEST_COUNT else b""
    return int(digits) or None if digits.isdigit() else None


def _text(value: object) -> Text:
    return value if isinstance(value, str) else None


class _Rule(NamedTuple):
    """What is taken for a field at first, and what is made of it then."""

    type: Any
    default: Any
    judge: Callable[[Any], object]


_RULES = {
    Count: _Rule(object, None, _count),
    Identifier: _Rule(object, None, identifier),
    Text: _Rule(object, None, _text),
    # Taken undecoded, because callers may put megabytes in its place.
    MaxTokens: _Rule(msgspec.Raw, msgspec.Raw(), _max_tokens),
}


def _rule_of(field: msgspec.structs.FieldInfo) -> _Rule:
    """Choose the rule for a field: its type's, or that of an object; a field of any other type has to be as it says."""
    for type_ in get_args(field.type):
        if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            return _rule_of_object(type_)
    return _RULES.get(field.type) or _Rule(field.type, msgspec.field(default=field.default), lambda value: value)


def _rule_of_object(type_: type[msgspec.Struct]) -> _Rule:
    """Null is no object, and anything else in its place one without members."""
    relaxed, judged = _relaxed(type_)

    def judge(value: object) -> object:
        if value is None:
            return None
        return judged(value) if isinstance(value, relaxed) else type_()

    return _Rule(relaxed | Junk, None, judge)


def _relaxed(type_: type[S]) -> tuple[type[msgspec.Struct], Callable[[Any], S]]:
    """Make a struct of the same fields that takes any value for them, and what judges one of it."""
    rules = {field.name: _rule_of(field) for field in msgspec.structs.fields(type_)}
    relaxed = msgspec.defstruct(type_.__name__, [(name, rule.type, rule.default) for name, rule in rules.items()])

    def judged(values: object) -> S:
        return type_(**{name: rule.judge(getattr(values, name)) for name, rule in rules.items()})

    return relaxed, judged
