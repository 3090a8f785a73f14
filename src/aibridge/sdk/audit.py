"""The audit log."""

from aibridge.contract.audit import AuditLog, AuditLogsResponse, AuditVerification
from aibridge.contract.words import Resource
from aibridge.sdk._async.audit import AsyncAudit
from aibridge.sdk._sync.audit import Audit

__all__ = ["AsyncAudit", "Audit", "AuditLog", "AuditLogsResponse", "AuditVerification", "Resource"]
