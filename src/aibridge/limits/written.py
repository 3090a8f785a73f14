"""Rules and prices as people write them, in the YAML file of options or in one of their own.

What is wrong is said with the file, the line, the rule, the field, the value and what is allowed instead. As with
options, scalars are taken as they are written.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from aibridge.domain.price import Price
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.limits.entries import Entry, Form, entries
from aibridge.limits.explain import CONCURRENCY, NANO_DOLLARS, RATE
from aibridge.options_kinds import OptionError, duration
from aibridge.options_sources import did_you_mean, document, pairs, quoted

KEYS = ("limits", "prices")
"""The keys of the file that are read here."""
RULE_FIELDS = (
    *("name", "subject", "only", "organization", "provider", "model"),
    *("unit", "amount", "window", "burst", "queue", "mode"),
)
PRICE_FIELDS = ("model", "input", "output", "cache_read", "cache_write")

_MOST_COUNTED = 10**12
_MOST_DOLLARS = 10**6
_MOST_QUEUED = 10**6
_QUEUE_SIZE = 1000
_LONGEST_QUEUE = "10m"
_SHORTEST_WINDOW = "100ms"
_LONGEST_WINDOW = "366d"
_LONGEST_PATTERN = 256

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_WHOLE = re.compile(r"[0-9][0-9_]{0,30}")
_DOLLARS = re.compile(r"[0-9][0-9_]{0,20}(?:\.[0-9]{1,9})?")


class Written(NamedTuple):
    """What a file says of limits, in its order."""

    rules: tuple[Rule, ...] = ()
    prices: tuple[Price, ...] = ()


def read_limits(path: Path) -> Written:
    """Read a file that has nothing but `limits:` and `prices:`.

    Raises:
        OptionError: the file cannot be read, or something in it is wrong.
    """
    root = document(path)
    for name, _, place in pairs(path, root):
        if name not in KEYS:
            raise OptionError(f"{place}: unknown key{did_you_mean(name, KEYS)}; allowed: {' and '.join(KEYS)}")
    return written_in(path, root)


def written_in(path: Path, root: yaml.Node | None) -> Written:
    """What the YAML file at `path`, with this root, says of limits. Other keys are others' business.

    Raises:
        OptionError: something in it is wrong.
    """
    prices = tuple(map(_price, entries(path, root, "prices", "price", PRICE_FIELDS)))
    rules: dict[str, Rule] = {}
    for entry in entries(path, root, "limits", "limit", RULE_FIELDS):
        rule = _rule(entry)
        if rule.name in rules:
            raise entry.wrong("name", f"{quoted(rule.name)} is the name of another limit", "a name of its own")
        if rule.unit is Unit.COST and not prices:
            raise entry.wrong("unit", '"cost" needs prices', "with a list of prices below the key prices, in this file")
        rules[rule.name] = rule
    return Written(tuple(rules.values()), prices)


def checked(rule: Rule) -> Rule:
    """A rule that comes from elsewhere than a file, if a file could have it: read again as it would be written there.

    But that amounts of cost stay nano-dollars, so that complaints are in the unit of who hears them. Of which
    organization it is, and whether there are prices for it, is not asked.

    Raises:
        EntryError: it cannot be a rule.
    """
    (node,) = yaml.compose_all(yaml.safe_dump(_spelt(rule)), yaml.SafeLoader)
    read = _rule(Entry(Path("limit"), node, "limit", RULE_FIELDS), _AMOUNT_OF_NANO_DOLLARS)
    return msgspec.structs.replace(read, organization=rule.organization)


def _spelt(rule: Rule) -> dict[str, object]:
    """What a file says of a rule, with amounts in the unit of the rule."""
    amounts = {field: amount for field in ("amount", "burst") if (amount := getattr(rule, field)) is not None}
    fields = {
        "name": rule.name,
        "unit": rule.unit.value,
        "subject": rule.subject.value,
        "provider": rule.provider,
        "model": rule.model,
        "mode": rule.mode.value,
        **{field: str(amount) for field, amount in amounts.items()},
    }
    if rule.window or not rule.held:
        fields["window"] = _plain(rule.window)
    queue = {"timeout": _plain(rule.queue_timeout), "size": str(rule.queue_size)}
    queues = rule.queue_timeout or rule.queue_size
    return fields | ({"only": list(rule.only)} if rule.only else {}) | ({"queue": queue} if queues else {})


def _plain(seconds: float) -> str:
    return f"{Decimal(repr(seconds)):f}"


def _rule(entry: Entry, amount_of_cost: Form | None = None) -> Rule:
    unit = entry.required("unit", _one_of(Unit))
    subject = entry.optional("subject", _one_of(Subject), Subject.EVERYONE)
    amount = (amount_of_cost or _AMOUNT_OF_COST) if unit is Unit.COST else _AMOUNT
    timeout, size = _queue(entry, unit)
    return Rule(
        name=entry.required("name", _RULE_NAME),
        unit=unit,
        amount=entry.required("amount", amount),
        window=_window(entry, unit),
        burst=_burst(entry, unit, amount),
        subject=subject,
        only=_only(entry, subject),
        organization=entry.optional("organization", _ORGANIZATION, None),
        provider=entry.optional("provider", _PATTERN, "*"),
        model=entry.optional("model", _PATTERN, "*"),
        mode=entry.optional("mode", _one_of(Mode), Mode.ENFORCE),
        queue_timeout=timeout,
        queue_size=size,
    )


def _window(entry: Entry, unit: Unit) -> float:
    if unit is not Unit.CONCURRENT:
        window: float = entry.required("window", _WINDOW)
        return window
    if "window" in entry:
        raise entry.wrong("window", "is given to a limit on what is in progress", "no window with unit concurrent")
    return 0.0


def _burst(entry: Entry, unit: Unit, amount: Form) -> int | None:
    if unit is Unit.CONCURRENT and "burst" in entry:
        raise entry.wrong("burst", "is given to a limit on what is in progress", "no burst with unit concurrent")
    burst: int | None = entry.optional("burst", amount, None)
    return burst


def _only(entry: Entry, subject: Subject) -> tuple[str, ...]:
    if subject is Subject.EVERYONE and "only" in entry:
        raise entry.wrong("only", "is given to a limit for everyone", "a subject such as user beside it")
    return entry.several("only", _NETWORK if subject is Subject.ADDRESS else _PATTERN)


def _queue(entry: Entry, unit: Unit) -> tuple[float, int]:
    queue = entry.inner("queue", ("timeout", "size"))
    if queue is None:
        return 0.0, 0
    if unit is not Unit.CONCURRENT:
        raise entry.wrong("queue", f"is given to a limit on {unit}", "a queue with unit concurrent only")
    return queue.required("timeout", _QUEUE_TIMEOUT), queue.optional("size", _QUEUED, _QUEUE_SIZE)


def _price(entry: Entry) -> Price:
    return Price(
        model=entry.optional("model", _PATTERN, "*"),
        input=entry.required("input", _DOLLARS_PER_MILLION),
        output=entry.required("output", _DOLLARS_PER_MILLION),
        cache_read=entry.optional("cache_read", _DOLLARS_PER_MILLION, None),
        cache_write=entry.optional("cache_write", _DOLLARS_PER_MILLION, None),
    )


def _one_of(choices: type[StrEnum]) -> Form:
    return Form(", ".join(choices), choices)


def _bounded(parse: Callable[[str], Any], least: float, most: float) -> Callable[[str], Any]:
    def bounded(text: str) -> Any:  # noqa: ANN401 (whatever `parse` gives)
        value = parse(text)
        if not least <= value <= most:
            raise ValueError("out of bounds")
        return value

    return bounded


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("wrong form")
    return int(text)


def _nano_dollars(text: str) -> int:
    if not _DOLLARS.fullmatch(text):
        raise ValueError("wrong form")
    return int(Decimal(text) * NANO_DOLLARS)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or text in (CONCURRENCY, RATE):
        raise ValueError("wrong form, or taken")
    return text


def _pattern(text: str) -> str:
    if not (0 < len(text) <= _LONGEST_PATTERN and text.isprintable()):
        raise ValueError("wrong form")
    return text


_RULE_NAME = Form(f"1 to 64 of a-z, 0-9 and -, and neither {CONCURRENCY} nor {RATE}, which are options", _name)
_AMOUNT = Form(f"a whole number from 1 to {_MOST_COUNTED:_}", _bounded(_whole, 1, _MOST_COUNTED))
_AMOUNT_OF_COST = Form(
    f"dollars such as 12.50, more than 0 and at most {_MOST_DOLLARS:_}",
    _bounded(_nano_dollars, 1, _MOST_DOLLARS * NANO_DOLLARS),
)
_AMOUNT_OF_NANO_DOLLARS = Form(
    f"nano-dollars, a whole number from 1 to {_MOST_DOLLARS * NANO_DOLLARS:_}",
    _bounded(_whole, 1, _MOST_DOLLARS * NANO_DOLLARS),
)
_DOLLARS_PER_MILLION = Form(
    f"dollars per million tokens such as 1.25, at most {_MOST_DOLLARS:_}",
    _bounded(_nano_dollars, 0, _MOST_DOLLARS * NANO_DOLLARS),
)
_WINDOW = Form(
    f"a duration such as 10s, 1m or 30d, from {_SHORTEST_WINDOW} to {_LONGEST_WINDOW}",
    _bounded(duration, duration(_SHORTEST_WINDOW), duration(_LONGEST_WINDOW)),
)
_QUEUE_TIMEOUT = Form(
    f"a duration such as 5s, from 1ms to {_LONGEST_QUEUE}", _bounded(duration, 0.001, duration(_LONGEST_QUEUE))
)
_QUEUED = Form(f"a whole number from 1 to {_MOST_QUEUED:_}", _bounded(_whole, 1, _MOST_QUEUED))
_PATTERN = Form(f"1 to {_LONGEST_PATTERN} characters, * for any text and ? for any one of them", _pattern)
_ORGANIZATION = Form(f"the id of an organization, 1 to {_LONGEST_PATTERN} characters", _pattern)
_NETWORK = Form(
    "networks such as 10.0.0.0/8 or fd00::/48, with no bits set beyond the prefix", lambda text: str(ip_network(text))
)
