"""What an option is: its names, and how its text becomes a value.

A flag, an environment variable and a YAML scalar are all text, so each kind of value has one parser and means the same
wherever it was written. Bounds and defaults are text too, in the form a person would type: help and documentation show
them as they stand. `options` holds the table made of these, `options_sources` finds what was given.
"""

import ipaddress
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from aibridge.domain.provider import Provider, ProviderKind


class OptionError(Exception):
    """An option was given wrongly. The text is one line for the operator and never holds a secret."""


class Address(msgspec.Struct, frozen=True):
    """Where to listen. An empty host means every interface; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than `localhost` is taken to be reachable."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of value. `parse` raises ValueError on text that is not one; `allowed` then says what would be."""

    metavar: str
    allowed: str
    type: Any
    parse: Callable[[str], Any]
    absent: Any = None
    """The value of an option without default that nobody gave."""
    is_list: bool = False


class Option(msgspec.Struct, frozen=True):
    """One option: a row of the table.

    All names follow from `section` and `field`: `--aibridge-rate-limit`, `CODER_AIBRIDGE_RATE_LIMIT` and the YAML key
    `aibridge.rate_limit`. The section `aibridge` is also called `ai-gateway`. A secret is never shown, and each of its
    names has a companion with `file` at its end that names a file to read it from.
    """

    section: str
    """`aibridge`, or empty for what concerns the whole server."""
    field: str
    """The name of its field in `Settings`."""
    kind: Kind
    default: str | None
    group: str
    help: str
    minimum: str | None = None
    maximum: str | None = None
    secret: bool = False
    fallback: str | None = None
    """A foreign environment variable that counts when none of ours is set."""
    unset: str = "none"
    """What stands for a default that is no text of its own, in help and documentation."""
    default_in: Callable[[Mapping[str, str]], str] | None = None
    """Works out the default from the environment, in place of `default`."""
    environment_name: str | None = None
    """Stands in for the name that would follow from the field."""
    in_file: bool = True
    """Whether it can be given in the YAML file."""

    @property
    def flag(self) -> str:
        """Its flag, for example `--aibridge-rate-limit`: how the option is called in messages."""
        return self.flags[0]

    @property
    def flags(self) -> tuple[str, ...]:
        """Its flags, the one to show first."""
        return tuple("--" + "-".join(words).replace("_", "-") for words in self._spellings)

    @property
    def environment(self) -> tuple[str, ...]:
        """Its environment variables, the one to show first."""
        if self.environment_name:
            return (self.environment_name,)
        return tuple("CODER_" + "_".join(words).upper() for words in self._spellings)

    @property
    def yaml_keys(self) -> tuple[str, ...]:
        """Its keys in the YAML file, from the top, joined by dots; the one to show first."""
        return tuple(".".join(words) for words in self._spellings) if self.in_file else ()

    @property
    def _spellings(self) -> tuple[tuple[str, ...], ...]:
        if self.section == "aibridge":
            return (("aibridge", self.field), ("ai_gateway", self.field))
        return ((self.field,),)

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        bounds = [f"{word} {bound}" for word, bound in (("at least", self.minimum), ("at most", self.maximum)) if bound]
        return ", ".join([self.kind.allowed, " and ".join(bounds)]) if bounds else self.kind.allowed

    def parse(self, text: str) -> Any:  # noqa: ANN401 -- each kind has a type of its own; Settings names it
        """Turn text into a value of its kind, within its bounds.

        Raises:
            ValueError: it is not one. Say `allowed` to the operator, not this error's text.
        """
        value = self.kind.parse(text)
        if (self.minimum and value < self.kind.parse(self.minimum)) or (
            self.maximum and value > self.kind.parse(self.maximum)
        ):
            raise ValueError("out of bounds")
        return value


_WHOLE = re.compile(r"-?[0-9]{1,18}")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_SIZE = re.compile(r"([0-9]{1,15})([A-Za-z]*)")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]*)):(?P<port>[0-9]{1,5})")
_HIGHEST_PORT = 65535
_REDIS_SCHEMES = ("redis", "rediss", "valkey", "valkeys")
_DATABASE = re.compile(r"/?[0-9]{0,9}")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError("wrong form")
    return match


