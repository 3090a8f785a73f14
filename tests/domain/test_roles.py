"""The tables of roles: who may give which, who may change whom, and what organizations may make."""

import uuid

import msgspec
import pytest

from aibridge.domain.authorize import Object, Subject, authorize
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier, decode_hook, encode_hook
from aibridge.domain.roles import (
    ASSIGNABLE,
    MEMBER,
    ORGANIZATION_ADMIN,
    ORGANIZATION_MEMBER,
    ORGANIZATION_ROLES,
    ORGANIZATION_USER_ADMIN,
    OWNER,
    RESERVED,
    SITE_ROLES,
    USER_ADMIN,
    CustomRole,
    may_assign,
    may_manage,
)

HERE, ELSEWHERE = uuid.UUID(int=1), uuid.UUID(int=2)

# Which roles the holder of each may give: "here" is the organization that an organization role is held in.
GIVES = {
    "owner": {
        "owner", "member", "auditor", "user-admin", "template-admin",
        "organization-admin here", "organization-member here", "organization-auditor here",
        "organization-user-admin here", "organization-template-admin here", "crew here",
        "organization-admin elsewhere", "organization-member elsewhere", "organization-auditor elsewhere",
        "organization-user-admin elsewhere", "organization-template-admin elsewhere", "crew elsewhere",
    },
    "member": set(),
    "auditor": set(),
    "user-admin": {"member", "organization-member here", "organization-member elsewhere"},
    "template-admin": set(),
    "organization-admin here": {
        "organization-admin here", "organization-member here", "organization-auditor here",
        "organization-user-admin here", "organization-template-admin here", "crew here",
    },
    "organization-member here": set(),
    "organization-auditor here": set(),
    "organization-user-admin here": {"organization-member here"},
    "organization-template-admin here": set(),
    # None of these is a role: not where it is held, or not at all.
    "organization-admin": set(),
    "owner here": set(),
    "crew here": set(),
}  # fmt: skip


def role(said: str) -> RoleIdentifier:
    name, _, place = said.partition(" ")
    return RoleIdentifier(name, {"": None, "here": HERE, "elsewhere": ELSEWHERE}[place])


@pytest.mark.parametrize("holder", GIVES)
def test_a_role_may_be_given_by_whom_the_table_says_and_nobody_else(holder: str) -> None:
    places = [
        f"{name}{place}" for name in (*SITE_ROLES, *ORGANIZATION_ROLES, "crew") for place in ("", " here", " elsewhere")
    ]
    assert {place for place in places if may_assign([role(holder)], role(place))} == GIVES[holder]


def test_the_table_speaks_of_every_role_and_of_no_other() -> None:
    assert set(GIVES) >= set(SITE_ROLES) | {f"{name} here" for name in ORGANIZATION_ROLES}
    assert set(ASSIGNABLE) <= {*SITE_ROLES, *ORGANIZATION_ROLES}


def test_who_may_give_a_role_has_the_permission_to_assign_it() -> None:
    for holder, given in GIVES.items():
        subject = Subject(actor_id="mia", roles=frozenset((role(holder),)))
        for target in map(role, given):
            resource = Resource.ASSIGN_ORG_ROLE if target.is_organization_role else Resource.ASSIGN_ROLE
            what = Object(resource=resource, organization_id=target.organization_id)
            assert authorize(subject, Action.ASSIGN, what)
            assert authorize(subject, Action.UNASSIGN, what)


def test_several_roles_may_give_what_each_may() -> None:
    held = [ORGANIZATION_ADMIN.within(HERE), USER_ADMIN.identifier]
    assert may_assign(held, MEMBER.identifier)
    assert may_assign(held, RoleIdentifier("crew", HERE))
    assert not may_assign(held, RoleIdentifier("crew", ELSEWHERE))
    assert not may_assign([], MEMBER.identifier)


def test_a_name_that_no_table_has_is_no_site_role() -> None:
    assert not may_assign([OWNER.identifier], RoleIdentifier("crew"))
    assert not may_assign([OWNER.identifier], RoleIdentifier("organization-workspace-access", HERE))


def test_nobody_may_change_those_above_them() -> None:
    member = [MEMBER.identifier, ORGANIZATION_MEMBER.within(HERE)]
    assert may_manage([USER_ADMIN.identifier], member)
    assert may_manage([USER_ADMIN.identifier], [])
    assert not may_manage([USER_ADMIN.identifier], [*member, OWNER.identifier])
    assert not may_manage([USER_ADMIN.identifier], [USER_ADMIN.identifier])
    assert may_manage([OWNER.identifier], [OWNER.identifier])
    assert not may_manage([ORGANIZATION_USER_ADMIN.within(HERE)], [ORGANIZATION_MEMBER.within(ELSEWHERE)])


@pytest.mark.parametrize(
    ("identifier", "error"),
    [
        (RoleIdentifier("crew"), "the custom role 'crew' needs an organization"),
        *((RoleIdentifier(name, HERE), "is the name of a built-in role, now or once") for name in sorted(RESERVED)),
        (RoleIdentifier("Owner", HERE), "is the name of a built-in role, now or once"),
        *((RoleIdentifier(name, HERE), "cannot be the name") for name in ("a b", "-a", "a-", "a--b", "ä", "a\n")),
        (RoleIdentifier("a" * 33, HERE), "cannot be the name"),
    ],
)  # fmt: skip
def test_a_custom_role_has_an_organization_and_a_name_of_its_own(identifier: RoleIdentifier, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        CustomRole(identifier=identifier, permissions=())


@pytest.mark.parametrize(
    "resource",
    [Resource.USER, Resource.ASSIGN_ROLE, Resource.PRICE, Resource.DEPLOYMENT_CONFIG, Resource.DEPLOYMENT_STATS],
)
def test_a_custom_role_cannot_speak_of_what_no_organization_has(resource: Resource) -> None:
    with pytest.raises(ValueError, match=f"{resource}:read is beyond an organization"):
        CustomRole(
            identifier=RoleIdentifier("crew", HERE), permissions=(Permission(resource=resource, action=Action.READ),)
        )


def test_a_custom_role_is_read_and_written_as_a_document() -> None:
    document = {
        "identifier": f"crew:{HERE}",
        "permissions": [{"resource": "group", "action": "read"}, {"resource": "*", "action": "delete", "negate": True}],
    }
    made = msgspec.convert(document, CustomRole, dec_hook=decode_hook)
    assert made.identifier == RoleIdentifier("crew", HERE)
    assert made.permissions[1] == Permission(resource=Resource.ANY, action=Action.DELETE, negate=True)
    assert msgspec.convert(msgspec.to_builtins(made, enc_hook=encode_hook), CustomRole, dec_hook=decode_hook) == made
    with pytest.raises(msgspec.ValidationError, match="built-in"):
        msgspec.convert(document | {"identifier": f"owner:{HERE}"}, CustomRole, dec_hook=decode_hook)
