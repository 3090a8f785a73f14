"""For whom a rule counts: the key under which a call is counted, the name to tell people, and where it waits."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from aibridge.domain.actor import Actor
from aibridge.domain.rule import Rule, Subject
from aibridge.limits.counts import Place
from aibridge.limits.estimate import Size, expected_tokens
from aibridge.limits.matching import matching, within
from aibridge.overload.caller import address_group

if TYPE_CHECKING:
    from aibridge.limits.terms import Terms
    from aibridge.limits.told import Told

_TOKENS_LIKE_A_CALL = 1000.0
"""Where calls wait, one that may use more tokens than this counts for as many calls as it has thousands of them."""


class Caller(msgspec.Struct, kw_only=True, gc=False):
    """Who calls, and whom: all that rules can tell apart before the body is here. Good for any number of calls.

    `address` is the client's own, as far as proxies can be trusted. `batch` calls wait behind all others. A call that
    `passes_through` has no size that could be weighed: rules that need one do not concern it. `terms` and `told` are
    the engine's to write, which keeps there what it has worked out, and that the caller was refused lately; nothing
    else changes.
    """

    actor: Actor | None
    address: str
    provider: str
    batch: bool = False
    passes_through: bool = False
    terms: "Terms | None" = None
    told: "Told | None" = None


Key = Callable[[Caller], str | None]
"""The key under which a rule counts a caller; None for one that it does not concern."""


def key_of(rule: Rule) -> Key:
    """How a rule tells callers apart."""
    key = _by_subject(rule)
    organization = rule.organization
    if organization is None:
        return key

    def within_it(caller: Caller) -> str | None:
        actor = caller.actor
        return None if actor is None or actor.organization_id != organization else key(caller)

    return within_it


def _by_subject(rule: Rule) -> Key:
    match rule.subject:
        case Subject.EVERYONE:
            return lambda _: ""
        case Subject.ADDRESS:
            inside = within(rule.only) if rule.only else None

            def address(caller: Caller) -> str | None:
                group = address_group(caller.address)
                return group if inside is None or inside(group) else None

            return address
        case Subject.ORGANIZATION:
            return _of_actor(rule, lambda actor: actor.organization_id, lambda actor: actor.organization_id)
        case Subject.USER:
            return _of_actor(rule, lambda actor: actor.id, lambda actor: actor.username)
        case Subject.TOKEN:
            return _of_actor(rule, lambda actor: actor.token_id, lambda actor: actor.token_id)


def _of_actor(rule: Rule, key: Callable[[Actor], str], name: Callable[[Actor], str]) -> Key:
    matches = matching(rule.only) if rule.only else None

    def keyed(caller: Caller) -> str | None:
        actor = caller.actor
        if actor is None or (matches is not None and not matches(name(actor))):
            return None
        return key(actor)

    return keyed


def name_of(rule: Rule, caller: Caller) -> str:
    """What people call the subject of a rule in a call. A token's id is public; it names the token in every list."""
    actor = caller.actor
    if actor is None or rule.subject is Subject.ADDRESS:
        return address_group(caller.address)
    match rule.subject:
        case Subject.ORGANIZATION:
            return actor.organization_id
        case Subject.USER:
            return actor.username
        case Subject.TOKEN:
            return actor.token_id
        case _:
            return ""


def place_of(caller: Caller, size: Size | None) -> Place:
    """Where a call waits: by actor, and by address where it has none."""
    weight = 1.0
    if size is not None:
        weight = max(1.0, expected_tokens(size) / _TOKENS_LIKE_A_CALL)
    actor = caller.actor
    if actor is None:
        return Place(caller.address, "", weight, caller.batch)
    return Place(actor.id, actor.organization_id, weight, caller.batch)