def _whole(text: str) -> int:
    return int(_matched(_WHOLE, text)[0])


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError("neither true nor false")
    return _TRUTH[text.lower()]


def duration(text: str) -> float:
    """Seconds of a duration such as `10s`, `1.5s`, `500ms`, `1h30m` or `60d`; a plain number is seconds.

    Raises:
        ValueError: text is no duration.
    """
    if _NUMBER.fullmatch(text):
        return float(text)
    _matched(_DURATION, text)
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def _size(text: str) -> int:
    match = _matched(_SIZE, text)
    if match[2] not in _BYTES:
        raise ValueError("unknown unit")
    return int(match[1]) * _BYTES[match[2]]


def _address(text: str) -> Address:
    match = _matched(_ADDRESS, text)
    host = str(ipaddress.IPv6Address(match["v6"])) if match["v6"] else match["name"]
    port = int(match["port"])
    if port > _HIGHEST_PORT:
        raise ValueError("no such port")
    return Address(host, port)


def _networks(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(part.strip())) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in _line(text).split(","))
    if not all(names):
        raise ValueError("an empty name")
    return names


def _base_url(text: str) -> str:
    Provider.at("any", ProviderKind.OPENAI, text)
    return text


def _redis_url(text: str) -> str:
    parts = urlsplit(_line(text))
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("no path")
    elif parts.scheme not in _REDIS_SCHEMES or not parts.hostname or not _DATABASE.fullmatch(parts.path):
        raise ValueError("not of a server")
    _ = parts.port  # a ValueError if it is none
    return text


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters")
    return text


def _key(text: str) -> str:
    # It becomes a header's value: anything else could end the header or not be encoded at all.
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("not a header value")
    return text


def _path(text: str) -> Path:
    try:
        return Path(_line(text)).expanduser()
    except RuntimeError as error:
        raise ValueError("no such home") from error


def _existing_file(text: str) -> Path:
    path = _path(text)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ValueError("no such file") from error
    if stat.S_ISDIR(mode):  # anything else may do: a shell's <(command) is a pipe
        raise ValueError("a directory")
    return path


WHOLE = Kind(metavar="INT", allowed="a whole number", type=int, parse=_whole)
TRUTH = Kind(metavar="BOOL", allowed="true or false (1 or 0, yes or no)", type=bool, parse=_truth)
DURATION = Kind(metavar="DURATION", allowed="a duration such as 10s, 1.5s, 2m or 500ms", type=float, parse=duration)
SIZE = Kind(metavar="SIZE", allowed="a size such as 32MiB or 1048576", type=int, parse=_size)
ADDRESS = Kind(
    metavar="ADDRESS", allowed="an address such as 127.0.0.1:4001, [::1]:4001 or :4001", type=Address, parse=_address
)
NETWORKS = Kind(
    metavar="CIDRS",
    allowed="networks such as 10.0.0.0/8 or fd00::/8, separated by commas, with no bits set beyond the prefix",
    type=tuple[str, ...],
    parse=_networks,
    absent=(),
    is_list=True,
)
NAMES = Kind(
    metavar="NAMES",
    allowed="names or patterns with * and ?, separated by commas",
    type=tuple[str, ...],
    parse=_names,
    absent=(),
    is_list=True,
)
BASE_URL = Kind(
    metavar="URL",
    allowed="an http:// or https:// URL with a host and without credentials, query or fragment",
    type=str,
    parse=_base_url,
)
REDIS_URL = Kind(
    metavar="URL",
    allowed="redis://host:6379/0, rediss:// for TLS, valkey:// or valkeys:// in their place, or unix:///path",
    type=str,
    parse=_redis_url,
)
TEXT = Kind(metavar="TEXT", allowed="one line of text", type=str, parse=_line)
KEY = Kind(metavar="KEY", allowed="one word of visible ASCII characters", type=str, parse=_key)
PATH = Kind(metavar="PATH", allowed="a path", type=Path, parse=_path)
FILE = Kind(metavar="FILE", allowed="the path of a file that exists", type=Path, parse=_existing_file)
