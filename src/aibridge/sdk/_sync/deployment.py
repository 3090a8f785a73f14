# Written by `make gen` from `src/aibridge/sdk/_async/deployment.py`.
"""The deployment: its version, looks, options and use."""

from aibridge.contract.deployment import (
    AppearanceConfig,
    AppHostResponse,
    BuildInfoResponse,
    DAUsResponse,
    DeploymentConfig,
    Entitlements,
)
from aibridge.sdk._sync.transport import Transport


class Deployment(Transport):
    """The deployment: its version, looks, options and use."""

    def build_info(self) -> BuildInfoResponse:
        """Show what runs here."""
        return self.request_without_token("GET", "/api/v2/buildinfo", response=BuildInfoResponse)

    def appearance(self) -> AppearanceConfig:
        """Show how the pages look."""
        return self.request_without_token("GET", "/api/v2/appearance", response=AppearanceConfig)

    def update_appearance(self, request: AppearanceConfig) -> AppearanceConfig:
        """Change how the pages look."""
        return self.request("PUT", "/api/v2/appearance", body=request, response=AppearanceConfig)

    def experiments(self) -> list[str]:
        """List what is tried out here."""
        return self.request("GET", "/api/v2/experiments", response=list[str])

    def entitlements(self) -> Entitlements:
        """Show what this deployment may use."""
        return self.request("GET", "/api/v2/entitlements", response=Entitlements)

    def deployment_config(self) -> DeploymentConfig:
        """Show every option and its value, secrets excepted."""
        return self.request("GET", "/api/v2/deployment/config", response=DeploymentConfig)

    def deployment_daus(self, *, tz_offset: int | None = None, days: int | None = None) -> DAUsResponse:
        """Count the users that made calls, by day."""
        return self.request(
            "GET", "/api/v2/insights/daus", query={"tz_offset": tz_offset, "days": days}, response=DAUsResponse
        )

    def app_host(self) -> AppHostResponse:
        """Show the host of workspace applications: there is none."""
        return self.request("GET", "/api/v2/applications/host", response=AppHostResponse)
