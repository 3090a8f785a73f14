"""`aibridge audit` over the API."""

import json
from datetime import UTC, datetime

from api_standin import Standin
from api_things import LAB, change, organization
from cli_shell import Shell

from aibridge.contract.audit import AuditLogsResponse, AuditVerification
from aibridge.domain.permission import Resource

pytest_plugins = ["cli_fixtures"]

FILTERS = (
    *("--actor", "ada", "--action", "create", "--resource", "user", "--resource-id", "id-of-ben"),
    *("--organization", "lab", "--since", "2026-11-24", "--until", "2026-11-25"),
)


def test_changes_are_listed(shell: Shell, server: Standin) -> None:
    server.answers["audit_logs"] = AuditLogsResponse(audit_logs=[change(8), change(7)], count=8)

    result = shell.run("audit", "list", "--limit", "1")

    assert result.stdout.splitlines()[1].split() == (
        ["8", "2026-11-24", "09:00:00Z", "ada", "create", "user", "ben", "127.0.0.1"]
    )
    assert result.stderr == "8 match in all; the next page: --after-id 8\n"
    assert shell.json("audit", "list")[0]["after"] == {"username": "ben"}


def test_changes_are_exported(shell: Shell, server: Standin) -> None:
    server.answers["audit_csv"] = 'number,actor\r\n8,"ada"\r\n'

    assert shell.run("audit", "export").stdout_bytes == b'number,actor\r\n8,"ada"\r\n'


def test_conditions_are_those_of_the_api(shell: Shell, server: Standin) -> None:
    server.answers |= {
        "audit_logs": AuditLogsResponse(audit_logs=[], count=0),
        "audit_csv": "",
        "organization": organization(),
    }

    shell.done("audit", "list", *FILTERS)
    shell.done("audit", "export", *FILTERS)

    for operation in ("audit_logs", "audit_csv"):
        query = server.asked(operation).query
        assert (query.actor, query.action, query.resource, query.resource_id) == (
            ("ada", "create", Resource.USER, "id-of-ben")
        )
        assert query.organization_id == LAB
        assert (query.date_from, query.date_to) == (
            (datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC))
        )


def test_a_log_that_is_whole_is_said_so(shell: Shell, server: Standin) -> None:
    server.answers["audit_verification"] = AuditVerification(count=8, valid=True, broken_at=None)

    assert shell.done("audit", "verify") == "8 entries, all as they were written.\n"
    assert shell.json("audit", "verify") == {"count": 8, "valid": True, "broken_at": None}


def test_a_log_that_was_altered_is_a_failure(shell: Shell, server: Standin) -> None:
    server.answers["audit_verification"] = AuditVerification(count=8, valid=False, broken_at=5)

    assert shell.fails("audit", "verify") == (1, "Error: entry 5 is not what was written\n")
    result = shell.run("audit", "verify", "--output", "json")
    assert (result.exit_code, json.loads(result.stdout)["broken_at"]) == (1, 5)
