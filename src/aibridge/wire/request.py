"""Peeking at request bodies: the few fields the gateway needs, and a refusal that says what is wrong with them.

Decoded is only what is asked for; the rest is skipped, whatever it is, and left for the provider to judge. Of a
repeated key the last one counts, as in Python's, Go's and JavaScript's readers.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from aibridge.domain.errors import BadRequest
from aibridge.wire.lenient import decode, decoder_of
from aibridge.wire.schema.common import Body, UnjudgedBody

LONGEST_MODEL: Final = 256


B = TypeVar("B", bound=Body)

_unjudged: Final = msgspec.json.Decoder(UnjudgedBody)

_MODEL_ALLOWED = f"a string of 1 to {LONGEST_MODEL} printable characters"
_FLAG_ALLOWED = "true or false"
_ALLOWED = {"model": _MODEL_ALLOWED, "stream": _FLAG_ALLOWED, "background": _FLAG_ALLOWED}
_KINDS = {
    "model": {"a string"},
    "stream": {"a boolean", "null"},
    "background": {"a boolean", "null"},
}
_KIND_BY_FIRST_BYTE = {
    b"{": "an object",
    b"[": "an array",
    b'"': "a string",
    b"t": "a boolean",
    b"f": "a boolean",
    b"n": "null",
}


def peeker_of(type_: type[B]) -> Callable[[bytes], B]:
    """Make what decodes the fields of a request body that the gateway needs.

    It raises BadRequest when the body is no JSON object, or a field is missing, of the wrong type or out of bounds.
    """
    decoded = decoder_of(type_)

    def understood(body: bytes) -> B:
        request = decoded(body)
        if request is None:
            raise _explained(body, type_.__struct_fields__)
        model = request.model
        if not 0 < len(model) <= LONGEST_MODEL:
            raise _not_allowed("model", f"one of {len(model)} characters")
        if not model.isprintable():
            raise _not_allowed("model", "one with control characters")
        return request

    return understood


def _explained(body: bytes, fields: tuple[str, ...]) -> BadRequest:
    """Find what is wrong with a body that could not be decoded; `fields` are those of the protocol."""
    try:
        unjudged = decode(_unjudged, body)
    except msgspec.ValidationError:
        return BadRequest(f"The request body must be a JSON object, not {_kind(body)}.")
    except (msgspec.DecodeError, RecursionError) as reason:
        return BadRequest("The request body cannot be read as JSON.", f"{reason}.")
    for field in fields:
        value = bytes(getattr(unjudged, field, b""))
        if value and _kind(value) not in _KINDS[field]:
            return _not_allowed(field, _kind(value))
    if not bytes(unjudged.model):
        return BadRequest(f"`model` is missing; it must be {_MODEL_ALLOWED}.", field="model")
    return _not_allowed("model", "one that is not valid Unicode")


def _not_allowed(field: str, found: str) -> BadRequest:
    return BadRequest(f"`{field}` must be {_ALLOWED[field]}, not {found}.", field=field)


def _kind(value: bytes) -> str:
    return _KIND_BY_FIRST_BYTE.get(value.lstrip(b" \t\r\n")[:1], "a number")
