"""The gateway: calls, limits, breakers and providers."""

from aibridge.contract.aibridge import (
    BreakersView,
    BreakerView,
    CreateLimitRequest,
    CreateProviderRequest,
    InitiatorView,
    InterceptionsView,
    InterceptionView,
    LimitsView,
    LimitView,
    ProvidersResponse,
    ProviderView,
    SubjectUse,
    TokenUsageView,
    UpdateLimitRequest,
    UpdateProviderRequest,
)
from aibridge.contract.words import Mode, ProviderKind, Status, Subject, Unit, UsageSource
from aibridge.sdk._async.aibridge import AsyncAIBridge
from aibridge.sdk._sync.aibridge import AIBridge

__all__ = [
    "AIBridge",
    "AsyncAIBridge",
    "BreakerView",
    "BreakersView",
    "CreateLimitRequest",
    "CreateProviderRequest",
    "InitiatorView",
    "InterceptionView",
    "InterceptionsView",
    "LimitView",
    "LimitsView",
    "Mode",
    "ProviderKind",
    "ProviderView",
    "ProvidersResponse",
    "Status",
    "Subject",
    "SubjectUse",
    "TokenUsageView",
    "Unit",
    "UpdateLimitRequest",
    "UpdateProviderRequest",
    "UsageSource",
]
