"""Some settings put into a document that holds others: JSON and TOML, where everything else stays as it was.

JSON is read and written again, which keeps values and their order. TOML has comments, and people write them: only the
lines that change are touched, and the outcome is parsed and compared with what it should be, so that a document that
is written in an unusual way is refused and never spoilt.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, "str | bool | Settings | None"]
"""Settings by name, tables in tables. None takes one out."""

_INDENT = re.compile(r"\n([ \t]+)\S")
_HEADER = re.compile(r"\s*\[")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Unchangeable(ValueError):  # noqa: N818 -- a state of the document
    """The document is not as it must be to be changed safely. The text says why."""


def with_json(text: str, settings: Settings) -> str:
    """The JSON document with these settings; empty text is an empty document.

    Raises:
        Unchangeable: it is no JSON object (one with comments is none), or a setting is where something else stands.
    """
    try:
        before = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise Unchangeable(f"it is no plain JSON: {error}") from None
    if not isinstance(before, dict):
        raise Unchangeable("it is no JSON object")
    after = _merged(before, settings)
    if after == before and text.strip():
        return text
    indent = _INDENT.search(text)
    return json.dumps(after, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n"


def with_toml(text: str, settings: Settings) -> str:
    """The TOML document with these settings, of which none is None. Comments and all other lines stay.

    Raises:
        Unchangeable: it is no TOML, or the settings stand in it in a way that is not understood.
    """
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unchangeable(f"it is no TOML: {error}") from None
    wanted = _merged(before, settings)
    if wanted == before:
        return text
    if text and not text.endswith("\n"):
        text += "\n"
    after = "".join(_put(text.splitlines(keepends=True), (), settings))
    try:
        is_right = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise Unchangeable("the settings stand in it in a way that cannot be changed safely")
    return after


def _merged(before: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    after = dict(before)
    for name, value in settings.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, Mapping):
            inner = after.get(name, {})
            if not isinstance(inner, dict):
                raise Unchangeable(f"{name} is {inner!r} in it, where settings with names belong")
            after[name] = _merged(inner, value)
        else:
            after[name] = value
    return after


def _put(lines: list[str], table: tuple[str, ...], settings: Settings) -> list[str]:
    """The lines with these settings in the table of that name, the document's own for an empty one."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            lines = _put(lines, (*table, name), value)
        else:
            lines = _put_one(lines, table, name, f"{json.dumps(value)}")
    return lines


def _put_one(lines: list[str], table: tuple[str, ...], name: str, value: str) -> list[str]:
    headers = [at for at, line in enumerate(lines) if _HEADER.match(line) and _parses(lines[:at])]
    begin = 0
    if table:
        named = re.compile(r"\s*\[\s*" + r"\s*\.\s*".join(map(_spelling, table)) + r"\s*\]\s*(#.*)?\s*")
        begin = next((at + 1 for at in headers if named.fullmatch(lines[at])), -1)
        if begin < 0:
            gap = ["\n"] if lines and lines[-1].strip() else []
            return [*lines, *gap, f"[{'.'.join(map(_key, table))}]\n", f"{_key(name)} = {value}\n"]
    end = next((at for at in headers if at >= begin), len(lines))
    key = re.compile(rf"(\s*{_spelling(name)}\s*=\s*)(\"[^\"\\]*\"|'[^']*'|[A-Za-z0-9_.+-]+)?(\s*(?:#.*)?\n)?")
    last = begin
    for at in range(begin, end):
        if not lines[at].strip() or lines[at].lstrip().startswith("#") or not _parses(lines[:at]):
            continue
        after = next(after for after in range(at + 1, len(lines) + 1) if _parses(lines[:after]))
        found = key.match(lines[at])
        if found:
            rest = found[3] if found[2] and found[3] else "\n"
            return [*lines[:at], f"{found[1]}{value}{rest}", *lines[after:]]
        last = after
    return [*lines[:last], f"{_key(name)} = {value}\n", *lines[last:]]


def _parses(lines: list[str]) -> bool:
    """Whether a document may end here: between two lines of a value it may not."""
    try:
        tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _spelling(name: str) -> str:
    return rf"(?:{re.escape(name)}|\"{re.escape(name)}\"|'{re.escape(name)}')"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)
