# Written by `make gen` from `src/aibridge/sdk/_async/aibridge.py`.
"""The gateway: calls, limits, breakers and providers."""

from contextlib import AbstractContextManager
from datetime import datetime

from aibridge.contract.aibridge import (
    BreakersView,
    CreateLimitRequest,
    CreateProviderRequest,
    InterceptionsView,
    LimitsView,
    LimitView,
    ProvidersResponse,
    ProviderView,
    UpdateLimitRequest,
    UpdateProviderRequest,
)
from aibridge.sdk._request import at
from aibridge.sdk._sync.serversentevents import Reader
from aibridge.sdk._sync.transport import Transport


class AIBridge(Transport):
    """The gateway: calls, limits, breakers and providers."""

    def interceptions(  # noqa: PLR0913 - its filters
        self,
        *,
        q: str | None = None,
        initiator: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        client: str | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        limit: int | None = None,
        offset: int | None = None,
        after_id: str | None = None,
    ) -> InterceptionsView:
        """List calls, the newest first."""
        return self.request(
            "GET",
            "/api/v2/aibridge/interceptions",
            query={
                "q": q,
                "initiator": initiator,
                "provider": provider,
                "model": model,
                "client": client,
                "started_after": started_after,
                "started_before": started_before,
                "limit": limit,
                "offset": offset,
                "after_id": after_id,
            },
            response=InterceptionsView,
        )

    def limits(self) -> LimitsView:
        """List the limits and how much of them is used."""
        return self.request("GET", "/api/v2/aibridge/limits", response=LimitsView)

    def watch_limits(self) -> AbstractContextManager[Reader[LimitsView]]:
        """Follow the limits: server-sent events, each all of them."""
        return self.events("/api/v2/aibridge/limits/watch", response=LimitsView)

    def create_limit(self, request: CreateLimitRequest) -> LimitView:
        """Make a limit."""
        return self.request("POST", "/api/v2/aibridge/limits", body=request, response=LimitView)

    def limit(self, limit: str) -> LimitView:
        """Show a limit."""
        return self.request("GET", at("/api/v2/aibridge/limits/{limit}", limit=limit), response=LimitView)

    def update_limit(self, limit: str, request: UpdateLimitRequest) -> LimitView:
        """Change a limit."""
        return self.request("PUT", at("/api/v2/aibridge/limits/{limit}", limit=limit), body=request, response=LimitView)

    def delete_limit(self, limit: str) -> None:
        """Delete a limit."""
        self.request("DELETE", at("/api/v2/aibridge/limits/{limit}", limit=limit))

    def breakers(self) -> BreakersView:
        """List the circuit breakers."""
        return self.request("GET", "/api/v2/aibridge/breakers", response=BreakersView)

    def reset_breaker(self, breaker: str) -> None:
        """Close a circuit breaker."""
        self.request("POST", at("/api/v2/aibridge/breakers/{breaker}/reset", breaker=breaker))

    def providers(self) -> ProvidersResponse:
        """List the providers."""
        return self.request("GET", "/api/v2/aibridge/providers", response=ProvidersResponse)

    def create_provider(self, request: CreateProviderRequest) -> ProviderView:
        """Make a provider."""
        return self.request("POST", "/api/v2/aibridge/providers", body=request, response=ProviderView)

    def provider(self, provider: str) -> ProviderView:
        """Show a provider, by id or name."""
        return self.request(
            "GET", at("/api/v2/aibridge/providers/{provider}", provider=provider), response=ProviderView
        )

    def update_provider(self, provider: str, request: UpdateProviderRequest) -> ProviderView:
        """Change a provider."""
        return self.request(
            "PATCH", at("/api/v2/aibridge/providers/{provider}", provider=provider), body=request, response=ProviderView
        )

    def delete_provider(self, provider: str) -> None:
        """Delete a provider."""
        self.request("DELETE", at("/api/v2/aibridge/providers/{provider}", provider=provider))
