"""Where options come from: flags, the environment, a YAML file; and which of them counts.

Each source answers with what it was given for an option, as text that remembers where it stood. The first source that
was given anything decides; within one source an option may have several names, and they must agree.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import yaml

from aibridge.options_kinds import Option, OptionError

FILE_FLAG = "-file"
FILE_VARIABLE = "_FILE"
FILE_KEY = "_file"
_PREFIXES = ("CODER_AIBRIDGE_", "CODER_AI_GATEWAY_")
_PREFIX = re.compile("CODER_AIBRIDGE_|CODER_AI_GATEWAY_|aibridge[.]|ai_gateway[.]")
_LONGEST_SECRET = 65536


class Given(msgspec.Struct, frozen=True):
    """What somebody wrote for an option. `names_file`: the text is the path of a file that holds the value."""

    text: str
    source: str
    names_file: bool = False


class Resolved(msgspec.Struct, frozen=True):
    """An option's value and the source that decided it."""

    value: Any
    source: str


def from_flags(option: Option, flags: Mapping[str, str]) -> list[Given]:
    """What the command line says. `flags` maps flags as written, dashes included, to their values."""
    return [Given(flags[name], f"flag {name}", is_file) for name, is_file in flag_names(option) if name in flags]


def from_environment(option: Option, environ: Mapping[str, str]) -> list[Given]:
    """What our own environment variables say."""
    return [
        Given(environ[name], f"environment {name}", is_file)
        for name, is_file in variable_names(option)
        if name in environ
    ]


def from_fallback(option: Option, environ: Mapping[str, str]) -> list[Given]:
    """What a foreign environment variable says. It was not written for us, so an empty one is not a mistake."""
    name = option.fallback
    return [Given(environ[name], f"environment {name}")] if name and environ.get(name) else []


def flag_names(option: Option) -> list[tuple[str, bool]]:
    """An option's flags, and whether each names a file."""
    return _with_companions(option, option.flags, FILE_FLAG)


def variable_names(option: Option) -> list[tuple[str, bool]]:
    """An option's environment variables, and whether each names a file."""
    return _with_companions(option, option.environment, FILE_VARIABLE)


def yaml_names(option: Option) -> list[tuple[str, bool]]:
    """An option's YAML keys, and whether each names a file."""
    return _with_companions(option, option.yaml_keys, FILE_KEY)


def _with_companions(option: Option, names: Sequence[str], suffix: str) -> list[tuple[str, bool]]:
    plain = [(name, False) for name in names]
    return plain + [(name + suffix, True) for name in names] if option.secret else plain


def from_document(
    path: Path, root: yaml.Node | None, options: Iterable[Option], others: Iterable[str] = ()
) -> dict[str, list[Given]]:
    """What a YAML file says, by the option's field; `others` are top-level keys that somebody else reads.

    Scalars are taken as they are written, never as YAML would guess them: a key of digits stays text.

    Raises:
        OptionError: the file has a key that is no option.
    """
    known = {key: (option, is_file) for option in options for key, is_file in yaml_names(option)}
    given: dict[str, list[Given]] = {}
    for key, node in _entries(path, root, known, tuple(others)):
        place = f"file {path}, line {node.start_mark.line + 1}, key {key}"
        option, is_file = known[key]
        given.setdefault(option.field, []).append(Given(_text(option, node, place), place, is_file))
    return given


def _entries(
    path: Path, root: yaml.Node | None, known: Iterable[str], others: tuple[str, ...]
) -> list[tuple[str, yaml.Node]]:
    """The file's keys, joined by dots, with what stands there; a section is opened, an option is not."""
    entries: list[tuple[str, yaml.Node]] = []
    sections = {key.partition(".")[0] for key in known if "." in key}
    for name, node, place in pairs(path, root):
        if name in others:
            continue
        if name in known:
            entries.append((name, node))
        elif name in sections:
            for inner, value, inner_place in pairs(path, node, name):
                key = f"{name}.{inner}"
                if key not in known:
                    raise OptionError(f"{inner_place}: unknown option{did_you_mean(key, known)}")
                entries.append((key, value))
        else:
            raise OptionError(f"{place}: unknown option{did_you_mean(name, [*known, *others])}")
    return entries


