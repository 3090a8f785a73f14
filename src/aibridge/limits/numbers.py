"""By which numbers the rules are known to whoever counts, while they come and go.

Processes that share counts learn of a change at slightly different moments, and never agree on an order. So a rule that
came later has its number from what it is, which is the same in all of them; only those of the configuration, which all
have from their start, are numbered by their place.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import msgspec

from aibridge.domain.rule import Rule

_BYTES = 7
"""Of a digest: with 1000 rules, the chance that two of them meet is below one in 10^11; more would not fit msgpack's
signed integers together with the places below."""
_FIRST = 1 << 32
"""Above all places."""


def numbered(rules: Sequence[Rule], known: Mapping[int, Rule]) -> dict[int, Rule]:
    """These rules by their numbers, in their order; `known` are those that have numbers already.

    A number stays with a rule as long as its counts do: whatever changes but what is named in `_identity`.
    """
    numbers = {_identity(rule): number for number, rule in known.items()}
    return {numbers[what] if (what := _identity(rule)) in numbers else _number(what): rule for rule in rules}


_Identity = tuple[str, str, str, bool]


def _number(what: _Identity) -> int:
    return _FIRST + int.from_bytes(blake2b(msgspec.json.encode(what), digest_size=_BYTES).digest(), "big")


def _identity(rule: Rule) -> _Identity:
    """What makes counts those of this rule: with another name, unit, subject or algorithm it begins anew."""
    return rule.name, rule.unit, rule.subject, rule.exact
