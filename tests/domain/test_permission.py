"""Permissions: what exists, wildcards, and their form in documents."""

import msgspec
import pytest

from aibridge.domain.permission import ACTIONS, ORGANIZATIONAL, PAIRS, Action, Level, Permission, Resource, pairs


def test_every_resource_has_actions_and_no_wildcard_is_among_them() -> None:
    assert set(ACTIONS) == set(Resource) - {Resource.ANY}
    assert all(actions and Action.ANY not in actions for actions in ACTIONS.values())
    assert {action for _, action in PAIRS} == set(Action) - {Action.ANY}


def test_what_belongs_to_no_organization_is_the_sites() -> None:
    assert set(ACTIONS) - ORGANIZATIONAL == {
        Resource.USER,
        Resource.ASSIGN_ROLE,
        Resource.PRICE,
        Resource.DEPLOYMENT_CONFIG,
        Resource.DEPLOYMENT_STATS,
    }
    assert set(ACTIONS) > ORGANIZATIONAL


def test_the_record_and_the_audit_log_cannot_be_changed_by_anybody() -> None:
    assert ACTIONS[Resource.INTERCEPTION] == {Action.CREATE, Action.READ}
    assert ACTIONS[Resource.AUDIT_LOG] == {Action.READ}


def test_a_wildcard_is_every_one() -> None:
    assert pairs(Resource.ANY, Action.ANY) == PAIRS
    assert pairs(Resource.USER, Action.ANY) == {(Resource.USER, action) for action in ACTIONS[Resource.USER]}
    assert pairs(Resource.ANY, Action.ASSIGN) == {
        (Resource.ASSIGN_ROLE, Action.ASSIGN),
        (Resource.ASSIGN_ORG_ROLE, Action.ASSIGN),
    }
    assert pairs(Resource.AUDIT_LOG, Action.READ) == {(Resource.AUDIT_LOG, Action.READ)}


def test_what_does_not_exist_cannot_be_permitted() -> None:
    with pytest.raises(ValueError, match="there is no audit_log:delete: audit_log knows read"):
        Permission(resource=Resource.AUDIT_LOG, action=Action.DELETE)


def test_a_permission_reads_as_it_is_written() -> None:
    assert str(Permission(resource=Resource.LIMIT, action=Action.READ)) == "limit:read"
    assert str(Permission(resource=Resource.ANY, action=Action.ANY, negate=True)) == "!*:*"


def test_a_document_says_what_what_and_whether_not() -> None:
    document = {"negate": True, "resource": "aibridge_interception", "action": "create"}
    permission = Permission(negate=True, resource=Resource.INTERCEPTION, action=Action.CREATE)
    assert msgspec.to_builtins(permission) == document
    assert msgspec.convert(document, Permission) == permission
    assert msgspec.convert({"resource": "*", "action": "*"}, Permission).negate is False


@pytest.mark.parametrize(
    "document",
    [
        {"resource": "workspace", "action": "read"},
        {"resource": "user", "action": "ssh"},
        {"resource": "audit_log", "action": "update"},
        {"resource": "user", "action": "read", "level": "site"},
        {"resource": "user"},
    ],
)
def test_a_document_with_what_does_not_exist_is_refused(document: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, Permission)


def test_levels_are_asked_from_the_widest() -> None:
    assert list(Level) == [Level.SITE, Level.ORGANIZATION, Level.USER]
