"""The deployment: its version, looks, options and use."""

from aibridge.contract.deployment import (
    AppearanceConfig,
    AppHostResponse,
    BuildInfoResponse,
    DAUEntry,
    DAUsResponse,
    DeploymentConfig,
    DeploymentOption,
    Entitlements,
    Feature,
    ServiceBanner,
    SupportLink,
)
from aibridge.sdk._async.deployment import AsyncDeployment
from aibridge.sdk._sync.deployment import Deployment

__all__ = [
    "AppHostResponse",
    "AppearanceConfig",
    "AsyncDeployment",
    "BuildInfoResponse",
    "DAUEntry",
    "DAUsResponse",
    "Deployment",
    "DeploymentConfig",
    "DeploymentOption",
    "Entitlements",
    "Feature",
    "ServiceBanner",
    "SupportLink",
]
