"""What a caller is told when a rule says no: which rule, whose limit, how much of it is used, and when to come back."""

from datetime import UTC, datetime
from functools import lru_cache
from math import ceil

from aibridge.domain.errors import PATIENCE, AtCapacity, BudgetSpent, RateLimited, Refused
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.counts import Refusal
from aibridge.overload.outcome import Rejection
from aibridge.overload.retry import LAST_INSTANT, Form, Policy, whole_seconds

CONCURRENCY = "concurrency"
"""The name of the rule that `--aibridge-max-concurrency` is."""
RATE = "token"
"""The name of the rule that `--aibridge-rate-limit` is."""

NANO_DOLLARS = 1_000_000_000
"""In a dollar."""
_NANO_PER_MICRO = 1000

_WORDS = {
    Unit.REQUESTS: ("requests", "requests"),
    Unit.INPUT_TOKENS: ("input tokens", "input-tokens"),
    Unit.OUTPUT_TOKENS: ("output tokens", "output-tokens"),
    Unit.TOTAL_TOKENS: ("tokens", "total-tokens"),
    Unit.COST: ("", "micro-dollars"),
    Unit.CONCURRENT: ("requests at one time", "concurrent-requests"),
}
"""What a unit is called, to people and in the fields of draft-ietf-httpapi-ratelimit-headers."""

_SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def policy_of(rule: Rule) -> Policy:
    """A rule as clients are told of it. Cost is in micro-dollars: a field's number has 15 digits (RFC 9651, 3.3.1)."""
    quota = ceil(rule.amount / _NANO_PER_MICRO) if rule.unit is Unit.COST else rule.amount
    return Policy(rule.name, quota, rule.window, _WORDS[rule.unit][1])


def refused(rule: Rule, subject: str, refusal: Refusal, policies: tuple[Policy, ...], now: float) -> Refused:
    """The error for a refusal by a rule. `subject` is a name for people to read, never a secret.

    `policies` are the limits the call fell under, the rule's own first. `now` is the wall time in UTC seconds: when a
    call would be admitted is told as an instant, which stays true however often it is told.
    """
    if rule.held:
        detail = _how_full(rule, subject, refusal)
        error = wordless(rule, refusal, detail, policies)
        error.prepared = _prepared(detail, *[policy.item for policy in policies])
        return error
    again = _instant(now + refusal.retry_after)
    if rule.name == RATE:
        detail = (
            f"This token may make {rule.amount} AI requests in {rule.window:g} s (--aibridge-rate-limit); "
            f"the next one is admitted at {again}."
        )
    else:
        following = "such a call" if rule.weighed else "the next one"
        spent = f"{_limit(rule, subject)}; {_amount(rule, refusal.used)} are used"
        detail = f"{spent}, {following} is admitted at {again}."
    return wordless(rule, refusal, detail, policies, f"{_shortage(rule, refusal.used)} at {again}.")


def _shortage(rule: Rule, used: float) -> str:
    """What there is too little of, whether nothing is left or only less than a call reserves; up to when."""
    if rule.weighed and (rule.burst or rule.amount) - used >= 1.0:
        return f"Less of the limit {rule.name} is left than this call reserves; there is enough"
    return f"The limit {rule.name} is used up; there is more"


def wordless(
    rule: Rule, refusal: Refusal, detail: str = "", policies: tuple[Policy, ...] = (), spent: str = ""
) -> Refused:
    """The error for a refusal by a rule, without words unless given: which kind it is, and when to come back.

    `spent` is said instead of what is usual where that is later than clients have the patience for.
    """
    rejection = Rejection(rule.name, rule.amount, rule.window, refusal.retry_after)
    if rule.held:
        return AtCapacity.caller(detail, rejection=rejection, policies=policies)
    if refusal.retry_after > PATIENCE and rule.name != RATE:
        return BudgetSpent.caller(spent, detail, rejection, policies)
    return RateLimited.caller(detail, rejection, policies)


@lru_cache(256)
def _prepared(*_: str) -> dict[tuple[str, bool], Form]:
    """What the edge has written of refusals in the same words, under the same policies: when much is refused, many."""
    return {}


def what_varies(rule: Rule, refusal: Refusal) -> tuple[float, int]:
    """What is different between the words for two refusals by a rule over what is held, if nobody waited."""
    return (0.0, 0) if rule.name == CONCURRENCY else (refusal.used, whole_seconds(refusal.retry_after))


def _how_full(rule: Rule, subject: str, refusal: Refusal) -> str:
    """How full a rule over what is held is."""
    waited = f" This one waited {refusal.waited:.1f} s for its turn." if refusal.waited else ""
    if rule.name == CONCURRENCY:
        return f"{rule.amount} AI requests are in progress, as many as --aibridge-max-concurrency allows.{waited}"
    used, seconds = what_varies(rule, refusal)
    return f"{_limit(rule, subject)}; {used:g} are in progress, one is expected to end in {seconds} s.{waited}"


@lru_cache(256)
def _limit(rule: Rule, subject: str) -> str:
    """The limit in words, the same for all who are refused by it."""
    whose = f"{rule.subject} {subject}"
    if rule.subject is Subject.EVERYONE:
        whose = "all together" if rule.organization is None else f"all of organization {rule.organization} together"
    word = _WORDS[rule.unit][0]
    limit = " ".join(filter(None, (_amount(rule, rule.amount), word)))
    within = "" if rule.held else f" in {_span(rule.window)}"
    return f"Limit {rule.name}: {whose} may use {limit}{within}"


def _amount(rule: Rule, used: float) -> str:
    if rule.unit is Unit.COST:
        return f"${max(0.0, used) / NANO_DOLLARS:.2f}"
    return str(ceil(max(0.0, used)))


def _span(seconds: float) -> str:
    """A window, in the largest unit that makes it a whole number."""
    for size, name in _SPANS:
        if seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"


def _instant(at: float) -> str:
    """An instant for people to read, rounded up to the millisecond."""
    second, millisecond = divmod(ceil(min(at, LAST_INSTANT) * 1000), 1000)
    return f"{_second(second)}.{millisecond:03d} UTC"


@lru_cache(64)
def _second(at: int) -> str:
    """A whole second, the same for all who come back within it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
