"""What somebody has used of what they may use."""

from collections.abc import Mapping
from typing import Any

from aibridge.contract.workspaces import AIBudget, WorkspaceQuota
from aibridge.control.ask import Ask, AsyncHandler
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.matching import matching
from aibridge.store.users import User

_Ask = Ask[Any, Any]
_NANOS_PER_MICRO = 1000


async def _quota(_: _Ask) -> WorkspaceQuota:
    return WorkspaceQuota(credits_consumed=0, budget=-1)


async def _budgets(ask: _Ask) -> list[AIBudget]:
    user = ask.things.user
    present = [] if ask.world.limits is None else await ask.world.limits()
    return [
        AIBudget(
            limit=limit.rule.name,
            amount_micros=limit.rule.amount // _NANOS_PER_MICRO,
            spent_micros=round(sum(use.used for use in limit.subjects if use.key == user.id)) // _NANOS_PER_MICRO,
            window=limit.rule.window,
        )
        for limit in present
        if limit.rule.unit is Unit.COST and limit.rule.subject is Subject.USER and _concerns(limit.rule, user)
    ]


def _concerns(rule: Rule, user: User) -> bool:
    """Whether a call of theirs would count: what others may spend is not theirs to read."""
    within = rule.organization is None or rule.organization in map(str, user.organization_ids)
    return within and (not rule.only or matching(rule.only)(user.username))


HANDLERS: Mapping[str, AsyncHandler] = {"workspace_quota": _quota, "user_ai_budgets": _budgets}
