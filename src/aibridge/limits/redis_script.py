"""What is said to `redis.lua`, and what it answers. The script's file has the algorithms; this one the words.

Redis and Valkey take a script and MessagePack without further modules, so a request of any number of calls is one
argument, one reply, and one round trip.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha1
from pathlib import Path
from typing import TypeVar

import msgspec

from aibridge.domain.rule import Mode, Rule
from aibridge.limits.counts import Ask
from aibridge.overload.rate import PLACES

SCRIPT = Path(__file__).with_name("redis.lua").read_text("utf-8")
DIGEST = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
"""The script's name at the server."""

MICROSECONDS = 1e6

T = TypeVar("T")

_WINDOW, _GCRA, _HELD, _PROBE = 1, 2, 3, 4
_NAMES = {_WINDOW: "window", _GCRA: "gcra", _HELD: "held"}


class Word(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An ask as the script reads it; `a`, `b`, `c` are the limit, see there. Times are microseconds."""

    kind: int
    key: str
    cost: float
    shadow: bool
    a: float
    b: float | str
    c: float

    @property
    def held(self) -> bool:
        """Whether it is for what is held."""
        return self.kind == _HELD


class Settled(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What comes back: a lease by its name, a call by the instant at which it counted, a difference in cost.

    Or a probe's place by its name, with a `difference` of 1.0 where it succeeded; `rate` is how many places there are.
    """

    kind: int
    key: str
    difference: float
    what: float | str
    rate: float

    @classmethod
    def release(cls, key: str, name: str) -> "Settled":
        """Give back a lease."""
        return cls(_HELD, key, 0.0, name, 0.0)

    @property
    def again(self) -> bool:
        """Whether saying it twice does no harm."""
        return self.kind in {_HELD, _PROBE}


Read = tuple[int, str, float, float | str, float]
"""A question for what is used: the kind, the key, and the limit."""


class Request(msgspec.Struct, array_like=True):
    """Everything said at one time. The script heeds it in this order; durations are microseconds."""

    prefix: str
    replica: str
    lease: int
    seen: int
    """The news of breakers that are known here."""
    beat: bool
    """Whether to be counted among the living."""
    leases: list[tuple[str, str]] = msgspec.field(default_factory=list)
    """Keys and names of leases to be renewed, or made again."""
    charges: list[tuple[float, Word]] = msgspec.field(default_factory=list)
    """What was taken meanwhile without asking, and how long ago."""
    settles: list[Settled] = msgspec.field(default_factory=list)
    trips: list[tuple[str, float]] = msgspec.field(default_factory=list)
    """Breakers that opened, for how long; 0.0 for those that were closed."""
    takes: list[Sequence[Word]] = msgspec.field(default_factory=list)
    reads: list[Read] = msgspec.field(default_factory=list)


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """About one call: what refused (place among its asks, used, wait), and, where nothing did, `at` it was counted."""

    at: float
    refused: tuple[tuple[int, float, float], ...]
    shadows: tuple[int, ...]
    """The places of asks in shadow mode that would have refused."""

    def counted(self, words: Sequence[T]) -> tuple[T, ...]:
        """Those of a call's asks that were counted, where nothing refused."""
        return tuple(word for place, word in enumerate(words) if place not in self.shadows)


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """To a request: what changed among breakers, one decision for each take, what is used for each read."""

    alive: int
    fresh: bool
    """Whether this replica was unknown: it is new, or the server has forgotten everything."""
    news: int
    breakers: list[tuple[str, float]]
    """Unless these news are known: breakers, and for how long they are open; 0.0 if closed, less if half-open."""
    decisions: list[Decision]
    used: list[float]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answer)


def encode(request: Request) -> bytes:
    """The request as the script's argument."""
    return _encoder.encode(request)


def decode(reply: bytes) -> Answer:
    """The script's reply; a `msgspec.DecodeError` where it is none."""
    return _decoder.decode(reply)


