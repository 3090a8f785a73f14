"""The audit log: every change, who made it and from where."""

import uuid
from typing import Any

from aibridge.contract.endpoint import Endpoint, Needs, Of
from aibridge.contract.shapes import Instant, Line, Page, Parameters, View
from aibridge.domain.permission import Action, Resource


class AuditLog(View, frozen=True, kw_only=True):
    """One change. `before` is null where something was made, `after` where it was deleted. Secrets are in neither.

    `number` grows by one with each; `digest` (hex, SHA-256) is over this entry and the digest before it.
    """

    number: int
    time: Instant
    actor_id: str | None
    actor_name: str
    token_id: str | None
    action: str
    resource: str
    resource_id: str
    resource_name: str
    organization_id: uuid.UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str
    user_agent: str
    digest: str


class AuditLogsResponse(View, frozen=True, kw_only=True):
    """A page, the newest first, and how many match in all."""

    audit_logs: list[AuditLog]
    count: int


class AuditLogsQuery(Page, frozen=True, kw_only=True):
    """Which changes. `actor` is an id or a username; `after_id` is a `number`."""

    actor: Line | None = None
    action: Line | None = None
    resource: Resource | None = None
    resource_id: Line | None = None
    organization_id: uuid.UUID | None = None
    date_from: Instant | None = None
    date_to: Instant | None = None


class AuditCSVQuery(Parameters, frozen=True, kw_only=True):
    """Which changes, as in `AuditLogsQuery`; they are not in pages."""

    actor: Line | None = None
    action: Line | None = None
    resource: Resource | None = None
    resource_id: Line | None = None
    organization_id: uuid.UUID | None = None
    date_from: Instant | None = None
    date_to: Instant | None = None


class AuditVerification(View, frozen=True, kw_only=True):
    """Whether every entry is as it was written; else the number of the first that is not."""

    count: int
    valid: bool
    broken_at: int | None


ENDPOINTS = (
    Endpoint(
        operation="audit_logs",
        method="GET",
        path="/audit",
        summary="List changes, the newest first.",
        needs=Needs(action=Action.READ, resource=Resource.AUDIT_LOG, of=Of.VISIBLE),
        query=AuditLogsQuery,
        response=AuditLogsResponse,
        errors=(404,),
    ),
    Endpoint(
        operation="audit_csv",
        method="GET",
        path="/audit/csv",
        summary="Write changes as CSV, at most 100,000 lines.",
        needs=Needs(action=Action.READ, resource=Resource.AUDIT_LOG, of=Of.VISIBLE),
        query=AuditCSVQuery,
        response=str,
        errors=(404,),
        media_type="text/csv",
    ),
    Endpoint(
        operation="audit_verification",
        method="GET",
        path="/audit/verify",
        summary="Check that no entry was changed, left out or put in.",
        needs=Needs(action=Action.READ, resource=Resource.AUDIT_LOG),
        response=AuditVerification,
    ),
)
