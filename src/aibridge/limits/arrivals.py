"""Calls as they came in: what a rehearsal of limits starts from, and the files that hold them.

A file is JSON Lines, one object for each call, or CSV with the same names in its first line:

    {"at": "2026-11-24T09:00:00Z", "actor": "ada", "provider": "anthropic", "model": "claude-sonnet-5",
     "input_tokens": 1200, "output_tokens": 350, "duration": 4.2}
"""

import csv
from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

_MOST_SHOWN = 60
"""Characters of a wrong value that a message shows."""

_Instant = Annotated[datetime, Meta(tz=True)] | Annotated[float, Meta(ge=0, le=1e11)]
_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Optional = Annotated[str, Meta(max_length=256)]
_Tokens = Annotated[int, Meta(ge=0, le=10**12)]
_Seconds = Annotated[float, Meta(ge=0, le=10**7)]


class ArrivalError(Exception):
    """A file of arrivals cannot be used. The text is one line: file, line, field, value, and what is allowed."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call that came in: when, whose, for what; and what became of it where it was let through.

    `at` is in UTC seconds, `duration` in seconds from the first byte in to the last byte out. `input_tokens` are all
    that went in; those of them that came from or went into the provider's prompt cache are told apart by the other two.
    An empty organization is none.
    """

    at: float
    actor: str
    organization: str = ""
    token: str = ""
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    duration: float
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0


class _Line(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An arrival as a file spells it."""

    at: _Instant
    actor: _Name
    organization: _Optional = ""
    token: _Optional = ""
    provider: _Name
    model: _Name
    input_tokens: _Tokens
    output_tokens: _Tokens
    duration: _Seconds


_ALLOWED = {
    "at": "an instant as RFC 3339 says, with its offset, or seconds since 1970",
    "actor": "a name of 1 to 256 characters",
    "organization": "a name of at most 256 characters, or none",
    "token": "an id of at most 256 characters, or none",
    "provider": "a name of 1 to 256 characters",
    "model": "a name of 1 to 256 characters",
    "input_tokens": "a whole number from 0 to 10^12",
    "output_tokens": "a whole number from 0 to 10^12",
    "duration": "seconds, from 0 to 10^7",
}
_TYPES = get_type_hints(_Line, include_extras=True)
_REQUIRED = [field.name for field in msgspec.structs.fields(_Line) if field.required]


def read_arrivals(path: Path) -> list[Arrival]:
    """The calls of a file, in the order of time: CSV where its name ends in `.csv`, else JSON Lines.

    All of them are in memory (measured: some 200 bytes each), since a log is often in the order in which calls ended.

    Raises:
        ArrivalError: the file cannot be read, or a line of it is wrong.
    """
    try:
        arrivals = list(_csv(path) if path.suffix.lower() == ".csv" else _json_lines(path))
    except OSError as error:
        raise ArrivalError(f"cannot read {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArrivalError(f"cannot read {path}: {error}") from None
    arrivals.sort(key=attrgetter("at"))
    return arrivals


def _json_lines(path: Path) -> Iterator[Arrival]:
    decode = msgspec.json.Decoder(_Line).decode
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if text.isspace():
                continue
            try:
                line = decode(text)
            except msgspec.DecodeError:
                raise _wrong_json(f"{path}, line {number}", text) from None
            yield _arrival(line)


def _csv(path: Path) -> Iterator[Arrival]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True, restkey="")
        for row in rows:
            given = {name: value for name, value in row.items() if value is not None}
            try:
                line = msgspec.convert(given, _Line, strict=False)
            except msgspec.ValidationError:
                raise _wrong_row(f"{path}, line {rows.line_num}", given, strict=False) from None
            yield _arrival(line)


def _arrival(line: _Line) -> Arrival:
    return Arrival(
        at=line.at.timestamp() if isinstance(line.at, datetime) else line.at,
        # A file names the same few people and models again and again.
        actor=intern(line.actor),
        organization=intern(line.organization),
        token=intern(line.token),
        provider=intern(line.provider),
        model=intern(line.model),
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        duration=line.duration,
    )


def _wrong_json(where: str, text: bytes) -> ArrivalError:
    try:
        row = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        row = None
    if not isinstance(row, dict):
        shown = text.decode(errors="replace").rstrip()
        return ArrivalError(f"{where} is {_shown(shown)}; allowed: a JSON object with {', '.join(_REQUIRED)}")
    return _wrong_row(where, row, strict=True)


def _wrong_row(where: str, row: dict[str, Any], *, strict: bool) -> ArrivalError:
    """Say which field it is. Only looked for once it is known that there is one: the good lines are many."""
    for name in _REQUIRED:
        if name not in row:
            return ArrivalError(f"{where}: {name} is missing; allowed: {_ALLOWED[name]}")
    for name, value in row.items():
        if name not in _TYPES:
            what = f"the field {_shown(name)}" if name else "a value without a name"
            return ArrivalError(f"{where}: {what} is not known; allowed: {', '.join(_TYPES)}")
        try:
            msgspec.convert(value, _TYPES[name], strict=strict)
        except msgspec.ValidationError:
            return ArrivalError(f"{where}: {name} is {_shown(value)}; allowed: {_ALLOWED[name]}")
    raise AssertionError("a line that is wrong has a wrong field")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
