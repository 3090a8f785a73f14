"""What somebody has used of what they may use, under the names that Coder's clients ask for."""

from aibridge.contract.endpoint import Endpoint, Needs
from aibridge.contract.shapes import View
from aibridge.domain.permission import Action, Resource


class WorkspaceQuota(View, frozen=True, kw_only=True):
    """Credits used and allowed. There are no workspaces here: 0 of -1, which is no limit."""

    credits_consumed: int
    budget: int


class AIBudget(View, frozen=True, kw_only=True):
    """A limit in money for one user alone: `limit` by name, amounts in micro-dollars, `window` in seconds."""

    limit: str
    amount_micros: int
    spent_micros: int
    window: float


ENDPOINTS = (
    Endpoint(
        operation="workspace_quota",
        method="GET",
        path="/workspace-quota/{user}",
        summary="Show a user's workspace quota: there is none.",
        needs=Needs(action=Action.READ, resource=Resource.USER),
        response=WorkspaceQuota,
    ),
    Endpoint(
        operation="user_ai_budgets",
        method="GET",
        path="/users/{user}/ai/budgets",
        summary="List the limits in money that count for this user alone, and what is spent of them.",
        needs=Needs(action=Action.READ, resource=Resource.USER),
        response=list[AIBudget],
    ),
)
