"""`aibridge organizations`, `members`, `roles` and `groups`."""

import uuid

import pytest
from api_standin import Call, Standin
from api_things import LAB, group, member, organization, role
from cli_shell import Shell

from aibridge.contract.groups import Group, GroupsResponse
from aibridge.contract.organizations import OrganizationMembersResponse, OrganizationsResponse
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier

pytest_plugins = ["cli_fixtures"]

ALLOWED = Permission(resource=Resource.GROUP, action=Action.READ)
DENIED = Permission(resource=Resource.GROUP, action=Action.DELETE, negate=True)


def test_organizations_are_listed_and_shown(shell: Shell, server: Standin) -> None:
    server.answers |= {
        "organizations": OrganizationsResponse(organizations=[organization()], count=1),
        "organization": organization(),
    }

    assert shell.cells("organizations", "list") == [["lab", "The Lab", "no", "2026-11-24 09:00:00Z", str(LAB)]]
    assert shell.json("organizations", "list")[0]["is_default"] is False
    assert ["name", "lab"] in shell.cells("organizations", "show", "lab")
    assert server.asked("organization").path == {"organization": "lab"}


def test_an_organization_is_made_and_changed(shell: Shell, server: Standin) -> None:
    server.answers |= {"create_organization": organization(), "update_organization": organization()}

    shell.done("organizations", "create", "lab", "--display-name", "The Lab")
    shell.done("organizations", "edit", "lab", "--description", "For tests.")

    made = server.asked("create_organization").body
    assert (made.name, made.display_name, made.description) == ("lab", "The Lab", "")
    changed = server.asked("update_organization")
    assert changed.path == {"organization": "lab"}
    assert changed.body.description == "For tests."
    assert not isinstance(changed.body.name, str)


def test_an_organization_is_deleted_if_somebody_agrees(shell: Shell, server: Standin) -> None:
    server.answers |= {"organization": organization(), "delete_organization": None}

    assert "'lab'" in shell.run("organizations", "delete", "lab", typed="n\n").stderr
    assert [call.operation for call in server.calls] == ["organization"]
    assert shell.done("organizations", "delete", "lab", "--yes") == "lab is deleted.\n"
    assert server.asked("delete_organization").path == {"organization": str(LAB)}


def test_members_are_listed(shell: Shell, server: Standin) -> None:
    server.answers["organization_members"] = OrganizationMembersResponse(members=[member("ben"), member("cy")], count=2)

    assert shell.cells("members", "list", "--organization", "lab")[0] == [
        "ben",
        "-",
        "-",
        "organization-admin",
        "id-of-ben",
    ]
    assert server.asked("organization_members").path == {"organization": "lab"}
    assert shell.json("members", "list")[0]["roles"] == [f"organization-admin:{LAB}"]
    paged = shell.run("members", "list", "--limit", "1")
    assert paged.stderr == "2 match in all; the next page: --after-id id-of-ben\n"


def test_the_organization_is_that_which_everything_begins_with_unless_it_is_said(shell: Shell, server: Standin) -> None:
    server.answers["organization_members"] = OrganizationMembersResponse(members=[], count=0)

    shell.done("members", "list")
    shell.done("members", "list", CODER_ORGANIZATION="lab")

    assert [call.path["organization"] for call in server.calls] == [str(DEFAULT_ORGANIZATION), "lab"]


def test_a_member_is_added_and_removed(shell: Shell, server: Standin) -> None:
    server.answers |= {
        "add_organization_member": member(),
        "organization_member": member(),
        "remove_organization_member": None,
    }

    assert ["username", "ben"] in shell.cells("members", "add", "ben", "--organization", "lab")
    assert server.asked("add_organization_member").path == {"organization": "lab", "user": "ben"}
    assert shell.run("members", "remove", "ben", typed="n\n").exit_code == 1
    assert "remove_organization_member" not in {call.operation for call in server.calls}
    shell.done("members", "remove", "ben", "--organization", "lab", "--yes")
    assert server.asked("remove_organization_member").path == {"organization": "lab", "user": "id-of-ben"}


def test_a_member_gets_roles_of_the_organization(shell: Shell, server: Standin) -> None:
    server.answers |= {"organization": organization(), "update_organization_member_roles": member()}

    shell.done("members", "edit-roles", "ben", "organization-admin", "reader", "--organization", "lab")

    call = server.asked("update_organization_member_roles")
    assert call.path == {"organization": str(LAB), "user": "ben"}
    assert call.body.roles == [RoleIdentifier("organization-admin", LAB), RoleIdentifier("reader", LAB)]
    assert shell.fails("members", "edit-roles", "ben", "a:b", "--organization", str(LAB))[0] == 2


