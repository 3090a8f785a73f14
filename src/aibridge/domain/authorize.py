"""May they? One pure question for the whole product, and what is not granted is denied.

What a set of roles grants is worked out once and remembered, so that a decision is a few look-ups: 1-2 us.
"""

import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from aibridge.domain.permission import ORGANIZATIONAL, Action, Level, Pair, Permission, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import ORGANIZATION_ROLES, SITE_ROLES, CustomRole
from aibridge.domain.scope import EVERYTHING, Scope

_REMEMBERED = 2048
"""Sets of roles kept worked out, the least used forgotten: at 2-30 kB each, 60 MB at the very most."""

_REACH = {Level.SITE: "everywhere", Level.ORGANIZATION: "within its organization", Level.USER: "over one's own"}


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `custom_roles` are the definitions of those among `roles` that organizations made.

    A role without a definition grants nothing. `scope` is that of the token they came with.
    """

    actor_id: str
    roles: frozenset[RoleIdentifier]
    custom_roles: frozenset[CustomRole] = frozenset()
    scope: Scope = EVERYTHING


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: one thing, or all of a kind where `id` is None.

    `organization_id` is the one it belongs to and `owner_id` the user whose own it is; None where there is none, or
    where all are meant. An organization belongs to itself, a user is their own.
    """

    resource: Resource
    organization_id: uuid.UUID | None = None
    owner_id: str | None = None
    id: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether they may, and why or why not, for logs and people. It is true where they may."""

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


Verdicts = dict[Pair, Decision]


class _Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of roles grants and denies, by level. Who has any role in an organization belongs to it."""

    site: Verdicts
    organizations: Mapping[uuid.UUID, Verdicts]
    own: Verdicts
    held: str


def authorize(subject: Subject, action: Action, what: Object) -> Decision:
    """Decide whether the subject may do this to that.

    The token's scope must admit it. Then the first level that speaks of it decides: site, organization, user. Where
    none does, they may not. Asking for `Action.ANY` or `Resource.ANY` is asking for nothing that exists: denied.
    """
    pair = (what.resource, action)
    if not subject.scope.admits(pair, what.id):
        return _out_of_scope(pair, subject.scope)
    standing = _standing(subject.roles, subject.custom_roles)
    verdict = standing.site.get(pair)
    if verdict is not None:
        return verdict
    organization_id = what.organization_id
    belongs = organization_id is None
    if organization_id is not None:
        verdicts = standing.organizations.get(organization_id)
        if verdicts is not None:
            belongs = True
            verdict = verdicts.get(pair)
    if verdict is None and belongs and what.owner_id == subject.actor_id:
        verdict = standing.own.get(pair)
    if verdict is None:
        return Decision(allowed=False, reason=f"no role grants {_named(pair)} here; roles held: {standing.held}")
    return verdict


def beyond(subject: Subject, role: CustomRole) -> list[Pair]:
    """What a custom role would grant that the subject may not do in its organization: then it is not theirs to make."""
    organization_id = role.identifier.organization_id
    granted = {pair for permission in role.permissions if not permission.negate for pair in permission.pairs}
    return sorted(
        (resource, action)
        for resource, action in granted
        if resource in ORGANIZATIONAL
        and not authorize(subject, action, Object(resource=resource, organization_id=organization_id))
    )


def _out_of_scope(pair: Pair, scope: Scope) -> Decision:
    if pair in scope.allowed:
        return Decision(allowed=False, reason="the token's scope is for certain objects, and this is none of them")
    return Decision(allowed=False, reason=f"the token's scope does not include {_named(pair)}")


@lru_cache(_REMEMBERED)
def _standing(roles: frozenset[RoleIdentifier], custom_roles: frozenset[CustomRole]) -> _Standing:
    site: Verdicts = {}
    own: Verdicts = {}
    organizations: dict[uuid.UUID, Verdicts] = {}
    for role in sorted(roles):
        if role.organization_id is not None:
            built_in = ORGANIZATION_ROLES.get(role.name)
            permissions = _custom(role, custom_roles) if built_in is None else built_in.permissions
            _pronounce(organizations.setdefault(role.organization_id, {}), role, Level.ORGANIZATION, permissions)
        elif role.name in SITE_ROLES:
            _pronounce(site, role, Level.SITE, SITE_ROLES[role.name].everywhere)
            _pronounce(own, role, Level.USER, SITE_ROLES[role.name].own)
    held = ", ".join(map(str, sorted(roles))) or "none"
    return _Standing(site=site, organizations=organizations, own=own, held=held)


def _custom(role: RoleIdentifier, custom_roles: frozenset[CustomRole]) -> list[Permission]:
    return [permission for custom in custom_roles if custom.identifier == role for permission in custom.permissions]


def _pronounce(verdicts: Verdicts, role: RoleIdentifier, level: Level, permissions: Iterable[Permission]) -> None:
    """Add what a role says on a level: a denial stands whatever else is said.

    Of what no organization has, an organization's role has nothing to say, whatever its wildcards cover.
    """
    for permission in permissions:
        verb = "withholds" if permission.negate else "grants"
        for pair in permission.pairs:
            if level is Level.ORGANIZATION and pair[0] not in ORGANIZATIONAL:
                continue
            if permission.negate or pair not in verdicts:
                reason = f"the role {role} {verb} {_named(pair)} {_REACH[level]}"
                verdicts[pair] = Decision(allowed=not permission.negate, reason=reason)


def _named(pair: Pair) -> str:
    return f"{pair[0]}:{pair[1]}"
