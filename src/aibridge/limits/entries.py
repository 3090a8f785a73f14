"""Lists of mappings in a YAML file, read so that every complaint names place, entry, field and value."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
import yaml

from aibridge.options_kinds import OptionError
from aibridge.options_sources import did_you_mean, pairs, quoted

MOST = 1000
"""Entries in one list."""


class Form(msgspec.Struct, frozen=True):
    """What may stand in a field. `parse` raises ValueError on text that is not `allowed`."""

    allowed: str
    parse: Callable[[str], Any]


class EntryError(OptionError):
    """A field of an entry is wrong: which one, empty for all of it, and what of it."""

    def __init__(self, place: str, field: str, complaint: str) -> None:
        super().__init__(f"{place}: {complaint}")
        self.field = field
        self.complaint = complaint


class Entry:
    """One mapping of a list. `known` are its fields; `title` is what it is called in complaints."""

    def __init__(self, path: Path, node: yaml.Node, title: str, known: Collection[str]) -> None:
        self.title = title
        self._path = path
        self._line = node.start_mark.line + 1
        self._fields: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong("", "is not a mapping", f"a mapping with {_listed(known)}")
        for name, value, _ in pairs(path, node):
            if name not in known:
                raise self.wrong(name, f"is no field{did_you_mean(name, known)}", _listed(known), value)
            if name in self._fields:
                raise self.wrong(name, "is given twice", "each field once", value)
            self._fields[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def wrong(self, field: str, complaint: str, allowed: str, node: yaml.Node | None = None) -> EntryError:
        """The error for a field of this entry; without a field, for all of it."""
        node = node or self._fields.get(field)
        line = self._line if node is None else node.start_mark.line + 1
        where = f"{self.title}, {field}" if field else self.title
        place = f"file {self._path}, line {line}, {where}"
        return EntryError(place, field, f"{complaint}; allowed: {allowed}")

    def required(self, name: str, form: Form) -> Any:  # noqa: ANN401 (each field has a type of its own)
        """The value of a field that must be there."""
        if name not in self._fields:
            raise self.wrong(name, "is missing", form.allowed)
        return self._value(name, form, self._fields[name])

    def optional(self, name: str, form: Form, absent: Any) -> Any:  # noqa: ANN401 (as above)
        """The value of a field, or `absent`."""
        return self._value(name, form, self._fields[name]) if name in self._fields else absent

    def several(self, name: str, form: Form) -> tuple[Any, ...]:
        """The values of a field that is a list, or a single one, or not there."""
        node = self._fields.get(name)
        if node is None:
            return ()
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not 0 < len(nodes) <= MOST:
            raise self.wrong(name, f"has {len(nodes)} entries", f"1 to {MOST} of: {form.allowed}")
        return tuple(self._value(name, form, each) for each in nodes)

    def inner(self, name: str, known: Collection[str]) -> "Entry | None":
        """The mapping that a field is, if it is there."""
        node = self._fields.get(name)
        return None if node is None else Entry(self._path, node, f"{self.title}, {name}", known)

    def _value(self, name: str, form: Form, node: yaml.Node) -> Any:  # noqa: ANN401 (as above)
        if not isinstance(node, yaml.ScalarNode):
            raise self.wrong(name, "is not a single value", form.allowed, node)
        text = str(node.value)
        try:
            return form.parse(text)
        except ValueError:
            raise self.wrong(name, f"{quoted(text)} is not allowed", form.allowed, node) from None


def entries(path: Path, root: yaml.Node | None, key: str, title: str, known: Collection[str]) -> list[Entry]:
    """The entries of the list below a top-level key; none where the key, or what is below it, is absent.

    An entry with a field `name` is called by it, any other by its place.

    Raises:
        OptionError: what is there is no list of mappings with known fields.
    """
    found: list[Entry] = []
    for name, node, place in pairs(path, root):
        if name != key or (isinstance(node, yaml.ScalarNode) and not node.value):
            continue
        if not isinstance(node, yaml.SequenceNode):
            raise OptionError(f"{place} is not a list; allowed: a list of mappings with {_listed(known)}")
        if len(found) + len(node.value) > MOST:
            raise OptionError(f"{place} has {len(node.value)} entries; allowed: at most {MOST}")
        found += [Entry(path, item, _title(item, title, index + 1), known) for index, item in enumerate(node.value)]
    return found


def _title(node: yaml.Node, title: str, number: int) -> str:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "name" and isinstance(value, yaml.ScalarNode) and value.value:
                return f"{title} {quoted(str(value.value))}"
    return f"{title} {number}"


def _listed(known: Collection[str]) -> str:
    return ", ".join(known)
