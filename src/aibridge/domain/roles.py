"""The roles there are, what each grants, and who may give them to whom.

Tables, read by `authorize`. A site role grants everywhere, or over what is one's own; an organization role grants
within the organization it is held in and can say nothing beyond it. Organizations may make roles of their own.
"""

import re
import uuid
from collections.abc import Collection, Mapping

import msgspec

from aibridge.domain.permission import ORGANIZATIONAL, Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier

_CUSTOM_NAME = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", re.ASCII)
_CUSTOM_NAME_LENGTH = 32


class SiteRole(msgspec.Struct, frozen=True, kw_only=True):
    """A built-in role of the whole site: what it grants over everything, and over one's own."""

    name: str
    display_name: str
    everywhere: tuple[Permission, ...] = ()
    own: tuple[Permission, ...] = ()

    @property
    def identifier(self) -> RoleIdentifier:
        """What it is called where it is held."""
        return RoleIdentifier(self.name)


class OrganizationRole(msgspec.Struct, frozen=True, kw_only=True):
    """A built-in role that is held in one organization or another: what it grants within it."""

    name: str
    display_name: str
    permissions: tuple[Permission, ...]

    def within(self, organization_id: uuid.UUID) -> RoleIdentifier:
        """What it is called where it is held."""
        return RoleIdentifier(self.name, organization_id)


class CustomRole(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """A role that one organization made: what it grants, or denies, within it.

    Raises:
        ValueError: it is of no organization, its name is taken or no name, or it speaks of what no organization has.
    """

    identifier: RoleIdentifier
    permissions: tuple[Permission, ...]

    def __post_init__(self) -> None:
        name = self.identifier.name
        if not self.identifier.is_organization_role:
            raise ValueError(f"the custom role {name!r} needs an organization")
        if name.lower() in RESERVED:
            raise ValueError(f"{name!r} is the name of a built-in role, now or once")
        if len(name) > _CUSTOM_NAME_LENGTH or not _CUSTOM_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot be the name of a role: "
                f"up to {_CUSTOM_NAME_LENGTH} letters and digits, with single dashes between them"
            )
        for permission in self.permissions:
            if permission.resource is not Resource.ANY and permission.resource not in ORGANIZATIONAL:
                raise ValueError(f"{permission} is beyond an organization: its roles end where it ends")


def _allow(resource: Resource, *actions: Action) -> tuple[Permission, ...]:
    return tuple(Permission(resource=resource, action=action) for action in actions)


def _read(*resources: Resource) -> tuple[Permission, ...]:
    return tuple(Permission(resource=resource, action=Action.READ) for resource in resources)


_GIVE = (Action.READ, Action.ASSIGN, Action.UNASSIGN)

OWNER = SiteRole(name="owner", display_name="Owner", everywhere=_allow(Resource.ANY, Action.ANY))

# Everybody is a member, service accounts too. What one does is one's own to read, in the organizations one belongs to.
MEMBER = SiteRole(
    name="member",
    display_name="Member",
    everywhere=_read(Resource.ASSIGN_ROLE),
    own=(
        *_allow(Resource.INTERCEPTION, Action.CREATE, Action.READ),
        *_allow(Resource.USER, Action.READ, Action.READ_PERSONAL, Action.UPDATE_PERSONAL),
        *_allow(Resource.API_KEY, Action.ANY),
        *_read(Resource.ORGANIZATION_MEMBER, Resource.LIMIT),
    ),
)

_AUDITED = (
    Resource.INTERCEPTION,
    Resource.AUDIT_LOG,
    Resource.SERVICE_ACCOUNT,
    Resource.ORGANIZATION,
    Resource.ORGANIZATION_MEMBER,
    Resource.GROUP,
    Resource.ASSIGN_ORG_ROLE,
    Resource.PROVIDER,
    Resource.LIMIT,
)
AUDITOR = SiteRole(
    name="auditor",
    display_name="Auditor",
    everywhere=_read(
        *_AUDITED,
        Resource.USER,
        Resource.ASSIGN_ROLE,
        Resource.PRICE,
        Resource.DEPLOYMENT_CONFIG,
        Resource.DEPLOYMENT_STATS,
    ),
)

_PEOPLE = (
    *_read(Resource.ORGANIZATION),
    *_allow(Resource.ORGANIZATION_MEMBER, Action.ANY),
    *_allow(Resource.GROUP, Action.ANY),
    *_allow(Resource.ASSIGN_ORG_ROLE, *_GIVE),
)
USER_ADMIN = SiteRole(
    name="user-admin",
    display_name="User Admin",
    everywhere=(
        *_PEOPLE,
        *_allow(Resource.USER, Action.ANY),
        *_allow(Resource.SERVICE_ACCOUNT, Action.ANY),
        *_allow(Resource.ASSIGN_ROLE, *_GIVE),
    ),
)

