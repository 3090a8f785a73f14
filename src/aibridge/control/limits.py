"""The rules in force: what they allow, how much of it is used now, and how they have decided."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from aibridge.control.dependencies import Dependencies, LimitPresent, SubjectPresent
from aibridge.control.errors import json_response
from aibridge.control.identity import identify
from aibridge.domain.actor import Actor
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.domain.snapshot import Snapshot


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """One rule and its present use.

    `window`, `queue_timeout` are in seconds, `cost` is counted in nano-dollars. `subjects` are those who use most, the
    greediest first. `decisions` are totals by outcome since the process that answers was started. They and `only`,
    which names people and networks, are null for those who are no owners.
    """

    name: str
    unit: Unit
    amount: int
    window: float
    burst: int | None
    subject: Subject
    only: tuple[str, ...] | None
    provider: str
    model: str
    mode: Mode
    queue_timeout: float
    queue_size: int
    subjects: list[SubjectPresent]
    decisions: Mapping[str, int] | None


class LimitsView(msgspec.Struct, frozen=True, kw_only=True):
    """All rules, in the order in which they are asked."""

    count: int
    results: list[LimitView]


def listing(
    dependencies: Dependencies, limits: Callable[[], Awaitable[Sequence[LimitPresent]]]
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint: everybody may read the rules; an owner sees all use of them, others what is theirs."""

    async def list_limits(request: Request) -> Response:
        actor = identify(request, dependencies)
        known = dependencies.snapshot()
        results = [_view(limit, actor, known) for limit in await limits()]
        return json_response(LimitsView(count=len(results), results=results))

    return list_limits


def _view(limit: LimitPresent, actor: Actor, known: Snapshot) -> LimitView:
    rule = limit.rule
    seen = [use for use in limit.subjects if actor.is_owner or _is_own(rule, use.key, actor, known)]
    return LimitView(
        **{name: getattr(rule, name) for name in Rule.__struct_fields__ if name != "only"},
        only=rule.only if actor.is_owner else None,
        subjects=sorted(seen, key=lambda use: use.used, reverse=True),
        decisions=limit.decisions if actor.is_owner else None,
    )


def _is_own(rule: Rule, key: str, actor: Actor, known: Snapshot) -> bool:
    """Whether a subject is the actor, or what the actor is part of. An address is nobody's: many may share it."""
    match rule.subject:
        case Subject.EVERYONE:
            return True
        case Subject.ORGANIZATION:
            return key == actor.organization_id
        case Subject.USER:
            return key == actor.id
        case Subject.TOKEN:
            token = known.tokens.get(key)
            return token is not None and token.actor.id == actor.id
        case Subject.ADDRESS:
            return False