def test_roles_are_those_of_the_site_or_of_an_organization(shell: Shell, server: Standin) -> None:
    server.answers |= {"site_roles": [], "organization_roles": [role()]}

    assert shell.cells("roles", "list") == []
    assert shell.cells("roles", "list", "--organization", "lab") == [
        ["reader", "Reader", "no", "yes", "group:read, !group:delete"]
    ]
    assert [call.operation for call in server.calls] == ["site_roles", "organization_roles"]


def test_a_role_is_made_and_changed(shell: Shell, server: Standin) -> None:
    server.answers |= {"create_organization_role": role(), "update_organization_role": role()}
    permissions = ("--permission", "group:read", "--permission", "!group:delete")

    shell.done("roles", "create", "reader", *permissions, "--organization", "lab")
    shell.done("roles", "edit", "reader", "--display-name", "Reader")
    shell.done("roles", "edit", "reader", *permissions)

    made = server.asked("create_organization_role")
    assert made.path == {"organization": "lab"}
    assert made.body.organization_permissions == [ALLOWED, DENIED]
    first, second = (call.body for call in server.calls if call.operation == "update_organization_role")
    assert first.display_name == "Reader"
    assert not isinstance(first.organization_permissions, list)
    assert second.organization_permissions == [ALLOWED, DENIED]


@pytest.mark.parametrize("permission", ["group", "group:fly", "sky:read", ""])
def test_a_permission_that_is_none_is_refused(shell: Shell, permission: str) -> None:
    code, said = shell.fails("roles", "create", "reader", "--permission", permission)

    assert code == 2
    assert "allowed: RESOURCE:ACTION" in said


def test_a_role_is_deleted_if_somebody_agrees(shell: Shell, server: Standin) -> None:
    server.answers["delete_organization_role"] = None

    assert shell.run("roles", "delete", "reader", typed="n\n").exit_code == 1
    assert server.calls == []
    assert shell.done("roles", "delete", "reader", "--yes") == "reader is deleted.\n"


def test_groups_are_listed(shell: Shell, server: Standin) -> None:
    server.answers["organization_groups"] = GroupsResponse(groups=[group()], count=1)

    assert shell.cells("groups", "list") == [["night-shift", "-", "user", "ada, ben", group().id]]
    assert shell.json("groups", "list")[0]["members"][1] == {"id": "id-of-ben", "username": "ben"}


def test_a_group_is_found_by_its_name_on_whatever_page(shell: Shell, server: Standin) -> None:
    def pages(call: Call) -> GroupsResponse:
        if call.query.after_id is None:
            first = [group(f"group-{number}", f"id-{number}") for number in range(1000)]
            return GroupsResponse(groups=first, count=1001)
        assert call.query.after_id == "id-999"
        return GroupsResponse(groups=[group()], count=1001)

    server.answers["organization_groups"] = pages

    assert ["name", "night-shift"] in shell.cells("groups", "show", "night-shift")
    assert "there is no group 'else'" in shell.fails("groups", "show", "else")[1]


def test_a_group_is_found_by_its_id(shell: Shell, server: Standin) -> None:
    server.answers["group"] = group()

    shell.done("groups", "show", group().id)

    assert server.asked("group").path == {"group": group().id}


def test_a_group_is_made_and_changed(shell: Shell, server: Standin) -> None:
    server.answers |= {"create_group": group(), "group": group(), "update_group": group()}

    shell.done("groups", "create", "night-shift", "--organization", "lab")
    shell.done("groups", "edit", group().id, "--add", "ada", "--add", "ben", "--remove", "cy", "--name", "night")

    assert server.asked("create_group").path == {"organization": "lab"}
    body = server.asked("update_group").body
    assert (body.name, body.add_users, body.remove_users) == ("night", ["ada", "ben"], ["cy"])
    assert not isinstance(body.display_name, str)


def test_a_group_is_deleted_if_somebody_agrees(shell: Shell, server: Standin) -> None:
    deleted: list[Group] = []
    server.answers |= {"group": group(), "delete_group": lambda _: deleted.append(group())}

    assert "'night-shift' with 2 members" in shell.run("groups", "delete", group().id, typed="n\n").stderr
    assert deleted == []
    assert shell.done("groups", "delete", str(uuid.UUID(group().id)), "--yes") == "night-shift is deleted.\n"
    assert len(deleted) == 1
