# Written by `make gen` from `src/aibridge/sdk/_async/audit.py`.
"""The audit log."""

from datetime import datetime
from uuid import UUID

from aibridge.contract.audit import AuditLogsResponse, AuditVerification
from aibridge.contract.words import Resource
from aibridge.sdk._sync.transport import Transport


class Audit(Transport):
    """The audit log."""

    def audit_logs(  # noqa: PLR0913 - its filters
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        resource: Resource | None = None,
        resource_id: str | None = None,
        organization_id: UUID | None = None,
        date_from: datetime | None = None,
        date_to: datetime | None = None,
        limit: int | None = None,
        offset: int | None = None,
        after_id: str | None = None,
    ) -> AuditLogsResponse:
        """List changes, the newest first."""
        return self.request(
            "GET",
            "/api/v2/audit",
            query={
                "actor": actor,
                "action": action,
                "resource": resource,
                "resource_id": resource_id,
                "organization_id": organization_id,
                "date_from": date_from,
                "date_to": date_to,
                "limit": limit,
                "offset": offset,
                "after_id": after_id,
            },
            response=AuditLogsResponse,
        )

    def audit_csv(  # noqa: PLR0913 - its filters
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        resource: Resource | None = None,
        resource_id: str | None = None,
        organization_id: UUID | None = None,
        date_from: datetime | None = None,
        date_to: datetime | None = None,
    ) -> str:
        """Write changes as CSV, at most 100,000 lines."""
        query = {
            "actor": actor,
            "action": action,
            "resource": resource,
            "resource_id": resource_id,
            "organization_id": organization_id,
            "date_from": date_from,
            "date_to": date_to,
        }
        content = self.request("GET", "/api/v2/audit/csv", query=query, headers={"accept": "text/csv"}, response=bytes)
        return content.decode()

    def audit_verification(self) -> AuditVerification:
        """Check that no entry was changed, left out or put in."""
        return self.request("GET", "/api/v2/audit/verify", response=AuditVerification)
