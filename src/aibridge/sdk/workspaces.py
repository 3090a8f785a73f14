"""What somebody has used of what they may use."""

from aibridge.contract.workspaces import AIBudget, WorkspaceQuota
from aibridge.sdk._async.workspaces import AsyncWorkspaces
from aibridge.sdk._sync.workspaces import Workspaces

__all__ = ["AIBudget", "AsyncWorkspaces", "WorkspaceQuota", "Workspaces"]
