"""Words of the domain that stand in the contract's structs, for clients, which do not import the domain."""

from aibridge.domain.interception import Status
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.priority import Priority
from aibridge.domain.provider import ProviderKind
from aibridge.domain.rule import Mode, Subject, Unit
from aibridge.domain.usage import UsageSource
from aibridge.domain.user import LoginType, UserStatus

__all__ = [
    "Action",
    "LoginType",
    "Mode",
    "Permission",
    "Priority",
    "ProviderKind",
    "Resource",
    "Status",
    "Subject",
    "Unit",
    "UsageSource",
    "UserStatus",
]