class Words:
    """How the rules, by their numbers, are told to the script.

    The keys of everything begin with the prefix as a hash tag. They name the rule and what decides how its state is
    read (unit and algorithm) but not its numbers: while replicas have learnt of another amount, or not yet, they share
    the count, and each compares it with the amount it knows.
    """

    __slots__ = ("_rules", "prefix")

    def __init__(self, rules: Mapping[int, Rule], prefix: str) -> None:
        self.prefix = f"{{{prefix}}}:"
        self._rules = {number: (self._told(rule), float(rule.burst or rule.amount)) for number, rule in rules.items()}

    def _told(self, rule: Rule) -> Word:
        kind, a, b, c = _limit(rule)
        key = f"{self.prefix}{rule.unit}:{_NAMES[kind]}:{rule.name}:"
        return Word(kind, key, 1.0, rule.mode is Mode.SHADOW, a, b, c)

    def known(self, asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
        """Those about rules that there are."""
        return tuple(ask for ask in asks if ask.rule in self._rules)

    def asks(self, asks: tuple[Ask, ...], lease: str) -> tuple[Word, ...]:
        """What a call asks for; `lease` is the name of what it will hold. A cost above the burst is clamped to it.

        Raises:
            KeyError: about a rule that is not known.
        """
        words = []
        for ask in asks:
            told, burst = self._rules[ask.rule]
            b = lease if told.kind == _HELD else told.b
            words.append(Word(told.kind, told.key + ask.key, min(ask.cost, burst), told.shadow, told.a, b, told.c))
        return tuple(words)

    def clamped(self, ask: Ask) -> Ask:
        """What of an ask is counted at first: no more than its rule can admit at once."""
        burst = self._rules[ask.rule][1]
        return ask if ask.cost <= burst else Ask(ask.rule, ask.key, burst)

    def probe(self, breaker: str, most: int, lease: float, name: str) -> Word:
        """An ask for one of the `most` places of a half-open breaker, for `lease` seconds; `name` is the probe's."""
        key = f"{self.prefix}probes:{breaker}"
        return Word(_PROBE, key, 0.0, False, float(most), name, lease * MICROSECONDS)  # noqa: FBT003 - no shadow

    def read(self, rule: int, key: str) -> Read:
        """A question for what one subject uses now."""
        told, _ = self._rules[rule]
        return (told.kind, told.key + key, told.a, told.b, told.c)


def settled(words: Sequence[Word], costs: Sequence[float], at: float) -> list[Settled]:
    """What is to be said when a call that was counted `at` has ended and its true costs are known."""
    entries = []
    for word, cost in zip(words, costs, strict=True):
        if word.kind == _HELD:
            entries.append(Settled.release(word.key, str(word.b)))
        elif word.kind == _PROBE:
            entries.append(Settled(word.kind, word.key, cost, str(word.b), word.a))
        elif word.kind == _GCRA:
            if cost != word.cost:
                entries.append(Settled(word.kind, word.key, cost - word.cost, 0.0, float(word.b)))
        elif cost < word.cost and word.b == 1.0:
            entries.append(Settled(word.kind, word.key, cost - word.cost, at, 0.0))
    return entries


def released(words: Sequence[Word]) -> list[Settled]:
    """What is to be said so that a call holds nothing, whether it ever did or not."""
    held = [word for word in words if word.kind in {_HELD, _PROBE}]
    return settled(held, [0.0] * len(held), 0.0)


def leases(words: Sequence[Word]) -> list[tuple[str, str]]:
    """The keys and names of what a call holds."""
    return [(word.key, str(word.b)) for word in words if word.held]


def _limit(rule: Rule) -> tuple[int, float, float, float]:
    """The algorithm of a rule and its three numbers, the same that count in one process."""
    if rule.held:
        return _HELD, float(rule.amount), 0.0, float(rule.queues and rule.mode is Mode.ENFORCE)
    length = rule.window * MICROSECONDS
    if rule.exact:
        size = -(-rule.amount // PLACES)
        return _WINDOW, float(rule.amount // size), float(size), length
    return _GCRA, float(rule.burst or rule.amount), rule.amount / length, 0.0
