"""What somebody has used of what they may use."""

from collections.abc import Mapping
from typing import Any

from aibridge.contract.workspaces import AIBudget, WorkspaceQuota
from aibridge.control.ask import Ask, AsyncHandler
from aibridge.domain.rule import Subject, Unit

_Ask = Ask[Any, Any]
_NANOS_PER_MICRO = 1000


async def _quota(_: _Ask) -> WorkspaceQuota:
    return WorkspaceQuota(credits_consumed=0, budget=-1)


async def _budgets(ask: _Ask) -> list[AIBudget]:
    user_id = ask.things.user.id
    present = [] if ask.world.limits is None else await ask.world.limits()
    return [
        AIBudget(
            limit=limit.rule.name,
            amount_micros=limit.rule.amount // _NANOS_PER_MICRO,
            spent_micros=round(sum(use.used for use in limit.subjects if use.key == user_id)) // _NANOS_PER_MICRO,
            window=limit.rule.window,
        )
        for limit in present
        if limit.rule.unit is Unit.COST and limit.rule.subject is Subject.USER
    ]


HANDLERS: Mapping[str, AsyncHandler] = {"workspace_quota": _quota, "user_ai_budgets": _budgets}
