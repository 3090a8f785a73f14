"""Reading JSON that is not ours: strict where it must be, and never stricter than those it is meant for.

Decoders decode only the fields their struct names. For a provider's answers leaves are `object`, so that one odd value
does not cost the others, and what cannot be understood counts as absent.
"""

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

Junk = int | float | str | bool | list[msgspec.Raw] | None
"""What may stand where an object is expected."""

LARGEST_COUNT = 2**53
"""The largest integer that every JSON reader holds exactly (RFC 8259, section 6); a larger count is absurd."""

_LONGEST_COUNT = 15
"""Digits of a count that is certainly below the largest."""

LONGEST_IDENTIFIER = 256

_LONGEST_ERROR_TYPE = 128

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_LONGEST_DECODED_TWICE = 4 * 1024 * 1024
"""Bytes of JSON that get a second chance; replacing in more would hold up all other calls."""


class ProviderError(msgspec.Struct, frozen=True, gc=False):
    """The `error` object of either vendor family; `type` and `code` are what programs may rely on."""

    type: object = None
    code: object = None


def decoder_of(type_: type[T]) -> msgspec.json.Decoder[T]:
    """A decoder whose untyped floats become None, so that `1e999` or `1.5` cannot spoil their neighbours."""
    return msgspec.json.Decoder(type_, float_hook=lambda _text: None)


def decode(decoder: msgspec.json.Decoder[T], data: bytes | bytearray) -> T:
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


def decoded(decoder: msgspec.json.Decoder[T], data: bytes | bytearray) -> T | None:
    """Decode, or give None where `decode` would raise."""
    try:
        return decode(decoder, data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def present(value: T | Junk, absent: T) -> T:
    """The nested object, or `absent` when something else stands in its place."""
    return value if isinstance(value, type(absent)) else absent


def count(value: object) -> int | None:
    """A number of tokens, or None when it is no whole number within [0, 2**53]. JSON's true is not 1."""
    return value if type(value) is int and 0 <= value <= LARGEST_COUNT else None


def written_count(value: msgspec.Raw) -> int | None:
    """A number of at least one, as it is written in JSON that was not decoded; None for anything else, and for none.

    Not decoded, because callers may put megabytes in its place.
    """
    digits = bytes(value) if len(value) <= _LONGEST_COUNT else b""
    return int(digits) or None if digits.isdigit() else None


def nonzero(kinds: dict[str, int | None]) -> dict[str, int]:
    """The kinds of tokens that were used at all."""
    return {kind: number for kind, number in kinds.items() if number}


def identifier(value: object) -> str | None:
    """A provider's name for something; an empty or overlong one is none."""
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_IDENTIFIER else None


def error_type(error: ProviderError | Junk) -> str | None:
    """What kind of error the provider reports: its type, else its code, else only that it is one; None for none."""
    if error is None:
        return None
    error = present(error, _NAMELESS)
    for name in (error.type, error.code):
        if isinstance(name, str) and name:
            return name[:_LONGEST_ERROR_TYPE]
    return "error"


_NAMELESS = ProviderError()