# There are no templates here. Who keeps them elsewhere sees for whom and through what their tools will call.
_SURROUNDINGS = _read(
    Resource.ORGANIZATION, Resource.ORGANIZATION_MEMBER, Resource.GROUP, Resource.PROVIDER, Resource.LIMIT
)
TEMPLATE_ADMIN = SiteRole(name="template-admin", display_name="Template Admin", everywhere=_SURROUNDINGS)

# Not `*`: making a member's token would be to act as that member, with all the member's roles beyond the organization.
ORGANIZATION_ADMIN = OrganizationRole(
    name="organization-admin",
    display_name="Organization Admin",
    permissions=(
        *_read(Resource.INTERCEPTION, Resource.AUDIT_LOG),
        *_allow(Resource.ORGANIZATION, Action.READ, Action.UPDATE, Action.DELETE),
        *_allow(Resource.ORGANIZATION_MEMBER, Action.ANY),
        *_allow(Resource.GROUP, Action.ANY),
        *_allow(Resource.ASSIGN_ORG_ROLE, Action.ANY),
        *_allow(Resource.SERVICE_ACCOUNT, Action.ANY),
        *_allow(Resource.API_KEY, Action.READ, Action.DELETE),
        *_allow(Resource.PROVIDER, Action.ANY),
        *_allow(Resource.LIMIT, Action.ANY),
    ),
)
ORGANIZATION_MEMBER = OrganizationRole(
    name="organization-member",
    display_name="Organization Member",
    permissions=_read(Resource.ORGANIZATION, Resource.ASSIGN_ORG_ROLE),
)
ORGANIZATION_AUDITOR = OrganizationRole(
    name="organization-auditor", display_name="Organization Auditor", permissions=_read(*_AUDITED)
)
ORGANIZATION_USER_ADMIN = OrganizationRole(
    name="organization-user-admin", display_name="Organization User Admin", permissions=_PEOPLE
)
ORGANIZATION_TEMPLATE_ADMIN = OrganizationRole(
    name="organization-template-admin", display_name="Organization Template Admin", permissions=_SURROUNDINGS
)

SITE_ROLES: Mapping[str, SiteRole] = {
    known.name: known for known in (OWNER, MEMBER, AUDITOR, USER_ADMIN, TEMPLATE_ADMIN)
}
ORGANIZATION_ROLES: Mapping[str, OrganizationRole] = {
    known.name: known
    for known in (
        ORGANIZATION_ADMIN,
        ORGANIZATION_MEMBER,
        ORGANIZATION_AUDITOR,
        ORGANIZATION_USER_ADMIN,
        ORGANIZATION_TEMPLATE_ADMIN,
    )
}

RESERVED = frozenset(
    (
        *SITE_ROLES,
        *ORGANIZATION_ROLES,
        "admin",
        "organization-service-account",
        "organization-workspace-access",
        "organization-workspace-creation-ban",
    )
)
"""Names no custom role may have: those of built-in roles, here and in what people come from."""


class Assignable(msgspec.Struct, frozen=True, kw_only=True):
    """The roles that somebody may give and take: built-in ones by name, and whether organizations' custom ones."""

    built_in: frozenset[str]
    custom: bool = False


ASSIGNABLE: Mapping[str, Assignable] = {
    OWNER.name: Assignable(built_in=frozenset((*SITE_ROLES, *ORGANIZATION_ROLES)), custom=True),
    USER_ADMIN.name: Assignable(built_in=frozenset((MEMBER.name, ORGANIZATION_MEMBER.name))),
    ORGANIZATION_ADMIN.name: Assignable(built_in=frozenset(ORGANIZATION_ROLES), custom=True),
    ORGANIZATION_USER_ADMIN.name: Assignable(built_in=frozenset((ORGANIZATION_MEMBER.name,))),
}
"""What the holder of each role may give: a site role anywhere, an organization role within its organization."""


def is_built_in(role: RoleIdentifier) -> bool:
    """Whether it is one of the tables' roles, held where such a role can be held."""
    return role.name in (ORGANIZATION_ROLES if role.is_organization_role else SITE_ROLES)


def may_assign(held: Collection[RoleIdentifier], role: RoleIdentifier) -> bool:
    """Whether the holder of some roles may give, or take, another. The permission to `assign` is asked besides.

    A name that no table knows is taken for a custom role in an organization, and for nothing on the site.
    """
    return any(_gives(by, role) for by in held if is_built_in(by))


def may_manage(held: Collection[RoleIdentifier], theirs: Collection[RoleIdentifier]) -> bool:
    """Whether the holder of some roles may change somebody who holds others: suspend, delete, set a password.

    Only where all of theirs could be assigned: else whoever may set passwords could sign in as an owner.
    """
    return all(may_assign(held, role) for role in theirs)


def _gives(by: RoleIdentifier, role: RoleIdentifier) -> bool:
    assignable = ASSIGNABLE.get(by.name)
    if assignable is None or by.organization_id not in (None, role.organization_id):
        return False
    if is_built_in(role):
        return role.name in assignable.built_in
    return assignable.custom and role.is_organization_role and role.name not in RESERVED
