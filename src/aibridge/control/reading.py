"""Reads what is sent to an endpoint into its struct, and tells everything that is wrong with it at once."""

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from aibridge.contract.errors import Validation
from aibridge.contract.roles import decode_hook
from aibridge.contract.shapes import Page
from aibridge.control.errors import InvalidBody, InvalidQuery
from aibridge.domain.errors import BadRequest
from aibridge.overload.caller import SESSION_TOKEN

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

BOTH_PAGINGS = "Cannot use both after_id and offset pagination in the same request."
_WHOLE = re.compile(r"-?[0-9]{1,10}")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
BAD_CURSOR = "Invalid pagination cursor."


def body_of(content: bytes, wanted: type[_Struct]) -> _Struct:
    """Read a JSON body.

    Raises:
        InvalidBody: it is no JSON object, or it names every field that is missing, unknown or not as it must be.
    """
    try:
        given = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBody([], f"The body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise InvalidBody([], "The body must be a JSON object.")
    return _struct_of(given, wanted, InvalidBody, lax=False)


def query_of(parameters: Iterable[tuple[str, str]], wanted: type[_Struct]) -> _Struct:
    """Read the parameters of a URL.

    Empty ones are as if they were not there, and so is a token that is presented in this way.

    Raises:
        InvalidQuery: it names every parameter that is unknown, given twice or not as it must be.
        BadRequest: both ways of paging at once.
    """
    given: dict[str, str] = {}
    problems = []
    for name, value in parameters:
        if name == SESSION_TOKEN or not value:
            continue
        if name in given:
            problems.append(Validation(field=name, detail="is given more than once"))
        given[name] = value
    query = _struct_of(given, wanted, InvalidQuery, lax=True, problems=problems)
    if isinstance(query, Page) and query.after_id is not None and query.offset:
        raise BadRequest(BOTH_PAGINGS)
    return query


def _struct_of(
    given: Mapping[str, Any],
    wanted: type[_Struct],
    refusal: type[InvalidBody | InvalidQuery],
    *,
    lax: bool,
    problems: Iterable[Validation] = (),
) -> _Struct:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    found = [*problems, *_unknown(given, fields)]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in given:
            try:
                value, kind = (_said(given[name], field.type)) if lax else (given[name], field.type)
                values[field.name] = msgspec.convert(value, kind, dec_hook=decode_hook)
            except msgspec.ValidationError as error:
                found.append(_problem(name, str(error), given[name]))
        elif field.required:
            found.append(Validation(field=name, detail="is missing"))
    if found:
        raise refusal(found)
    try:
        return wanted(**values)
    except ValueError as error:  # what a struct says of its fields together
        raise refusal([Validation(field="", detail=str(error))]) from None


def _unknown(given: Mapping[str, Any], known: Iterable[str]) -> Iterator[Validation]:
    allowed = ", ".join(known) or "none"
    for name in given:
        if name not in known:
            yield Validation(field=name, detail=f"is not known here; allowed are {allowed}")


def _said(text: str, kind: Any) -> tuple[object, Any]:  # noqa: ANN401 (a type expression)
    """What a parameter's text says where its type is `kind`, and the type without None, which text never means.

    Numbers are plain digits and truths are words: nothing else that a lenient reader would take for one.
    """
    if get_origin(kind) in (Union, types.UnionType):
        kind = Union[tuple(member for member in get_args(kind) if member is not type(None))]  # noqa: UP007
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if plain is int and _WHOLE.fullmatch(text):
        return int(text), kind
    return (_TRUTHS.get(text, text) if plain is bool else text), kind


_LONGEST_SHOWN = 64


def _problem(name: str, message: str, value: object) -> Validation:
    """Msgspec's word on a value, with the place it stands at and, where that is short, the value."""
    detail, separator, place = message.partition(" - at `$")
    path = place.rstrip("`") if separator else ""
    shown = value if isinstance(value, str) and not path and len(value) <= _LONGEST_SHOWN else None
    return Validation(field=f"{name}{path}", detail=detail if shown is None else f"{detail}; it is {shown!r}")
