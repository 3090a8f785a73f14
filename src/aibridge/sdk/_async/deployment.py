"""The deployment: its version, looks, options and use."""

from aibridge.contract.deployment import (
    AppearanceConfig,
    AppHostResponse,
    BuildInfoResponse,
    DAUsResponse,
    DeploymentConfig,
    Entitlements,
)
from aibridge.sdk._async.transport import AsyncTransport


class AsyncDeployment(AsyncTransport):
    """The deployment: its version, looks, options and use."""

    async def build_info(self) -> BuildInfoResponse:
        """Show what runs here."""
        return await self.request_without_token("GET", "/api/v2/buildinfo", response=BuildInfoResponse)

    async def appearance(self) -> AppearanceConfig:
        """Show how the pages look."""
        return await self.request_without_token("GET", "/api/v2/appearance", response=AppearanceConfig)

    async def update_appearance(self, request: AppearanceConfig) -> AppearanceConfig:
        """Change how the pages look."""
        return await self.request("PUT", "/api/v2/appearance", body=request, response=AppearanceConfig)

    async def experiments(self) -> list[str]:
        """List what is tried out here."""
        return await self.request("GET", "/api/v2/experiments", response=list[str])

    async def entitlements(self) -> Entitlements:
        """Show what this deployment may use."""
        return await self.request("GET", "/api/v2/entitlements", response=Entitlements)

    async def deployment_config(self) -> DeploymentConfig:
        """Show every option and its value, secrets excepted."""
        return await self.request("GET", "/api/v2/deployment/config", response=DeploymentConfig)

    async def deployment_daus(self, *, tz_offset: int | None = None, days: int | None = None) -> DAUsResponse:
        """Count the users that made calls, by day."""
        return await self.request(
            "GET", "/api/v2/insights/daus", query={"tz_offset": tz_offset, "days": days}, response=DAUsResponse
        )

    async def app_host(self) -> AppHostResponse:
        """Show the host of workspace applications: there is none."""
        return await self.request("GET", "/api/v2/applications/host", response=AppHostResponse)
