# Written by `make gen` from `src/aibridge/sdk/_async/workspaces.py`.
"""What somebody has used of what they may use."""

from aibridge.contract.workspaces import AIBudget, WorkspaceQuota
from aibridge.sdk._request import at
from aibridge.sdk._sync.transport import Transport


class Workspaces(Transport):
    """What somebody has used of what they may use."""

    def workspace_quota(self, user: str) -> WorkspaceQuota:
        """Show a user's workspace quota: there is none."""
        return self.request("GET", at("/api/v2/workspace-quota/{user}", user=user), response=WorkspaceQuota)

    def user_ai_budgets(self, user: str) -> list[AIBudget]:
        """List the limits in money that count for this user alone, and what is spent of them."""
        return self.request("GET", at("/api/v2/users/{user}/ai/budgets", user=user), response=list[AIBudget])