def document(path: Path) -> yaml.Node | None:
    """The root of a YAML file, every scalar in it as it is written.

    Raises:
        OptionError: the file cannot be read, or is not YAML.
    """
    # The parser's own message can quote the file, and with it a secret: only the place is told.
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except OSError as error:
        raise OptionError(f"file {path} cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" near line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise OptionError(f"file {path} is not valid YAML{place}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise OptionError(f"file {path} is not valid YAML in UTF-8") from None


def pairs(path: Path, node: yaml.Node | None, section: str = "") -> list[tuple[str, yaml.Node, str]]:
    """A mapping's keys and values, each with its place in the file.

    Raises:
        OptionError: it is no mapping.
    """
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return []
    if not isinstance(node, yaml.MappingNode):
        where = f", key {section}" if section else ""
        raise OptionError(f"file {path}, line {node.start_mark.line + 1}{where}: expected names with values below it")
    dot = f"{section}." if section else ""
    pairs = []
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        pairs.append((name, value, f"file {path}, line {key.start_mark.line + 1}, key {dot}{name}"))
    return pairs


def _text(option: Option, node: yaml.Node, place: str) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if option.kind.is_list and isinstance(node, yaml.SequenceNode):
        items = [item.value for item in node.value if isinstance(item, yaml.ScalarNode)]
        if len(items) == len(node.value):
            return ",".join(items)
    raise OptionError(f"{option.flag}: {place} is not a single value; allowed: {option.allowed}")


def unknown_variables(environ: Iterable[str], options: Iterable[Option]) -> list[str]:
    """One line for each environment variable that looks like an option of ours and is none."""
    known = [name for option in options for name, _ in variable_names(option)]
    return [
        f"environment {name}: unknown option, ignored{did_you_mean(name, known)}"
        for name in sorted(environ)
        if name.startswith(_PREFIXES) and name not in known
    ]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about a name that nobody knows: the nearest one that is known, if any is near."""
    # Names are compared without what many start with: it would make any two of them look alike.
    prefix, end = _split(name)
    ends: dict[str, str] = {}
    for other in sorted(known, key=lambda other: _split(other)[0] != prefix):
        ends.setdefault(_split(other)[1], other)
    nearest = get_close_matches(end, ends, n=1)
    return f"; did you mean {ends[nearest[0]]}?" if nearest else ""


def _split(name: str) -> tuple[str, str]:
    match = _PREFIX.match(name)
    return (match[0], name[match.end() :]) if match else ("", name)


def settle(option: Option, source: Sequence[Given]) -> Resolved:
    """The value that one source gives for an option; `source` is not empty.

    Raises:
        OptionError: the value is not allowed, or two names of the option disagree.
    """
    first = source[0]
    for other in source[1:]:
        if other.names_file != first.names_file:
            raise OptionError(f"{option.flag}: give {first.source} or {other.source}, not both")
    value = _value(option, first)
    for other in source[1:]:
        if _value(option, other) != value:
            shown = "" if option.secret else f" ({quoted(first.text)} and {quoted(other.text)})"
            raise OptionError(f"{option.flag}: {first.source} and {other.source} have different values{shown}")
    return Resolved(value, first.source)


def _value(option: Option, given: Given) -> Any:  # noqa: ANN401 -- see Option.parse
    text, source = given.text, given.source
    if given.names_file:
        text, source = _read_secret(option, given), f"file {given.text} named by {given.source}"
    if not text.strip():
        raise OptionError(f"{option.flag}: the value from {source} is empty; allowed: {option.allowed}")
    try:
        return option.parse(text)
    except ValueError:
        shown = "the value" if option.secret else quoted(text)
        raise OptionError(f"{option.flag}: {shown} from {source} is not allowed; allowed: {option.allowed}") from None


def _read_secret(option: Option, given: Given) -> str:
    place = f"{option.flag}: file {quoted(given.text)} named by {given.source}"
    try:
        with Path(given.text).expanduser().open(encoding="utf-8") as file:
            text = file.read(_LONGEST_SECRET + 1)
    except OSError as error:
        raise OptionError(f"{place} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError, RuntimeError):
        raise OptionError(f"{place} cannot be read: not a text file") from None
    if len(text) > _LONGEST_SECRET:
        raise OptionError(f"{place} cannot be read: longer than {_LONGEST_SECRET} characters")
    return text.removesuffix("\n")


def quoted(text: str) -> str:
    """Text in double quotes on one line, without what a URL in it says before the @."""
    head, mark, tail = text.partition("://")
    userinfo, at, rest = tail.rpartition("@")
    plain = f"{head}{mark}…{at}{rest}" if mark and at and userinfo else text
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain) + '"'
